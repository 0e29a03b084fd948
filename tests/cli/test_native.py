"""`pumice export --format native` and `c`: what is printed, and that other verbs take the files."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pumice.cli import export as verb
from pumice.cost.timing import Timing
from pumice.deploy.probes import natural_images
from tests.deploy.test_native import MANIFEST, TINY, tiny

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")


@pytest.fixture
def tiny_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "load", lambda source, pretrained: (tiny(), MANIFEST))
    monkeypatch.setattr(verb, "MEASURING_S", 0.3)


def test_export_says_which_runtime_is_faster_here(pumice, tiny_by_name, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    file = tmp_path / "tiny.so"
    said = pumice("export", "tiny", "--format", "native", "--out", file)
    assert said.code == 0
    assert "agrees to" in said.out
    assert "onnxruntime" in said.out.split("speed", 1)[1]
    times = verb.beside(file, tiny())
    assert [(one.runtime, one.input_size) for one in times] == [("native", TINY), ("onnxruntime", TINY)]
    assert "measured" not in pumice("export", "tiny", "--out", file, "--no-check", "--json").json

    timed = pumice("benchmark", file, "--time", "0.5s", "--json")
    assert (timed.code, timed.json[0]["runtime"]) == (0, "native")
    natural_images(1, 20, 20)[0].save(tmp_path / "image.png")
    found = pumice("predict", tmp_path / "image.png", "--model", file, "--top-k", "1", "--json")
    assert found.json[0]["class"] in MANIFEST.classes
    refused = pumice("benchmark", file, "--runtime", "onnxruntime")
    assert (refused.code, refused.sentence) == (2, "onnxruntime does not read tiny.so; choose native")


def test_the_faster_one_is_named_with_its_figures():
    native = Timing.from_json(FIGURES)
    other = replace(native, runtime="onnxruntime", p50_ms=2.5, cpu_p10_ms=3.0)
    assert verb.faster(native, other) == "2.50x as fast as onnxruntime here (1 ms, onnxruntime 2.5 ms)"
    slower = verb.faster(replace(native, p50_ms=5.0), other)
    assert slower == "onnxruntime is 2.00x as fast here (5 ms, onnxruntime 2.5 ms); --format onnx writes its file"
    # Where one counts by CPU time, both do.
    busy = verb.faster(native, replace(other, busy=True))
    assert busy == "3.33x as fast as onnxruntime here (0.9 ms, onnxruntime 3 ms, CPU time on a busy machine)"


FIGURES = Timing(
    name="tiny",
    runtime="native",
    device="cpu",
    threads=1,
    batch=1,
    dtype="float32",
    input_size=TINY,
    repeats=50,
    passes_per_sample=1,
    p50_ms=1.0,
    p90_ms=1.1,
    mean_ms=1.0,
    cpu_p50_ms=1.0,
    cpu_p10_ms=0.9,
    ci95=(0.9, 1.1),
    cpu_ci95=(0.9, 1.1),
    busy=False,
    busy_why="",
    machine="",
    cores=(),
).to_json()
