"""`pumice export --format native` and `c`: what is printed, and that other verbs take the files."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pumice.cli import export as verb
from pumice.cli import export_auto
from pumice.cost.timing import Timing
from pumice.deploy.probes import natural_images
from pumice.deploy.session import open_session
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


@pytest.mark.parametrize(("fastest", "kept"), [("onnxruntime", "net.onnx"), ("native", "net.so")])
def test_auto_keeps_the_fastest_file(
    pumice, tiny_by_name, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fastest: str, kept: str
):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(export_auto, "TRIED", ("native", "onnx"))

    def measured(files: list[Path], time_limit_s: float) -> list[Timing]:
        runtimes = [{".so": "native", ".onnx": "onnxruntime"}[file.suffix] for file in files]
        native = Timing.from_json(FIGURES)
        return [replace(native, runtime=one, p50_ms=1.0 if one == fastest else 2.0) for one in runtimes]

    monkeypatch.setattr("pumice.cost.latency.benchmark", measured)
    said = pumice("export", "tiny", "--format", "auto", "--out", tmp_path / "net")
    assert said.code == 0
    assert kept in said.out
    assert "2.00 of the fastest" in said.out
    assert [file.name for file in tmp_path.iterdir()] == [kept]
    with open_session(tmp_path / kept) as session:
        assert session.runtime == fastest
    refused = pumice("export", "tiny", "--format", "auto", "--out", tmp_path / "net")
    assert (refused.code, refused.sentence.split("/")[-1]) == (
        2,
        f"{kept} is there already; give --out a name that is free",
    )


def test_auto_chooses_the_suffix(pumice, tiny_by_name, tmp_path: Path):
    refused = pumice("export", "tiny", "--format", "auto", "--out", tmp_path / "net.so")
    assert (refused.code, list(tmp_path.iterdir())) == (2, [])
    assert "the suffix follows from the format that is fastest" in refused.sentence
