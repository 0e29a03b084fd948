"""`pumice prune`: from a run to a run that every verb takes; refused inputs leave nothing behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pumice.cli.main import main
from pumice.cost.lut.table import Lut

HALF = ("--target-madds", "50%")


@pytest.fixture(scope="module")
def pruned_run(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on digits, cut to half by the command line and tuned for one epoch."""
    out = tmp_path_factory.mktemp("pruned") / "half"
    args = ["prune", str(digits_run), "--data", "digits", *HALF, "--epochs", "1", "--importance", "taylor"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["pumice", *args, "--set", "train.ema_decay=none", "--out", str(out)])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code in (None, 0)
    return out


def test_the_run_folder(pruned_run: Path, digits_run: Path) -> None:
    names = {path.name for path in pruned_run.iterdir()}
    assert names >= {"config.json", "environment.json", "data.json", "profile.json", "prune.json", "predictions.json"}
    assert names >= {"metrics.csv", "metrics.json", "best.safetensors", "README.md"}
    config, before = (json.loads((run / "config.json").read_text()) for run in (pruned_run, digits_run))
    assert config["verb"] == "prune"
    assert [config[name] for name in ("data", "seed", "val_fraction")] == ["digits", 0, before["val_fraction"]]
    record = json.loads((pruned_run / "prune.json").read_text())
    assert 0.45 < record["madds_after"] / record["madds_before"] <= 0.5
    assert record["params_after"] < 0.8 * record["params_before"]
    assert record["max_abs_diff_masked"] <= 1e-5
    assert record["max_rel_diff_masked"] <= 1e-5
    assert all(0 < len(kept) < record["groups"][name] for name, kept in record["kept"].items())
    metrics = json.loads((pruned_run / "metrics.json").read_text())
    was = json.loads((digits_run / "metrics.json").read_text())
    assert record["accuracy_before"] == pytest.approx(was["val"]["top1"])
    assert record["accuracy_after"] == pytest.approx(metrics["val"]["top1"])
    assert metrics["madds"] == record["madds_after"]
    assert metrics["manifest"]["model"]["widths"]
    card = (pruned_run / "README.md").read_text()
    assert card.startswith("# shufflenetv2_050, pruned at 3×32×32")
    assert "remain; asked for: 50%" in card
    assert "published" not in card.split("## Where the network comes from")[1].split("##")[0]


def test_every_verb_takes_it(pumice: Any, pruned_run: Path, here: Path) -> None:
    record = json.loads((pruned_run / "prune.json").read_text())
    assert pumice("val", pruned_run, "--json").json["top1"] == pytest.approx(record["accuracy_after"])
    assert pumice("profile", pruned_run, "--json").json["madds"] == record["madds_after"]
    made = pumice("export", pruned_run, "--out", here / "m.onnx", "--json").json
    assert made["checked"]["onnxruntime"] < 1e-4
    checked = pumice("verify", here / "m.onnx", "--against", pruned_run, "--data", "digits", "--json").json
    assert checked["ok"]
    wrong = pumice("verify", here / "m.onnx", "--against", "shufflenetv2_050")
    assert wrong.code == 1
    assert pumice("report", pruned_run, "--out", here / "r.html").code == 0
    assert "shufflenetv2_050, pruned" in (here / "r.html").read_text()


def test_the_network_file_is_a_name(pumice: Any, pruned_run: Path, here: Path) -> None:
    record = json.loads((pruned_run / "prune.json").read_text())
    for name in ("best.json", "best.safetensors"):
        shutil.copyfile(pruned_run / name, here / name)
    counts = (record["madds_after"], record["params_after"])
    (listed,) = pumice("list", "--from", str(pruned_run), "--json").json
    assert (listed["madds"], listed["params"], listed["pruned"]) == (*counts, True)
    assert listed["search"]["accuracy"] == record["accuracy_after"]
    assert "shufflenetv2_050, pruned" in pumice("list", "--from", str(pruned_run)).out
    for verb in ("info", "profile"):
        said = pumice(verb, "best.json", "--json").json
        assert (said["madds"], said["params"]) == counts
    said = pumice("val", pruned_run / "best.json", "--json")
    assert said.code == 0, said.err
    top1 = pytest.approx(record["accuracy_after"])
    assert said.json["top1"] == top1
    args = ("--epochs", "1", "--set", "data.val_fraction=0.9", "--set", "optim.lr=1e-9", "--json")
    said = pumice("train", "digits", "--model", "best.json", *args, "--out", here / "on")
    assert said.code == 0, said.err
    assert said.json["val"]["top1"] > record["accuracy_after"] - 0.05, "trained from its weights"
    metrics = json.loads((here / "on" / "metrics.json").read_text())
    assert (metrics["madds"], metrics["params"]) == counts
    again = pumice("prune", "best.json", "--target-madds", "60%", "--out", here / "again", "--json")
    assert (again.code, again.json["madds_before"]) == (0, counts[0])

    (here / "best.safetensors").unlink()
    assert "keep best.safetensors beside it" in pumice("val", "best.json", "digits").sentence
    assert "trained from its weights" in pumice("train", "digits", "--model", "best.json").sentence
    damaged = json.loads((here / "best.json").read_text()) | {"widths": {"nowhere": {"groups": 2}}}
    (here / "best.json").write_text(json.dumps(damaged))
    assert "names 'nowhere'" in pumice("info", "best.json").sentence


def test_training_goes_on_from_it_and_it_can_be_cut_again(pumice: Any, pruned_run: Path, here: Path) -> None:
    weights = str(pruned_run / "best.safetensors")
    args = ("digits", "--model", "shufflenetv2_050", "--weights", weights, "--img-size", "32", "--epochs", "1")
    said = pumice("train", *args, "--set", "data.val_fraction=0.9", "--out", here / "on", "--json")
    assert said.code == 0, said.err
    record = json.loads((pruned_run / "prune.json").read_text())
    metrics = json.loads((here / "on" / "metrics.json").read_text())
    assert (metrics["madds"], metrics["params"]) == (record["madds_after"], record["params_after"])
    again = pumice("prune", here / "on", "--target-madds", "60%", "--out", here / "again", "--json")
    assert again.code == 0, again.err
    assert again.json["madds_before"] == record["madds_after"]
    assert again.json["madds_after"] <= 0.6 * record["madds_after"]
    assert again.json["accuracy_after"] is None
    assert pumice("profile", here / "again", "--json").json["madds"] == again.json["madds_after"]


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv2_035",
        pytest.param("ssdlite:mobilenetv3_small_100", marks=pytest.mark.slow),
        pytest.param("timm:resnet18", marks=pytest.mark.slow),
    ],
)
def test_a_name_without_data(pumice: Any, name: str, here: Path) -> None:
    said = pumice("prune", name, *HALF, "--out", here / "small", "--json")
    assert said.code == 0, said.err
    assert said.json["madds_after"] <= 0.5 * said.json["madds_before"]
    assert said.json["max_rel_diff_masked"] <= 1e-5
    metrics = json.loads((here / "small" / "metrics.json").read_text())
    assert metrics["finished"]
    assert "val" not in metrics
    assert pumice("profile", here / "small", "--json").json["madds"] == said.json["madds_after"]
    assert pumice("report", here / "small", "--out", here / "r.html").code == 0


def table(file: Path, runtime: str = "onnxruntime") -> Path:
    """Of a board where every block takes the same, so that no width changes the latency."""
    Lut(
        **{"machine": "A board (0f0f0f0f)", "machine_key": "0f0f0f0f", "runtime": runtime, "runtime_version": "1.0"},
        **{"threads": 1, "built_at": "2026-11-25T00:00:00+00:00", "pumice": None, "entries": {}, "regressions": {}},
    ).save(file)
    return file


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("mobilenetv2_035",), "give either"),
        (("mobilenetv2_035", *HALF, "--target-latency", "3ms"), "give either"),
        (("mobilenetv2_035", "--target-madds", "50"), "has no unit; write 50%"),
        (("mobilenetv2_035", "--target-madds", "120%"), "less than 100%"),
        (("mobilenetv2_035", "--target-madds", "1%"), "the fewest that its structure allows"),
        (("mobilenetv2_035", "--target-madds", "900M"), "nothing to prune"),
        (("mobilenetv2_035", "--target-latency", "3"), "has no unit"),
        (("mobilenetv2_035", *HALF, "--lut", "board.json"), "give --target-latency 3ms with --lut"),
        (("mobilenetv2_035", "--target-latency", "3ms", "--lut", "nothing.json"), "nothing.json"),
        (
            ("mobilenetv2_035", "--target-latency", "3ms", "--lut", "board.json", "--runtime", "openvino"),
            "board.json is a table of onnxruntime, not of openvino",
        ),
        (
            ("mobilenetv2_035", "--target-latency", "0.1ms", "--lut", "board.json"),
            "the fastest that its structure allows",
        ),
        (("mobilenetv2_035", "--target-latency", "3ms", "--runtime", "warp"), "runtime 'warp' is not on this machine"),
        (("mobilenetv2_035", *HALF, "--importance", "taylor"), "taylor importance needs images"),
        (("mobilenetv2_035", *HALF, "--importance", "l7"), "importance 'l7' is unknown"),
        (("mobilenetv2_035", *HALF, "--epochs", "3"), "give --data"),
        (("mobilenetv9", *HALF), "no network is called 'mobilenetv9'"),
        (("notes.txt", *HALF), "notes.txt is neither a run folder"),
        (("empty", *HALF), "holds no best.safetensors"),
        (("squeezenet1_1", *HALF, "--importance", "bn"), "no batch norms"),
        (("lraspp:mobilenetv3_small_100", *HALF, "--data", "digits"), "pruning tunes classifiers"),
        (("mobilenetv2_035", *HALF, "--data", "nowhere"), "nowhere"),
        (("mobilenetv2_035", *HALF, "--out", "full"), "full"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(pumice: Any, here: Path, args: tuple[str, ...], said: str) -> None:
    table(here / "board.json")
    (here / "notes.txt").write_text("no network")
    (here / "empty").mkdir()
    (here / "full").mkdir()
    (here / "full" / "mine").write_text("")
    before = sorted(str(path) for path in here.rglob("*"))
    refused = pumice("prune", *args, *(() if "--out" in args else ("--out", "small")))
    assert refused.code == 2, refused.err
    assert said in refused.sentence
    assert sorted(str(path) for path in here.rglob("*")) == before


def test_data_of_other_classes_than_the_run(pumice: Any, digits_run: Path, here: Path, folder_of: Any) -> None:
    folder = folder_of(here / "photos", bright=4, dark=4)
    refused = pumice("prune", digits_run, "--data", folder, *HALF, "--out", here / "small")
    assert refused.code == 2
    assert "was trained on" in refused.sentence
    assert not (here / "small").exists()
