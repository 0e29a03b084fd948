"""From images to a verified file by the command line: train, val, predict, export, verify, report."""

import contextlib
import csv
import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def onnx_file(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's network as `pumice export` writes it."""
    from pumice.cli.main import main

    file = tmp_path_factory.mktemp("files") / "m.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["pumice", "export", str(digits_run), "--out", str(file)])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code in (None, 0)
    return file


@pytest.fixture
def altered(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of the run with another classifier."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    run = tmp_path / "altered"
    shutil.copytree(digits_run, run)
    path = run / "best.safetensors"
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    key = next(key for key in reversed(tensors) if key.endswith("weight") and tensors[key].shape[0] == 10)
    save_file(tensors | {key: tensors[key].flip(0).contiguous()}, path, metadata=metadata)
    return run


def test_the_run_folder(digits_run: Path) -> None:
    names = {path.name for path in digits_run.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.csv",
        "metrics.json",
        "best.safetensors",
        "last.safetensors",
        "data.json",
        "profile.json",
        "predictions.csv",
        "predictions.json",
        "README.md",
    }
    assert not [name for name in names if ".part" in name]
    record = json.loads((digits_run / "metrics.json").read_text())
    assert record["finished"]
    assert record["val"]["top1"] > 0.25  # chance is 0.1


def test_the_card_of_a_run(pumice: Any, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what was found, and its code runs in the run's folder."""
    text = (digits_run / "README.md").read_text()
    record = json.loads((digits_run / "metrics.json").read_text())
    assert text.startswith("# shufflenetv2_050 at 3×32×32\n")
    top1, images = record["val"]["top1"], record["val"]["count"]
    assert f"| top-1 accuracy | {100 * top1:.1f} % | validation images: {images:,} |" in text
    assert f"| multiply-adds | {record['madds']:,} (" in text
    assert "$ pumice train digits --model shufflenetv2_050 --epochs 2 --img-size 32 --batch-size 32 --set" in text
    assert "Trained from random weights. 2 epochs in batches of 32 at 32 pixels; seed 0." in text
    assert "None" not in text.replace("[None]", "")
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    photos = run / "photos"
    photos.mkdir()
    picture().save(photos / "photo.jpg")
    shutil.copy(photos / "photo.jpg", run)
    monkeypatch.chdir(run)
    lines = [line for line in text.splitlines() if line.startswith("$ pumice ")]
    assert [line.split()[2] for line in lines] == ["predict", "val", "export", "train"]
    assert lines[2] == "$ pumice export . --out model.onnx"  # which the file of other tests is made by
    for line in lines[:2]:
        assert pumice(*shlex.split(line)[2:]).code == 0
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(blocks[0], {})
    assert printed.getvalue().strip() in "0123456789"
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**settings, "time_limit_s": 0.01}))
    exec(blocks[-1], {})
    assert (run / "again" / "best.safetensors").is_file()


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))


def test_a_card_is_not_written_over(pumice: Any, digits_run: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_run, tmp_path / "run")
    (tmp_path / "run" / "README.md").write_text("mine")
    assert pumice("train", "--resume", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "README.md").read_text() == "mine"
    (tmp_path / "run" / "README.md").unlink()
    assert pumice("train", "--resume", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "README.md").read_text() == (digits_run / "README.md").read_text()


def test_val_repeats_what_training_found(pumice: Any, digits_run: Path) -> None:
    record = pumice("val", digits_run, "--json").json
    trained = json.loads((digits_run / "metrics.json").read_text())["val"]
    assert record["count"] == trained["count"] == sum(map(sum, record["confusion"])) > 1000
    # float32 sums in another order may turn one image that lies between two classes
    assert record["top1"] == pytest.approx(trained["top1"], abs=1.5 / record["count"])
    recalls = [row[i] / sum(row) for i, row in enumerate(record["confusion"])]
    assert record["balanced_accuracy"] == pytest.approx(sum(recalls) / 10)
    assert record["top1"] <= record["top5"] <= 1
    said = pumice("val", digits_run)
    assert said.code == 0
    assert f"{100 * record['top1']:.1f} %" in said.out


def test_val_of_a_file(pumice: Any, digits_run: Path, onnx_file: Path) -> None:
    """Alone, a file does not say which images it was trained with."""
    said = pumice("val", onnx_file)
    assert said.code == 2
    assert "give the folder as second argument" in said.sentence
    record = pumice("val", onnx_file, "digits", "--json").json
    assert record["runtime"] in ("onnxruntime", "openvino")
    assert record["top1"] > 0.25


def test_val_on_other_classes(pumice: Any, digits_run: Path, tmp_path: Path, folder_of: Callable[..., Path]) -> None:
    said = pumice("val", digits_run, folder_of(tmp_path / "photos", bright=4, dark=4))
    assert said.code == 2
    assert f"photos has the classes 'bright', 'dark', but {digits_run} was trained on the classes '0'" in said.sentence


def test_val_on_a_class_added_removed_or_renamed(
    pumice: Any, digits_run: Path, here: Path, folder_of: Callable[..., Path]
) -> None:
    def folder(name: str, *classes: str) -> None:
        folder_of(here / name, **dict.fromkeys(classes, 2))

    digits = [str(i) for i in range(10)]
    folder("more", *digits, "zebra")
    folder("fewer", *digits[:-1])
    folder("renamed", *digits[:-1], "nine")
    folder("new/train", *digits)
    folder("new/val", *digits, "zebra")
    for name, words in {
        "more": f"more has the class 'zebra', which {digits_run} was not trained on; remove the folder",
        "fewer": f"fewer lacks the class '9', which {digits_run} was trained on; put the folder back",
        "renamed": f"renamed has the class 'nine' where {digits_run} was trained on '9'; rename it",
        "new": "new/val has class 'zebra', which the training images lack; remove it",
    }.items():
        said = pumice("val", digits_run, name)
        assert said.code == 2
        assert words in said.sentence


def test_predict(pumice: Any, digits_run: Path, here: Path) -> None:
    rows = pumice("predict", "digits", "--model", digits_run, "--top-k", "3", "--json").json
    assert len(rows) > 300
    assert len({row["class"] for row in rows}) > 4
    for row in rows:
        assert len(row["ranked"]) == 3
        best = [entry["probability"] for entry in row["ranked"]]
        assert best == sorted(best, reverse=True)
        assert row["probability"] == best[0]

    said = pumice("predict", "digits", "--model", digits_run, "--top-k", "3", "--csv", "out.csv")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["image", "class", "probability", "then"]
    assert len(lines) == len(rows) + 2
    with (here / "out.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert written[0] == [
        "image",
        *(f"{what}_{i}" for i in (1, 2, 3) for what in ("class", "probability")),
    ]
    assert [row[:2] for row in written[1:]] == [[row["name"], row["class"]] for row in rows]


def test_predict_names_what_it_cannot_read(
    pumice: Any, digits_run: Path, here: Path, folder_of: Callable[..., Path]
) -> None:
    folder_of(here / "photos", bright=2)
    (here / "photos/notes.txt").write_text("no image")
    (here / "photos/bright/text.jpg").write_text("no image")
    said = pumice("predict", "photos", "--model", digits_run)
    assert said.code == 0
    assert "photos/bright/text.jpg" in said.err
    assert "1 of 3 images skipped" in said.err
    assert "notes.txt" not in said.err  # a folder's other files are none of its images

    strict = pumice("predict", "photos", "--model", digits_run, "--strict")
    assert strict.code == 2
    assert "photos/bright/text.jpg" in strict.sentence

    alone = pumice("predict", "photos/notes.txt", "--model", digits_run)
    assert alone.code == 2
    assert "notes.txt" in alone.err
    assert "no image could be read" in alone.err


def test_export_and_verify(pumice: Any, digits_run: Path, onnx_file: Path, altered: Path) -> None:
    said = pumice("verify", onnx_file, "--against", digits_run, "--data", "digits")
    assert (said.code, said.err) == (0, "")
    record = pumice("verify", onnx_file, "--against", digits_run, "--data", "digits", "--json").json
    assert record["ok"]
    assert record["images"] == 64
    assert record["max_relative_error"] < 1e-4
    assert record["top1_agreement"] == 1.0

    wrong = pumice("verify", onnx_file, "--against", altered, "--data", "digits")
    assert wrong.code == 1
    assert "is not what" in wrong.sentence
    wrong = pumice("verify", onnx_file, "--against", altered, "--data", "digits", "--json")
    assert wrong.code == 1
    assert not wrong.json["ok"]


def test_verify_says_its_warnings(
    pumice: Any, digits_run: Path, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pumice.deploy.verify import Verification

    monkeypatch.setattr(Verification, "warnings", ("outputs: they hardly depend on the image",))
    said = pumice("verify", onnx_file, "--against", digits_run)
    assert said.code == 0
    assert said.err == "warning: outputs: they hardly depend on the image\n"


def test_export_says_what_it_wrote(pumice: Any, digits_run: Path, here: Path) -> None:
    record = pumice("export", digits_run, "--out", "net", "--format", "openvino", "--json").json
    assert record["format"] == "openvino"
    assert record["bytes"] == sum(path.stat().st_size for path in (here / "net").iterdir())
    assert record["checked"]["openvino"] < 1e-4
    assert sorted(path.name for path in here.iterdir()) == ["net"]


def test_report(pumice: Any, digits_run: Path, here: Path) -> None:
    pytest.importorskip("plotly")
    said = pumice("report", digits_run, "--out", "page.html")
    assert (said.code, said.err) == (0, "")
    page = (here / "page.html").read_text(encoding="utf-8")
    assert "shufflenetv2_050" in page
    assert 'src="http' not in page
    missing = pumice("report", "no-run", "--out", "other.html")
    assert missing.code == 2
    assert "no-run" in missing.sentence
    assert sorted(path.name for path in here.iterdir()) == ["page.html"]


def test_a_finished_run_is_resumed_without_change(
    pumice: Any, digits_run: Path, files_in: Callable[[Path], dict[str, bytes]]
) -> None:
    before = files_in(digits_run)
    said = pumice("train", "--resume", digits_run)
    assert said.code == 0
    assert "top-1" in said.out
    assert files_in(digits_run) == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "nothing to train"),
        (("digits",), "nothing to train"),
        (("--resume", "no-run"), "no-run holds no run to resume"),
        (("digits", "--model", "micronet_m0", "--resume", "x"), "give --resume DIR alone"),
        (("--resume", "x", "--epochs", "9"), "give --resume DIR alone"),
        (("--resume", "x", "--seed", "1"), "give --resume DIR alone"),
        (("digits", "--model", "micronet_00"), "did you mean 'micronet_m0'?"),
        (("digits", "--model", "micronet_m0", "--task", "detect"), "there is no folder digits with images to detect"),
        (("digits", "--model", "micronet_m0", "--epochs", "0"), "'--epochs'"),
        (("digits", "--model", "micronet_m0", "--set", "optim.lrr=0.1"), "optim.lr"),
        (("digits", "--model", "micronet_m0", "--set", "model.nonsense=1"), "no option 'nonsense'"),
        (("digits", "--model", "micronet_m0", "--freeze", "head"), "freeze"),
        (("digits", "--model", "micronet_m0", "--weights", "missing.pth"), "missing.pth"),
        (("digits", "--model", "micronet_m0", "--partner", "micronet_00"), "did you mean 'micronet_m0'?"),
        (
            ("digits", "--model", "shufflenetv2_050", "--partner", "full_rank"),
            "shufflenetv2_050 has no full-rank partner",
        ),
        (("digits", "--model", "micronet_m0", "--partner", "full_rank", "--teacher", "x"), "exclude each other"),
        (("digits", "--model", "micronet_m0", "--teacher", "micronet_m1"), "the teacher micronet_m1 is not trained"),
        (("digits", "--model", "micronet_m0", "--teacher-weights", "x.pth"), "name a teacher"),
        (("digitz", "--model", "micronet_m0"), "did you mean 'digits'?"),
        (("no/such/folder", "--model", "micronet_m0"), "there is no folder no/such/folder"),
    ],
)
def test_what_cannot_be_trained(pumice: Any, here: Path, args: tuple[str, ...], words: str) -> None:
    said = pumice("train", *args)
    assert said.code == 2
    assert words in said.sentence
    assert not list(here.glob("runs/*"))


def test_a_folder_that_holds_something_is_left_alone(
    pumice: Any, digits_run: Path, here: Path, files_in: Callable[[Path], dict[str, bytes]]
) -> None:
    (here / "mine").mkdir()
    (here / "mine/thesis.txt").write_text("years of work")
    for out in (here / "mine", digits_run):
        before = files_in(out)
        for verb in (("train", "digits", "--model", "micronet_m0"), ("fit", "digits", "--max-madds", "5M")):
            said = pumice(*verb, "--out", out)
            assert said.code == 2
            assert "choose another --out" in said.sentence
        assert files_in(out) == before


SHORT = ("--img-size", "32", "--batch-size", "32", "--set", "data.val_fraction=0.9", "--set", "train.ema_decay=none")


def test_ctrl_c_leaves_a_run_that_goes_on(pumice: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted at the end of the first epoch of two; the weights are those of a run that was left alone."""
    from pumice.train.console import Console

    train = ("train", "digits", "--model", "shufflenetv2_050", "--epochs", "2", *SHORT)
    assert pumice(*train, "--device", "cpu", "--out", "whole").code == 0
    assert json.loads((here / "whole/config.json").read_text())["accelerator"] == "cpu"
    with monkeypatch.context() as patch:
        print_line = Console.on_train_epoch_end

        def and_press(self: Any, *args: Any) -> None:
            print_line(self, *args)
            signal.raise_signal(signal.SIGINT)

        patch.setattr(Console, "on_train_epoch_end", and_press)
        said = pumice(*train, "--out", "run")
    assert said.code == 130
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert last == "pumice: stopped at epoch 2; continue with `pumice train --resume run`"
    assert "Traceback" not in said.err

    resumed = pumice("train", "--resume", "run")
    assert resumed.code == 0
    assert "epoch 2/2" in resumed.err
    assert "epoch 1/2" not in resumed.err
    assert (here / "run/last.safetensors").read_bytes() == (here / "whole/last.safetensors").read_bytes()


@pytest.mark.slow
def test_ctrl_c_at_the_terminal(here: Path) -> None:
    """A process of its own, interrupted in the middle of an epoch; 40 s."""
    train = ("train", "digits", "--model", "shufflenetv2_050", "--epochs", "3", *SHORT, "--out", "run")
    command = [sys.executable, "-m", "pumice.cli.main", *train]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("epoch 1/3"), line
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.splitlines()[-1].endswith("continue with `pumice train --resume run`")
    assert "Traceback" not in said
    again = [sys.executable, "-m", "pumice.cli.main", "train", "--resume", "run"]
    subprocess.run(again, check=True, timeout=120)
    assert json.loads((here / "run/metrics.json").read_text())["epochs"] == 3


@pytest.mark.slow
def test_ctrl_c_before_training(here: Path) -> None:
    """While torch is imported there is no run yet to go on with, but its folder begins again."""
    train = ("train", "digits", "--model", "shufflenetv2_050", "--epochs", "1", *SHORT, "--out", "run")
    with subprocess.Popen(
        [sys.executable, "-m", "pumice.cli.main", *train], stderr=subprocess.PIPE, text=True
    ) as process:
        while not (here / "run/config.json").exists():
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.count("\n") == 1
