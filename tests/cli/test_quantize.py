"""`pumice quantize`: from a run to a file that every verb takes; refused inputs leave nothing behind."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pumice.cost.remote.runner import time_items
from pumice.cost.timing import Timing
from pumice.data.open import open_data
from pumice.deploy.carried import read_quantised
from pumice.deploy.export import Exported, export
from pumice.deploy.schemes.calibrate import drawn_images
from pumice.deploy.schemes.quantise import Quantised, quantise
from pumice.deploy.session import open_session
from pumice.loop.quantising import floats, quantize, tries
from pumice.models.source import load_source

ORT = ("--scheme", "onnxruntime-int8")
QUICK = ("--images", "44", "--val-images", "200")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """ms by what a contender's name ends in; nothing is measured."""
    ms = {"fp32": 4.0, "plain": 2.0}

    def time(items: Any) -> list[Timing]:
        assert all(Path(item.file).is_file() for item in items)
        found = []
        for item in items:
            now = next(value for end, value in ms.items() if item.name.endswith(end))
            interval = (0.98 * now, 1.02 * now)
            figures = {"p50_ms": now, "p90_ms": now, "cpu_p50_ms": now, "ci95": interval, "cpu_ci95": interval}
            found.append(
                Timing(item.name, item.runtime, "cpu", 1, 1, "x", (3, 32, 32), 9, 1, busy=False, **figures)  # type: ignore[arg-type]
            )
        return found

    monkeypatch.setattr(tries, "time_items", time)
    monkeypatch.setattr(quantize, "time_fresh", time)
    return ms


@pytest.fixture(scope="module")
def files(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """float.onnx and int8.onnx of the run, made once."""
    folder = tmp_path_factory.mktemp("files")
    export(digits_run, folder / "float.onnx")
    model, manifest = load_source(digits_run)
    images = drawn_images(open_data("digits").train, "digits", manifest, 44)
    quantise(model, folder / "int8.onnx", images, scheme="onnxruntime-int8", manifest=manifest)
    return folder


@pytest.fixture
def copied(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are copied instead of written."""

    def exported(model: Any, path: Path, **how: Any) -> Exported:
        shutil.copyfile(files / "float.onnx", path)
        return Exported(path, "onnx", path.stat().st_size, {"onnxruntime": 0.0, "openvino": 0.0})

    def quantised(model: Any, path: Path, images: Any, *, scheme: str, **how: Any) -> Quantised:
        assert (scheme, images.shape) == ("onnxruntime-int8", (44, 3, 32, 32))
        shutil.copyfile(files / "int8.onnx", path)
        return Quantised(path, scheme, "onnx", path.stat().st_size, (), False, 1.0, {})

    monkeypatch.setattr(floats, "export", exported)
    monkeypatch.setattr(tries, "quantise", quantised)


@pytest.fixture
def run(digits_run: Path, here: Path) -> Path:
    """A copy, since the record goes there."""
    shutil.copytree(digits_run, here / "run")
    return here / "run"


@pytest.mark.usefixtures("copied")
def test_one_scheme_is_written_whatever_it_costs(
    pumice: Any, monkeypatch: pytest.MonkeyPatch, run: Path, here: Path
) -> None:
    monkeypatch.setattr(tries, "time_items", partial(time_items, time_limit_s=0.5))
    said = pumice("quantize", run, "--data", "digits", *ORT, *QUICK, "--out", here / "q.onnx", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert found["chosen"]["file"] == found["out"] == str(here / "q.onnx")
    assert found["chosen"]["bytes"] == (here / "q.onnx").stat().st_size
    assert found["chosen"]["timing"]["dtype"] == "int8"
    times = found["baseline"]["figure_ms"] / found["chosen"]["figure_ms"]
    assert found["chosen"]["times_faster"][0] == pytest.approx(times)
    assert ("warning: not faster than" in said.err) == (
        found["chosen"]["figure_ci"][1] >= found["baseline"]["figure_ci"][0]
    )
    assert json.loads((run / "quantise.json").read_text())["chosen"] == found["chosen"]
    # The file is what was judged, on the images that the run was judged on.
    again = pumice("val", here / "q.onnx", "digits", "--json")
    assert again.code == 0, again.err
    assert found["chosen"]["drop"]["images"] == found["val_images"] == 200
    assert abs(found["chosen"]["top1"] - again.json["top1"]) < 0.1
    assert abs(found["chosen"]["drop"]["points"]) < 5
    # It is quantised now, and is not quantised again.
    twice = pumice("quantize", here / "q.onnx", "--data", "digits", "--out", here / "r.onnx")
    assert (twice.code, "is quantised already (onnxruntime-int8)" in twice.sentence) == (2, True)


@pytest.mark.usefixtures("copied")
def test_auto_takes_what_is_faster(pumice: Any, timed: dict[str, float], run: Path, here: Path) -> None:
    args = ("quantize", run, "--auto", *ORT, *QUICK, "--max-drop", "8", "--out", here / "q")
    said = pumice(*args)  # the run's own data
    assert said.code == 0, said.err
    assert f"wrote {here / 'q'} (onnxruntime-int8, plain" in said.out
    assert "fewer than 2,000 images" in said.out
    assert {path.name for path in (here / "q").iterdir()} == {"model.onnx"}
    assert pumice("predict", "digits", "--model", here / "q", "--json").code == 0


@pytest.mark.usefixtures("copied")
def test_auto_stays_with_float(
    pumice: Any, timed: dict[str, float], run: Path, here: Path, files_in: Callable[[Path], dict[str, bytes]]
) -> None:
    timed["plain"] = 4.1
    before = files_in(here)
    args = ("quantize", run, "--data", "digits", "--auto", *ORT, *QUICK, "--out", here / "q")
    said = pumice(*args, "--json")
    assert said.code == 0, said.err
    found = said.json
    assert (found["chosen"], found["out"]) == (None, None)
    assert [one["status"] for one in found["tried"]] == ["slower"]
    assert found["baseline"]["figure_ms"] == 4.0
    assert {one["runtime"] for one in found["baseline"]["all"]} == {"onnxruntime", "openvino"}
    after = files_in(here)
    assert after.pop("run/quantise.json")
    assert after == before, "nothing was written but the record"
    kept = pumice(*args, "--keep-float", "--json").json
    assert (kept["chosen"], kept["out"]) == (None, str(here / "q"))
    checked = pumice("verify", here / "q", "--against", run, "--json").json
    assert checked["ok"]


@pytest.mark.usefixtures("copied")
def test_a_checkpoint_alone_has_its_record_beside_the_file(
    pumice: Any, timed: dict[str, float], run: Path, here: Path
) -> None:
    (here / "alone").mkdir()
    shutil.copyfile(run / "best.safetensors", here / "alone" / "w.safetensors")
    out = here / "made" / "q.onnx"
    said = pumice("quantize", here / "alone" / "w.safetensors", "--data", "digits", *QUICK, "--out", out)
    assert said.code == 0, said.err
    assert {path.name for path in (here / "made").iterdir()} == {"q.onnx", "quantise.json"}


def test_qat_tunes_before(pumice: Any, timed: dict[str, float], run: Path, files: Path, here: Path) -> None:
    timed["tuned"] = 2.0
    asked = ("--data", "digits", *ORT, *QUICK, "--runtime", "onnxruntime", "--qat", "--json")
    said = pumice("quantize", run, *asked, "--epochs", "1", "--out", "q.onnx")
    assert said.code == 0, said.err
    assert "tuning for 8 bits: 1 epoch\n" in said.err
    chosen = said.json["chosen"]
    assert (chosen["how"], chosen["tuned"], said.json["qat_epochs"]) == ("tuned", True, 1)
    record, plain = read_quantised(here / "q.onnx"), read_quantised(files / "int8.onnx")
    assert record is not None
    assert plain is not None
    assert (record["tuned"], plain["tuned"]) == (True, False)
    with open_session(here / "q.onnx") as one, open_session(files / "int8.onnx") as other:
        x = np.random.default_rng(0).standard_normal((1, *one.input_size)).astype(np.float32)
        assert not np.allclose(one.run(x), other.run(x), rtol=1e-2), "weights were learnt"
    assert chosen["top1"] > said.json["baseline"]["top1"] - 0.1
    shutil.copyfile(files / "float.onnx", run / "model.onnx")
    said = pumice("quantize", run / "model.onnx", *asked, "--out", "r.onnx")
    assert (said.code, "is a model file, and tuning starts from weights" in said.err) == (2, True)
    said = pumice("quantize", run, *asked, "--epochs", "0", "--out", "r.onnx")
    assert said.code == 2
    assert not (here / "r.onnx").exists()


def test_refusals_leave_nothing(
    pumice: Any, run: Path, here: Path, folder_of: Callable[..., Path], files_in: Callable[[Path], dict[str, bytes]]
) -> None:
    (here / "empty").mkdir()
    folder_of(here / "photos", bright=8, dark=8)
    shutil.copyfile(run / "best.safetensors", here / "w.safetensors")
    (here / "q.onnx").write_bytes(b"no model")
    before = files_in(here)
    data = ("--data", "digits")
    for wrong, args in {
        "empty": (run, "--data", "empty"),
        "trained on": (run, "--data", "photos"),
        "digist": (run, "--data", "digist"),
        "no file": ("nowhere.onnx", *data),
        "nowhere": ("nowhere/run", *data),
        "does not say which data": ("w.safetensors",),
        "does not know its classes": ("micronet_m0", *data),
        "drop of -1 points": (run, *data, "--max-drop", "-1"),
        "threads cannot run": (run, *data, "--threads", "9999"),
        "no scheme 'int8'": (run, *data, "--scheme", "int8"),
        "no runtime 'tensorrt'": (run, *data, "--runtime", "tensorrt"),
    }.items():
        said = pumice("quantize", *args, "--auto", "--out", "out.onnx")
        assert said.code == 2, (wrong, said.err)
        assert wrong in said.err.splitlines()[-1]
    said = pumice("quantize", run, *data, "--out", "q.pt2")
    assert "no scheme at hand writes" in said.sentence
    assert "end it in .onnx or " in said.sentence
    assert files_in(here) == before


def test_nets_for_other_tasks(pumice: Any, here: Path) -> None:
    said = pumice("quantize", "ssdlite:mobilenetv3_small_050", "--data", "digits", "--out", "q.onnx")
    assert (said.code, "is a net to detect" in said.sentence) == (2, True)


@pytest.mark.slow
def test_every_scheme_measured(pumice: Any, run: Path, here: Path) -> None:
    said = pumice("quantize", run, "--data", "digits", "--auto", *QUICK, "--max-drop", "5", "--out", "q", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert {one["scheme"] for one in found["tried"]} >= {"openvino-int8", "onnxruntime-int8"}
    for one in found["tried"]:
        if one["status"] in ("accepted", "chosen"):
            assert one["figure_ci"][1] < found["baseline"]["figure_ci"][0]
            assert one["drop"]["high"] <= 5
    assert (found["chosen"] is None) == (not Path("q").exists())
