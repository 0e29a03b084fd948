"""The page of measurements: every one has a dot at its figure, an interval, a line of the table, and safe text."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pumice.cost.machine import describe
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.report.timings import dots, write_timings_page

ONE = Timing(
    name="micronet_m0",
    runtime="onnxruntime",
    device="cpu",
    threads=1,
    batch=1,
    dtype="float32",
    input_size=(3, 224, 224),
    repeats=40,
    passes_per_sample=1,
    p50_ms=1.5,
    p90_ms=1.7,
    cpu_p50_ms=1.45,
    ci95=(1.4, 1.65),
    cpu_ci95=(1.4, 1.5),
    busy=False,
    machine="Example CPU, 2 cores (1234)",
    cpu_p10_ms=1.2,
    cpu_p10_ci95=(1.1, 1.3),
)
SOME = [
    ONE,
    replace(ONE, threads=2, p50_ms=1.0, ci95=(0.9, 1.1)),
    replace(ONE, runtime="openvino", busy=True, busy_why="other work took 40% of the cores"),
]


def test_dots_and_intervals() -> None:
    figure = dots(SOME)
    vino, ort = sorted(figure.data, key=lambda trace: trace.name, reverse=True)
    assert (list(ort.x), list(vino.x)) == ([1.0, 1.5], [1.2])
    assert list(ort.error_x.array) == pytest.approx([0.1, 0.15])
    assert list(ort.error_x.arrayminus) == pytest.approx([0.1, 0.1])
    assert (list(vino.error_x.array), list(vino.error_x.arrayminus)) == (pytest.approx([0.1]), pytest.approx([0.1]))
    assert list(vino.marker.symbol) == ["circle-open"], "busy is hollow"
    assert list(ort.y) == ["micronet_m0, onnxruntime, 2 threads", "micronet_m0, onnxruntime, 1 thread"]
    # Slowest at the bottom, which is where plotly begins.
    assert figure.layout.yaxis.categoryarray[0] == ort.y[1]


def test_equal_titles_keep_their_own_line() -> None:
    (trace,) = dots([ONE, replace(ONE, p50_ms=1.6)]).data
    assert list(trace.y) == ["micronet_m0", "micronet_m0 (2)"]


def test_a_whole_page(tmp_path: Path) -> None:
    page = write_timings_page([*SOME, replace(ONE, name="<b>evil</b>.onnx")], tmp_path / "page.html").read_text()
    assert "Measured 4 latencies" in page
    assert "Example CPU, 2 cores (1234)" in page
    assert "other work took 40% of the cores" in page
    assert page.count("<tr><td") == 4
    assert "1.40 to 1.65" in page
    assert "<b>evil</b>" not in page
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page).group(1))  # type: ignore[union-attr]
    assert list(figures) == ["timings"]
    assert "usable_cores" not in page, "this machine is not the one that was measured"
    assert "http://" not in page.split("<script>")[0]


def test_this_machine_is_described(tmp_path: Path) -> None:
    here = [replace(ONE, machine=describe())]
    assert "usable_cores" in write_timings_page(here, tmp_path / "page.html").read_text()


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least one"):
        write_timings_page([], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
