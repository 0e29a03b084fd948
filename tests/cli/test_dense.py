"""Detection, segmentation and keypoints from data to pictures, by the verbs alone."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.cli.main import main
from pumice.data.person_boxes import read_person_boxes
from pumice.data.video import Video, VideoFile
from pumice.deploy.onnx import set_property
from pumice.errors import BadInput
from pumice.models.checkpoint import read_manifest
from tests.cli import made
from tests.cli.conftest import Pumice, one_thread

TASKS = ("detect", "segment", "keypoints")
DATA: dict[str, Callable[[Path], Path]] = {"detect": made.boxes, "segment": made.masks, "keypoints": made.poses}
# Sizes and epochs are what it takes to learn something in a few seconds.
GIVEN = {
    "detect": ("--img-size", "96", "--epochs", "5", "--set", "task.zoom_out_prob=0"),
    "segment": ("--img-size", "64x96", "--epochs", "12", "--set", "task.scale=[1,1]"),
    "keypoints": ("--img-size", "64", "--epochs", "5", "--set", "task.flip_test=true"),
}
BACKBONE = {"detect": "mobilenetv2_035", "segment": "mobilenetv3_small_050", "keypoints": "mobilenetv3_small_050"}
HEAD = {"detect": "ssdlite", "segment": "lraspp", "keypoints": "heatmap"}
COLUMNS = {"detect": ["ap", "ap50", "ap75"], "segment": ["miou", "accuracy"], "keypoints": ["pck", "oks_ap"]}
LEARNT = {"detect": 0.0, "segment": 0.35, "keypoints": 0.3}  # of the main figure; of nothing learnt 0, 0.26 and 0.1
FOLDER = {"detect": "val", "segment": "images/val", "keypoints": "val"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    return {task: make(root / task) for task, make in DATA.items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Path]) -> dict[str, Path]:
    """A run of each task, trained once by the command line."""
    root = tmp_path_factory.mktemp("runs")
    for task in TASKS:
        args = ["train", str(data[task]), "--task", task, "--model", BACKBONE[task], "--batch-size", "4", *GIVEN[task]]
        args += ["--set", "train.ema_decay=none", "--set", "optim.lr=0.004", "--out", str(root / task)]
        with pytest.MonkeyPatch.context() as patch, one_thread():
            patch.setattr("sys.argv", ["pumice", *args])
            with pytest.raises(SystemExit) as end:
                main()
        assert end.value.code in (None, 0)
    return {task: root / task for task in TASKS}


@pytest.fixture(scope="module")
def files(runs: dict[str, Path]) -> dict[str, Path]:
    from pumice.deploy.export import export

    return {task: export(run, run / "model.onnx", check=False).path for task, run in runs.items()}


@pytest.mark.parametrize("task", TASKS)
def test_a_run_learns_and_says_what_it_did(task: str, runs: dict[str, Path], data: dict[str, Path]) -> None:
    run = runs[task]
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = [f"val_{name}" for name in COLUMNS[task]]
    clock = ["seconds", "images_per_s", "data_wait"]
    assert list(rows[0]) == ["epoch", "step", "lr", "train_loss", *scores, *clock]
    metrics = json.loads((run / "metrics.json").read_text())
    main_column = scores[0]
    assert max(float(row[main_column]) for row in rows) > LEARNT[task]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    best = max(rows, key=lambda row: float(row[main_column]))
    assert metrics["best_epoch"] == int(best["epoch"])
    assert (metrics["task"], metrics["model"]) == (task, f"{HEAD[task]}:{BACKBONE[task]}")
    config = json.loads((run / "config.json").read_text())
    assert (
        config["task_options"]
        == {
            "detect": {"zoom_out_prob": 0},
            "segment": {"scale": [1, 1]},
            "keypoints": {"flip_test": True},
        }[task]
    )
    manifest = read_manifest(run / "best.safetensors")
    assert manifest is not None
    assert (manifest.task, manifest.decode["options"]) == (task, config["task_options"])
    described = json.loads((run / "data.json").read_text())
    assert described["samples"]["train"] == (24 if task == "keypoints" else 12)
    pictures = json.loads((run / "predictions.json").read_text())
    assert len(pictures) == (8 if task == "keypoints" else 4)
    assert all(one["found"].startswith("data:image/jpeg") and one["found"] != one["truth"] for one in pictures)


@pytest.mark.parametrize("task", TASKS)
def test_the_file_is_judged_as_the_run(
    task: str, runs: dict[str, Path], files: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    """The file alone, away from its run, and the run; both as training judged the best epoch."""
    alone = tmp_path / "model.onnx"
    alone.write_bytes(files[task].read_bytes())
    recorded = json.loads((runs[task] / "metrics.json").read_text())["val"]
    for args in ((runs[task], "--runtime", "eager"), (alone, data[task])):
        judged = pumice("val", *args, "--json").json
        assert judged["task"] == task
        for name, value in recorded.items():
            if isinstance(value, float):
                assert judged[name] == pytest.approx(value, abs=1e-4), name
    if task == "segment":
        assert judged["confusion"] == recorded["confusion"]
    said = pumice("val", runs[task]).out
    assert "in short" in said
    assert "of the box" in said or "ground" in said or "red" in said


@pytest.mark.parametrize("task", TASKS)
def test_a_file_verifies_on_its_data(
    task: str, runs: dict[str, Path], files: dict[str, Path], data: dict[str, Path], pumice: Pumice
) -> None:
    found = pumice("verify", files[task], "--against", runs[task], "--data", data[task], "--json")
    assert found.code == 0
    checks = {one["name"]: one for one in found.json["checks"]}
    assert {"task", "reading of the outputs", "class names", "top-1"} <= checks.keys()
    assert found.json["source"] == str(data[task])
    unit = {"detect": "boxes", "segment": "pixels", "keypoints": "joints"}[task]
    assert checks["top-1"]["detail"].endswith(unit)


def test_a_file_of_another_reading_does_not_verify(
    runs: dict[str, Path], files: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    import onnx

    from pumice.deploy.carried import read_manifest
    from pumice.models.checkpoint import KEY

    manifest = read_manifest(files["keypoints"])
    assert manifest is not None
    wrong = replace(manifest, decode={**manifest.decode, "flip": [0, 1, 2]})
    proto = onnx.load(files["keypoints"])
    set_property(proto, KEY, wrong.dumps())
    onnx.save(proto, tmp_path / "wrong.onnx")
    found = pumice("verify", tmp_path / "wrong.onnx", "--against", runs["keypoints"])
    assert found.code == 1
    assert "reading of the outputs" in found.err


@pytest.mark.parametrize("task", TASKS)
def test_a_page_and_a_card(task: str, runs: dict[str, Path], tmp_path: Path, pumice: Pumice) -> None:
    assert pumice("report", runs[task], "--out", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    card = (runs[task] / "README.md").read_text()
    metrics = json.loads((runs[task] / "metrics.json").read_text())
    main_figure = {"detect": "ap", "segment": "miou", "keypoints": "pck"}[task]
    value = f"{100 * metrics['val'][main_figure]:.1f}"
    title = {"detect": "AP", "segment": "mIoU", "keypoints": "PCK"}[task]
    for text in (page, card):
        assert title in text
        assert value in text
        assert "top-1 accuracy" not in text
        assert all(name in text for name in metrics["classes"])
    pictures = json.loads((runs[task] / "predictions.json").read_text())
    assert page.count('class="pair"') == len(pictures)
    assert all(one["found"] in page and one["truth"] in page for one in pictures)
    figures = json.loads(page.partition('id="figures">')[2].partition("</script>")[0])
    assert ("run0-curves" in figures) == (task == "detect")
    assert ("run0-confusion" in figures) == (task == "segment")
    names = {trace["name"] for trace in figures["run0-training"]["data"]}
    assert title in names
    noun = {"detect": "A detector of 2 classes", "segment": "segmentation of 3 classes", "keypoints": "of 3 joints"}
    assert noun[task] in card
    assert "the whole image is resized" in card


def test_runs_of_several_tasks_on_one_page(runs: dict[str, Path], tmp_path: Path, pumice: Pumice) -> None:
    assert pumice("report", *runs.values(), "--out", tmp_path / "page.html").code == 0
    assert "3 runs compared" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_told_and_drawn(
    task: str, files: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    source = data[task] / FOLDER[task]
    more = {"detect": ("--score", "0.1"), "segment": (), "keypoints": ("--score", "0.01")}[task]
    said = pumice("predict", source, "--model", files[task], "--out", tmp_path, "--csv", tmp_path / "a.csv", *more)
    assert said.code == 0
    told = json.loads((tmp_path / "predictions.json").read_text())
    assert [Path(one["name"]).name for one in told] == ["0.png", "1.png", "2.png", "3.png"]
    for i in range(4):
        with Image.open(source / f"{i}.png") as image, Image.open(tmp_path / f"{i}.jpg") as drawn:
            assert drawn.width == image.width
            below = drawn.height - image.height  # the names of the classes
            assert (below > 10) if task == "segment" else (below == 0)
            plain = io.BytesIO()
            image.convert("RGB").save(plain, "JPEG", quality=90)
            over = np.asarray(drawn, int)[: image.height]
            changed = np.abs(over - np.asarray(Image.open(plain), int)).max(axis=2)
            assert changed.max() > 60  # something is on it
    if task == "segment":
        mask = np.asarray(Image.open(tmp_path / "0.classes.png"))
        shares = {name: float((mask == i).mean()) for i, name in enumerate(("ground", "red", "blue"))}
        assert told[0]["shares"] == {name: round(share, 4) for name, share in shares.items() if share}
        masks = [np.asarray(Image.open(data[task] / f"masks/val/{i}.png"))[2:] for i in range(4)]
        found = [np.asarray(Image.open(tmp_path / f"{i}.classes.png"))[2:] for i in range(4)]
        right = np.mean([a == b for a, b in zip(masks, found, strict=True)])
        assert right > np.mean([mask == 0 for mask in masks]) + 0.02  # of ground everywhere
    else:
        parts = [len(one["boxes" if task == "detect" else "persons"]) for one in told]
        assert min(parts) >= 1
        assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + sum(parts)


def test_a_video_is_looked_at_frame_by_frame(
    files: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    pytest.importorskip("av")
    source = data["segment"] / "images/val"
    video = VideoFile(tmp_path / "film.mp4", Fraction(5))
    for i in range(4):
        with Image.open(source / f"{i}.png") as image:
            video.add(image.convert("RGB"))
    video.close()
    ask = ("--model", files["segment"], "--json")
    frames = pumice("predict", tmp_path / "film.mp4", *ask, "--out", tmp_path / "seen").json
    assert [one["name"].rpartition("#")[2] for one in frames] == ["0", "1", "2", "3"]
    for i, frame in enumerate(frames):  # compression moves a few pixels; another frame's shares are further away
        still = pumice("predict", source / f"{i}.png", *ask).json[0]["shares"]
        assert all(abs(frame["shares"].get(name, 0) - share) < 0.05 for name, share in still.items())
    assert frames[0]["shares"] != frames[1]["shares"]
    with Video(str(tmp_path / "seen/film.mp4")) as drawn:
        sizes = {frame.size for frame in drawn}
    with Image.open(source / "0.png") as image:
        assert len(sizes) == 1
        assert sizes.pop()[1] > image.height  # the names of the classes are below
    (tmp_path / "no.mp4").write_text("no film")
    assert "cannot read the video" in pumice("predict", tmp_path / "no.mp4", *ask).sentence


def test_persons_are_looked_for_where_a_detector_saw_them(
    files: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    image = data["keypoints"] / "val" / "0.png"
    truth = json.loads((data["keypoints"] / "annotations/person_keypoints_val.json").read_text())
    people = [one for one in truth["annotations"] if one["image_id"] == 0]
    given = tmp_path / "boxes.json"
    given.write_text(json.dumps([{"image_id": 0, "category_id": 1, "bbox": p["bbox"], "score": 0.5} for p in people]))
    found = pumice("predict", image, "--model", files["keypoints"], "--boxes", given, "--json").json
    persons = found[0]["persons"]
    assert len(persons) == len(people) == 2
    for person, annotated in zip(persons, people, strict=True):
        x, y, width, height = annotated["bbox"]
        assert person["box"] == [x, y, x + width, y + height]
        assert x - width < person["joints"][2]["x"] < x + 2 * width
    whole = pumice("predict", image, "--model", files["keypoints"], "--json").json
    assert whole[0]["persons"][0]["box"] == [0, 0, 80, 64]
    chained = pumice("predict", image, "--model", files["keypoints"], "--detector", files["detect"], "--json")
    assert chained.code == 0
    assert isinstance(chained.json[0]["persons"], list)
    assert "says nothing of" in pumice("predict", image.with_name("1.png"), *_asked(files, given)).sentence


def _asked(files: dict[str, Path], boxes: Path) -> tuple[Any, ...]:
    return ("--model", files["keypoints"], "--boxes", boxes)


def test_boxes_that_predict_has_written(tmp_path: Path) -> None:
    told = [
        {"name": "a/1.jpg", "boxes": [{"class": "dog", "box": [0, 0, 9, 9], "score": 0.9}, _person(3)]},
        {"name": "b.jpg", "boxes": [{"class": "x", "box": [0, 0, 5, 5], "score": 0.4}]},
        {"name": "c.jpg", "error": "cannot be read"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(told))
    boxes = read_person_boxes(tmp_path / "a.json")
    image = Image.new("RGB", (8, 8))
    assert boxes("elsewhere/00001.png", image) == [(3.0, 0.0, 7.0, 7.0, 0.5)]  # the person alone
    assert boxes("b.png", image) == [(0.0, 0.0, 5.0, 5.0, 0.4)]
    (tmp_path / "b.json").write_text('[{"name": "a"}]')
    with pytest.raises(BadInput, match="no detection"):
        read_person_boxes(tmp_path / "b.json")


def _person(left: float) -> dict[str, Any]:
    return {"class": "person", "box": [left, 0, 7, 7], "score": 0.5}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--task", "detekt"), "there is no dense task 'detekt'; did you mean 'detect'"),
        (("--task", "detect", "--set", "task.zoom_ot=2"), "detect has no option 'zoom_ot'; did you mean 'zoom_out'"),
        (("--task", "detect", "--set", "task.hflip=yes"), "task.hflip='yes' is not a number"),
        (("--task", "detect", "--set", "augment.hflip=0"), "augment.hflip is for task=classify"),
        (("--task", "detect", "--set", "augment.mixup=0.2"), "augment.mixup is for task=classify"),
        (("--task", "detect", "--set", "train.label_smoothing=0.2"), "label_smoothing=0.2 is for task=classify"),
        (("--task", "detect", "--partner", "full_rank"), "partner=full_rank is for task=classify"),
        (("--task", "segment", "--teacher", "micronet_m1"), "teacher=micronet_m1 is for task=classify"),
        (("--task", "segment", "--set", "data.balanced=true"), "balanced=True is for task=classify"),
        (("--task", "segment", "--set", "data.streaming=true"), "streaming=True is for task=classify"),
        (("--task", "segment", "--model", "pelee_voc"), "pelee_voc is a net to detect; to segment, name a classifier"),
        (("--task", "segment", "--model", "ssdlite:micronet_m0"), "is a net to detect, not to segment"),
        (("--task", "segment", "--model", "micronet_m9"), "micronet_m9"),
        (("--set", "task.hflip=0"), "task.hflip is an option of dense tasks"),
        (("--img-size", "64x"), "img_size='64x' is not a whole number or a list of numbers"),
    ],
)
def test_what_does_not_go_together_is_refused(
    args: tuple[str, ...], said: str, data: dict[str, Path], here: Path, pumice: Pumice
) -> None:
    model = () if "--model" in args else ("--model", "micronet_m0")
    task = args[1] if args[0] == "--task" and args[1] in DATA else "segment"
    done = pumice("train", data[task], *model, *args, "--out", here / "run")
    assert done.code == 2
    assert said in done.sentence
    assert list(here.iterdir()) == []


def test_other_verbs_refuse_in_words(
    runs: dict[str, Path], files: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    image = data["detect"] / "val" / "0.png"
    said = pumice("predict", image, "--model", files["segment"], "--score", "0.5").sentence
    assert "leave --score out" in said
    said = pumice("predict", image, "--model", files["detect"], "--detector", files["detect"]).sentence
    assert "looks at whole images" in said
    said = pumice("export", runs["detect"], "--out", tmp_path / "a.onnx", "--dynamic", "size").sentence
    assert "laid out for one size" in said
    said = pumice("val", files["detect"], tmp_path / "nothing").sentence
    assert "there is no folder" in said
    assert list(tmp_path.iterdir()) == []


def test_a_detector_of_another_size_has_its_own_boxes(
    runs: dict[str, Path], data: dict[str, Path], tmp_path: Path, pumice: Pumice
) -> None:
    file = tmp_path / "larger.pt2"  # its boxes are the network's, whatever the format
    assert pumice("export", runs["detect"], "--input", "3x128x128", "--no-check", "--out", file).code == 0
    judged = pumice("val", file, data["detect"], "--json")
    assert judged.code == 0
    assert judged.json["count"] == 4
