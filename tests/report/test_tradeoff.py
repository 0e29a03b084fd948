"""The page of accuracy against cost, from made-up networks."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pumice.errors import BadInput
from pumice.report.tradeoff import Point, correlations, cost_figure, family_looks, tradeoff_figure, write_tradeoff


def point(name: str, family: str, top1: float, madds: float, ms: float | None, runtime: str = "openvino") -> Point:
    ci95 = None if ms is None else (0.95 * ms, 1.05 * ms)
    return Point(name, family, top1, int(madds), int(madds / 50), runtime, ms, ci95)


NETS = [
    point("wide_050", "wide", 60, 40e6, 1.0),
    point("wide_100", "wide", 70, 150e6, 3.0),
    point("wide_odd", "wide", 65, 160e6, 2.9),  # beaten by wide_100 in MAdds, not in time
    point("deep_small", "deep", 62, 100e6, 5.0),
    point("deep_large", "deep", 75, 900e6, 20.0),
]


def test_lines_join_what_is_not_beaten() -> None:
    looks = family_looks(NETS)
    lines = {
        cost: {t.legendgroup: list(t.y) for t in tradeoff_figure(NETS, cost, looks).data if t.mode == "lines"}
        for cost in ("madds", "ms")
    }
    assert lines == {
        "madds": {"deep": [62, 75], "wide": [60, 70]},
        "ms": {"deep": [62, 75], "wide": [60, 65, 70]},
    }


def test_every_network_is_a_dot_with_its_name() -> None:
    figure = cost_figure(NETS, family_looks(NETS))
    dots = [
        (t.name, x, y, text)
        for t in figure.data
        if t.mode == "markers"
        for x, y, text in zip(t.x, t.y, t.text, strict=True)
    ]
    assert len(dots) == len(NETS)
    for net in NETS:
        assert any(d[:3] == (net.family, net.madds, net.ms) and net.name in d[3] for d in dots)


def test_a_family_keeps_its_look() -> None:
    looks = family_looks(NETS)
    alone = tradeoff_figure(NETS[:2], "ms", looks)
    assert {t.marker.color for t in alone.data if t.mode == "markers"} == {looks["wide"]["marker"]["color"]}
    many = family_looks([point("n", f"f{i}", 50, 1e6, 1) for i in range(20)])
    assert len({(v["marker"]["color"], v["marker"]["symbol"]) for v in many.values()}) == 20


def test_correlations() -> None:
    every, mobile = correlations(NETS)
    assert (every.nets, mobile.nets, every.max_madds, mobile.max_madds) == (5, 4, None, 600e6)
    # MAdds order of the five: wide_050, deep_small, wide_100, wide_odd, deep_large; ranks of their times: 1 4 3 2 5.
    assert every.spearman == pytest.approx(1 - 6 * (0 + 4 + 0 + 4 + 0) / (5 * 24))
    assert every.kendall == pytest.approx((7 - 3) / 10)
    assert (every.skipped, every.kendall_apart) == (1, pytest.approx((7 - 2) / 9))


def test_no_measurement_no_correlation(tmp_path: Path) -> None:
    counted = [point(p.name, p.family, p.top1, p.madds, None, "") for p in NETS]
    assert correlations(counted) == []
    page = write_tradeoff(counted, tmp_path / "page.html").read_text()
    assert "latency in" not in page.split("<script")[0]
    one = correlations(NETS[:1])
    assert math.isnan(one[0].spearman)


def test_page(tmp_path: Path) -> None:
    both = [*NETS, *(point(p.name, p.family, p.top1, p.madds, 2 * (p.ms or 0), "onnx<runtime>") for p in NETS)]
    text = write_tradeoff(both, tmp_path / "page.html", "2 cores & <b>").read_text()
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])
    assert set(figures) == {"madds", "ms0", "rank0", "ms1", "rank1"}
    assert "<h1>5 networks of 2 families</h1>" in text
    assert "2 cores &amp; &lt;b&gt;" in text
    assert "onnx<runtime>" not in text
    assert text.count(">deep_large</td>") == 2
    with pytest.raises(BadInput, match="at least one"):
        write_tradeoff([], tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_imports_no_torch() -> None:
    code = "import sys, pumice.report.tradeoff; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
