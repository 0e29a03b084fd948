"""`pumice benchmark`, and devices and runtimes that are not there."""

from pathlib import Path
from typing import Any

import pytest


def test_every_name_in_every_runtime(pumice: Any) -> None:
    rows = pumice(
        "benchmark", "squeezenet1_0", "squeezenet1_1", "--runtime", "eager,onnxruntime", "--input", "3x64x64",
        "--time", "2s", "--json",
    ).json  # fmt: skip
    fields = {"p50_ms", "p90_ms", "cpu_p50_ms", "ci95", "busy", "threads", "batch", "runtime", "device"}
    assert all(fields <= row.keys() for row in rows)
    assert sorted((row["name"], row["runtime"]) for row in rows) == [
        (name, runtime) for name in ("squeezenet1_0", "squeezenet1_1") for runtime in ("eager", "onnxruntime")
    ]
    for row in rows:
        low, high = row["ci95"]
        assert 0 < low <= row["p50_ms"] <= high
        assert row["p50_ms"] <= row["p90_ms"]
        assert (row["threads"], row["batch"], row["device"]) == (1, 1, "cpu")
        assert row["input_size"] == [3, 64, 64]


def test_one_name_is_an_array_too_and_is_remembered(
    pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    monkeypatch.setattr("pumice.cost.timing.Timing.busy", False, raising=False)
    rows = pumice("benchmark", "micronet_m0", "--runtime", "eager", "--time", "1s", "--json").json
    assert [row["name"] for row in rows] == ["micronet_m0"]
    if not rows[0]["busy"]:
        found = pumice("list", "--max-latency", "10s", "--json").json
        assert [row["name"] for row in found] == ["micronet_m0"]


def test_threads_and_batches_in_one_series(pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every combination has a line; they go to the CSV and the page as well, and each is kept under its own key."""
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    monkeypatch.setattr("pumice.cost.machine.usable_cores", lambda: 2)
    said = pumice(
        "benchmark", "condensenet_light94_cifar", "--threads", "1,2", "--batch", "1,2", "--runtime", "eager",
        "--time", "1s", "--csv", tmp_path / "t.csv", "--page", tmp_path / "t.html", "--json",
    )  # fmt: skip
    assert said.code == 0
    rows = said.json
    assert [(row["threads"], row["batch"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for row in rows:
        assert row["images_per_s"] == pytest.approx(1e3 * row["batch"] / row["figure_ms"])
        assert row["figure_clock"] == ("cpu" if row["busy"] else "wall")
        assert row["mean_ms"] >= row["ci95"][0]
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 5
    assert "Measured 4 latencies" in (tmp_path / "t.html").read_text()
    assert len(pumice("list", "--measured", "--json").json) == 4
    # A net of ten classes is found by `list` too.
    found = pumice(
        "list", "condensenet_light94_cifar", "--runtime", "eager", "--threads", "2", "--no-measure", "--json"
    )
    assert [row["threads"] for row in found.json] == [2]


def test_a_run_for_people(pumice: Any, digits_run: Path) -> None:
    said = pumice("benchmark", digits_run, "--time", "1s")
    assert said.code == 0
    assert "3x32x32" in said.out
    assert "1 thread(s), batch 1, float32, cpu" in said.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("benchmark", "micronet_m0", "--runtime", "onnxruntim"), "did you mean 'onnxruntime'?"),
        (("benchmark", "micronet_m0", "--runtime", "tvm"), "no runtime 'tvm'"),
        (("benchmark", "micronet_x"), "no network is called 'micronet_x'"),
        (("benchmark", "micronet_m0", "--time", "30"), "--time 30 has no unit"),
        (("benchmark", "micronet_m0", "--device", "gpu"), "--device 'gpu' is unknown"),
        (("benchmark", "missing.onnx"), "no file missing.onnx"),
        (("benchmark", "micronet_m0", "--threads", "two"), "--threads 'two' is not a whole number"),
        (("benchmark", "micronet_m0", "--threads", "1,4096"), "4096 threads cannot run at once"),
        (("benchmark", "micronet_m0", "--batch", "0"), "--batch '0' is not a whole number"),
        (("predict", "digits", "--model", "micronet_m0", "--device", "tpu"), "--device 'tpu' is unknown"),
        (("train", "digits", "--model", "micronet_m0", "--device", "gpu"), "--device 'gpu' is unknown"),
        (("val", "run", "digits", "--device", "gpu"), "--device 'gpu' is unknown"),
        (("fit", "digits", "--runtime", "eager"), "fit cannot ship for runtime 'eager'"),
        (("fit", "digits", "--runtime", "onnxruntim"), "onnxruntime"),
        (("fit", "digits", "--models", "resnet*"), "no network matches resnet*"),
    ],
)
def test_what_is_not_there(pumice: Any, here: Path, args: tuple[str, ...], words: str) -> None:
    said = pumice(*args)
    assert said.code == 2
    assert said.out == ""
    assert words in said.sentence
    assert not list(here.glob("runs/*"))


def test_cuda_without_a_device(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    predict = ("predict", "digits", "--model", "micronet_m0")
    for verb in (("benchmark", "micronet_m0"), predict, ("val", "micronet_m0", "digits")):
        said = pumice(*verb, "--device", "cuda")
        assert said.code == 2
        assert "this machine has no CUDA device" in said.sentence


@pytest.mark.parametrize("limit", [("--max-madds", "1k"), ("--max-params", "100"), ("--max-size", "1KB")])
def test_a_budget_that_nothing_keeps(pumice: Any, here: Path, limit: tuple[str, str]) -> None:
    said = pumice("fit", "digits", *limit, "--out", "run")
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith("pumice: nothing keeps this budget; the closest is ")
    assert "x the limit of" in last
    assert "Traceback" not in said.err
    assert not list(here.glob("run/*.onnx"))
    assert (here / "run/report.html").is_file()


def test_a_latency_that_nothing_keeps(pumice: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured for real, two candidates only, so that it takes seconds."""
    monkeypatch.setattr("pumice.loop.candidates.SIZES", (96,))
    said = pumice("fit", "digits", "--max-latency", "1us", "--models", "squeezenet1_1", "--out", "run", "--time", "20s")
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith("pumice: nothing keeps this budget; the closest is squeezenet1_1 at 96 in ")
    assert "the limit of 0.001 ms" in last
