"""`fit` from images to a verified file.  Latencies are given, so that the outcome does not depend on the machine."""

import io
import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image

from pumice.errors import BadInput, CheckFailed
from pumice.loop import screen, ship
from pumice.loop.fit import fit

from .test_candidates import candidate, timing


@pytest.fixture
def photos(tmp_path):
    """Two classes that differ in colour, so that a few steps tell them apart; class2 sorts before class10."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 8)):
        for name, colour in (("class2", (200, 40, 40)), ("class10", (40, 40, 200))):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(np.array(colour) + rng.normal(0, 30, (40, 40, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def given(monkeypatch, tmp_path):
    """Latency by size: 1 ms at 96 pixels, growing with the area; the fresh process says the same."""
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    measured = []

    def ms(size: int) -> float:
        return size * size / 96 / 96

    def measure(wanted, config, net):
        for c in wanted:
            measured.append((c.model, c.size, c.runtime))
            c.timings.append(timing(ms(c.size)))

    monkeypatch.setattr(screen, "measure", measure)
    monkeypatch.setattr(ship, "measure_file", lambda file, c, threads: timing(ms(c.size)))
    return measured


def test_a_file_comes_out_and_says_what_it_is(photos, given, tmp_path):
    said = []
    out = tmp_path / "run"
    result = fit(
        photos,
        max_latency_ms=1.2,
        time_s=10,
        out=out,
        models=("mobilenetv3_small_035",),
        runtime="onnxruntime",
        say=said.append,
    )
    assert (result.model, result.input_size, result.within_budget) == ("mobilenetv3_small_035", (3, 96, 96), True)
    assert result.bound_ms == 1.0
    for name in (
        "config",
        "environment",
        "candidates",
        "rungs",
        "metrics",
        "profile",
        "verify",
        "benchmark",
        "predictions",
    ):
        assert json.loads((out / f"{name}.json").read_text()), name
    for name in ("model.onnx", "best.safetensors", "model.md", "report.html", "metrics.csv"):
        assert (out / name).stat().st_size > 100, name
    assert not list(out.glob(".*")), "scratch files are left"
    assert not (out / "trial.onnx").exists()

    from pumice.deploy.session import open_session
    from pumice.deploy.verify import verify
    from pumice.models.source import load_source

    assert verify(out / "model.onnx", out, data=str(photos)).ok
    _, manifest = load_source(out)
    assert manifest.classes == ("class2", "class10")
    assert manifest.preprocess.size == (96, 96)
    assert manifest.budget == {"max_latency_ms": 1.2, "runtime": "onnxruntime", "threads": 1}
    with open_session(out / "model.onnx") as session:
        red, blue = (Image.new("RGB", (50, 50), colour) for colour in ((200, 40, 40), (40, 40, 200)))
        logits = [session.run(manifest.preprocess(image)[None])[0] for image in (red, blue)]
    assert abs(logits[0] - logits[1]).max() > 1e-3, "the file ignores its input"
    candidates = json.loads((out / "candidates.json").read_text())
    assert [c["input_size"][1] for c in candidates if c["status"] == "shipped"] == [96]
    assert all(c["status"] == "over budget" and c["reason"] for c in candidates if c["input_size"][1] > 96)
    assert json.loads((out / "data.json").read_text())["images"]["val"] == {"class2": 8, "class10": 8}
    assert len((out / "predictions.csv").read_text().splitlines()) == 1 + 16
    sheet = json.loads((out / "predictions.json").read_text())
    import base64

    Image.open(io.BytesIO(base64.b64decode(sheet[0]["image"].partition(",")[2]))).verify()

    with pytest.raises(BadInput, match="another run"):
        fit(photos, time_s=30, out=out)


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_compiled_code_ships_too(photos, given, tmp_path, monkeypatch):
    compiled = screen.measure_compiled

    def measure(candidate, config, net, deadline):
        if candidate.size == 96:
            compiled(candidate, config, net, math.inf)
            assert candidate.timings.pop().p50_ms > 0
        candidate.timings.append(timing(candidate.size**2 / 96**2))

    monkeypatch.setattr(screen, "measure_compiled", measure)
    out = tmp_path / "run"
    models = ("mobilenetv3_small_035",)
    result = fit(photos, max_latency_ms=1.2, time_s=10, out=out, models=models, runtime="native")
    assert (result.file, result.runtime, result.input_size) == (out / "model.so", "native", (3, 96, 96))
    assert not given, "measured in another runtime"
    assert not [left for left in out.iterdir() if left.name.startswith(("trial", ".")) or left.suffix == ".onnx"]
    assert json.loads((out / "metrics.json").read_text())["file"] == "model.so"
    assert "only when trusted" in (out / "model.md").read_text()

    from pumice.deploy.session import open_session

    with open_session(out / "model.so") as session:
        assert session.runtime == "native"
        assert session.manifest.budget == {"max_latency_ms": 1.2, "runtime": "native", "threads": 1}
        red, blue = (Image.new("RGB", (50, 50), colour) for colour in ((200, 40, 40), (40, 40, 200)))
        logits = [session.run(session.manifest.preprocess(image)[None])[0] for image in (red, blue)]
    assert abs(logits[0] - logits[1]).max() > 1e-3, "the file ignores its input"


def test_code_is_compiled_for_this_machine_and_by_a_compiler(photos, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="runtime native is compiled for this machine; leave out --on"):
        fit(photos, time_s=30, out=tmp_path / "run", runtime="native", on="ssh:pi")
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(BadInput, match="no C compiler '/nowhere/cc'"):
        fit(photos, time_s=30, out=tmp_path / "run", runtime="native")
    assert not (tmp_path / "run").exists()


def test_no_time_is_left_to_compile(given):
    late = candidate("micronet_m0", 96)
    screen.measure_compiled(late, None, None, deadline=0.0)
    assert (late.timings, late.reason) == ([], "no time left to measure it")


def test_an_impossible_budget_says_by_how_much(photos, given, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(CheckFailed, match=r"closest is mobilenetv3_small_035 at 96 in onnxruntime: latency 1 ms is 2x"):
        fit(photos, max_latency_ms=0.5, time_s=30, out=out, models=("mobilenetv3_small_035",), runtime="onnxruntime")
    assert not (out / "model.onnx").exists()
    assert json.loads((out / "metrics.json").read_text())["within_budget"] is False
    assert (out / "report.html").exists()


def test_a_file_that_turns_out_too_slow_does_not_ship(photos, given, tmp_path, monkeypatch):
    monkeypatch.setattr(ship, "measure_file", lambda file, c, threads: timing(9.0))
    out = tmp_path / "run"
    with pytest.raises(CheckFailed, match="nothing keeps this budget"):
        fit(photos, max_latency_ms=1.2, time_s=10, out=out, models=("squeezenet1_1",), runtime="onnxruntime")
    assert not (out / "model.onnx").exists()
    assert not (out / "best.safetensors").exists()
    mine = [c for c in json.loads((out / "candidates.json").read_text()) if c["bound_ms"] == 9.0]
    assert [c["status"] for c in mine] == ["over budget"]


@pytest.mark.slow
def test_when_the_machine_has_become_slower_faster_candidates_get_their_chance(photos, given, tmp_path, monkeypatch):
    # Screened at 1 ms for 96 pixels; as files everything takes 1.5 times as long.
    monkeypatch.setattr(ship, "measure_file", lambda file, c, threads: timing(1.5 * c.size * c.size / 96 / 96))
    models = ("mobilenetv3_small_035",)
    result = fit(photos, max_latency_ms=2.0, time_s=20, out=tmp_path / "run", models=models, runtime="onnxruntime")
    assert result.input_size == (3, 96, 96)
    assert result.bound_ms == 1.5


def test_larger_inputs_of_a_hopeless_network_are_not_measured(photos, given, tmp_path):
    with pytest.raises(CheckFailed):
        fit(photos, max_latency_ms=0.1, time_s=30, out=tmp_path / "run", models=("micronet_m0", "micronet_m1"))
    # The first network shows the speed of the machine; the second one's multiply-adds promise nothing better.
    assert {name for name, *_ in given} <= {"micronet_m0", "micronet_m1"}
    assert len({name for name, *_ in given}) == 1


def test_bad_data_leaves_no_folder(tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        fit(tmp_path / "nowhere", out=tmp_path / "run", time_s=30)
    assert not (tmp_path / "run").exists()


def test_an_unfinished_fit_is_begun_again_and_other_folders_are_not(photos, given, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        fit(photos, out=out, time_s=30)
    assert (out / "precious.txt").read_text() == "mine"
