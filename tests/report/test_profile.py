"""The page of a profile, from an invented record: every figure in it follows from the record."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pumice.report.breakdown import breakdown_figure
from pumice.report.layers import layers_figure
from pumice.report.profile import layers_table, render, write_profile
from pumice.report.roofline import roofline_figure


def layer(name: str, madds: int, moved: int, floor: float | None, **more: Any) -> dict[str, Any]:
    shapes = {"input_shapes": [[1, 8, 4, 4]], "output_shape": [1, 8, 4, 4]}
    counts = {"madds": madds, "extra_madds": 0, "params": madds // 16, "memory_access": moved // 4}
    bound = None if floor is None else "memory" if madds < moved else "compute"
    intensity = madds / moved
    limits = {"memory_bytes": moved, "intensity": intensity, "floor_ms": floor, "bound": bound}
    return {"name": name, "op": "conv", "kernel": [1, 1], "groups": 1, **shapes, **counts, **limits, **more}


RECORD: dict[str, Any] = {
    "name": "net<b>",
    "input_size": [3, 32, 32],
    **{"params": 1200, "madds": 20_000, "extra_madds": 0, "memory_bytes": 9000, "peak_activation_bytes": 4096},
    "layers": [
        layer("first", 16_000, 4000, 0.016),
        layer("act", 0, 1000, None, op="activation", function="relu"),
        layer("second", 4000, 5000, 0.005, kernel=[3, 3], groups=8),
    ],
    "floor_ms": 0.021,
    "ceilings": {
        **{"threads": 1, "madds_per_s": 1e9, "busy": "", "machine": "a machine (01234567)"},
        "levels": [
            {"name": "L1", "capacity": 32768, "bytes_per_s": 1e10, "spread": 0.0},
            {"name": "memory", "capacity": None, "bytes_per_s": 1e9, "spread": 0.0},
        ],
    },
    "measured": {
        "eager": {
            **{"net_ms": 0.5, "sum_ms": 0.4, "over_floor": 0.5 / 0.021, "other_ms": {"views": 0.02}},
            "net": {"threads": 1, "busy": False, "busy_why": "", "machine": "a machine (01234567)"},
            "breakdown": {"convolution": 0.3, "element-wise": 0.06, "data": 0.0, "shuffle": 0.04, "other": 0.0},
            "layers": [
                {"ms": 0.1, "share": 0.25, "over_floor": 6.25},
                {"ms": 0.06, "share": 0.15, "over_floor": None},
                {"ms": 0.2, "share": 0.5, "over_floor": 40.0},
            ],
        },
        "onnxruntime": {
            **{"net_ms": 0.1, "sum_ms": 0.12, "over_floor": 0.1 / 0.021, "other_ms": {}},
            "net": {"threads": 1, "busy": False, "busy_why": "", "machine": "a machine (01234567)"},
            "breakdown": {"convolution": 0.12, "element-wise": 0.0, "data": 0.0, "shuffle": 0.0, "other": 0.0},
            "layers": [{"ms": 0.02, "share": 1 / 6, "over_floor": 1.25}, None, {"ms": 0.1, "share": 5 / 6}],
        },
    },
}


def test_a_bar_for_each_runtime_and_a_part_for_each_share() -> None:
    figure = breakdown_figure(RECORD["measured"])
    bars = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in figure.data if trace.type == "bar"}
    assert bars == {
        "convolution": {"eager": 0.3, "onnxruntime": 0.12},
        "element-wise": {"eager": 0.06, "onnxruntime": 0.0},
        "channel shuffle": {"eager": 0.04, "onnxruntime": 0.0},
    }
    nets = next(trace for trace in figure.data if trace.type == "scatter")
    assert dict(zip(nets.y, nets.x, strict=True)) == {"eager": 0.5, "onnxruntime": 0.1}
    convolution = figure.data[0]
    assert list(convolution.text) == ["75%", "100%"]
    assert breakdown_figure({}) is None


def test_dots_stand_at_intensity_and_speed_under_the_roof() -> None:
    times = RECORD["measured"]["eager"]["layers"]
    figure = roofline_figure(RECORD["layers"], RECORD["ceilings"], times)
    dots = {t.name: (list(t.x), list(t.y)) for t in figure.data if t.mode == "markers"}
    assert dots == {
        "pointwise convolution": ([4.0], [pytest.approx(16_000 / 0.1e-3)]),
        "depthwise convolution": ([0.8], [pytest.approx(4000 / 0.2e-3)]),
    }
    lines = [(list(t.x), list(t.y)) for t in figure.data if t.mode == "lines"]
    assert len(lines) == 3
    # A level's line rises with its bandwidth and meets the arithmetic.
    for (x, y), speed in zip(lines, (1e10, 1e9), strict=False):
        assert y == pytest.approx([speed * one for one in x])
        assert y[1] == pytest.approx(1e9)
    assert lines[2][1] == [1e9, 1e9]
    areas = {t.name: t.marker.size[0] ** 2 for t in figure.data if t.mode == "markers"}
    assert areas["depthwise convolution"] == pytest.approx(2 * areas["pointwise convolution"])


def test_no_roof_without_ceilings_or_times() -> None:
    layers, times = RECORD["layers"], RECORD["measured"]["eager"]["layers"]
    assert roofline_figure(layers, {}, times) is None
    assert roofline_figure(layers, RECORD["ceilings"], [None, None, None]) is None


def test_rings_at_each_layers_share_of_the_time() -> None:
    figure = layers_figure(RECORD)
    rings = {t.name: list(t.x) for t in figure.data if str(t.name).startswith("share of time")}
    assert rings == {"share of time, eager": [0.25, 0.5], "share of time, onnxruntime": [1 / 6, 5 / 6]}


def test_the_table_sorts_by_exact_figures() -> None:
    rows = [re.findall(r"<td.*?</td>", row) for row in layers_table(RECORD).split("<tr>")[2:]]
    assert len(rows) == 3
    heads = re.findall(r"<button type=\"button\">(.*?)</button>", layers_table(RECORD))
    assert len(set(map(len, rows))) == 1 == len({len(heads), len(rows[0])})
    place = heads.index("eager ms")
    values = [re.search(r'data-v="(.*?)"', row[place]) for row in rows]
    assert [value and value[1] for value in values] == ["0.1", "0.06", "0.2"]
    assert "data-v" not in rows[1][heads.index("onnxruntime ms")]


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    page = write_profile(RECORD, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "net&lt;b&gt; at 3×32×32" in page
    assert "net<b>" not in page
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page)[1])  # type: ignore[index]
    assert list(figures) == ["layers", "roof0", "roof1", "time"]
    assert all(f'id="{div}"' in page for div in figures)
    assert "times are too long" not in page
    assert page.count("default-src 'none'") == 1


def test_a_busy_machine_is_said() -> None:
    busy = copy.deepcopy(RECORD)
    busy["measured"]["onnxruntime"]["net"] |= {"busy": True, "busy_why": "a backup"}
    assert "The machine was busy (a backup)" in render(busy)


def test_what_was_only_counted() -> None:
    bare = RECORD | {"measured": {}, "ceilings": None, "floor_ms": None}
    page = render(bare)
    assert "counted, not measured" in page
    assert "Roofline" not in page
    floors = RECORD | {"measured": {}}
    assert "Add --measure to see where it is" in render(floors)


def test_no_torch_is_imported() -> None:
    code = (
        "import sys; from pumice.report.profile import write_profile; assert not {'torch', 'plotly'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
