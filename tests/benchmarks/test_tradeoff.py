"""Which networks the figure-1 report shows, and what it makes of measurements."""

import csv
from pathlib import Path

from tradeoff import nets, points, quiet, write_csv

from pumice.cost.timing import Timing


def timing(name: str, ms: float, busy: bool = False) -> Timing:
    where = {"runtime": "openvino", "device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"}
    figures = {"p50_ms": ms, "p90_ms": ms, "cpu_p50_ms": ms / 2, "ci95": (0.9 * ms, ms), "cpu_ci95": (0.4 * ms, ms)}
    return Timing(name, input_size=(3, 224, 224), repeats=30, passes_per_sample=1, busy=busy, **where, **figures)


def test_a_published_variant_counts_once() -> None:
    chosen = nets(3e9)
    names = {net.name for net in chosen}
    assert len(chosen) > 100
    assert {"micronet_m0", "shufflenetv2_100", "mobilenetv3_large_100", "fbnetv3_g"} <= names
    assert "tv_shufflenetv2_100" not in names
    assert not any(net.name.endswith("_cifar") or net.task != "classify" for net in chosen)
    assert all(net.madds <= 3e9 for net in chosen)
    assert {net.name for net in nets(4e6)} == {"micronet_m0"}


def test_points_and_csv(tmp_path: Path) -> None:
    chosen = [net for net in nets(20e6) if net.name.startswith("micronet")]
    found = {"micronet_m0": timing("micronet_m0", 2.0), "micronet_m1": timing("micronet_m1", 3.0, busy=True)}
    assert set(quiet(found)) == {"micronet_m0"}
    rows = points(chosen, {"openvino": found})
    by_name = {row.name: row for row in rows}
    assert (by_name["micronet_m0"].ms, by_name["micronet_m0"].ci95) == (2.0, (1.8, 2.0))
    assert by_name["micronet_m1"].ms == 1.5, "CPU time on a busy machine"
    assert by_name["micronet_m2"].ms is None
    write_csv(rows, tmp_path / "rows.csv")
    lines = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert (lines[0]["name"], lines[0]["top1"], lines[0]["low"]) == ("micronet_m0", "46.6", "1.8")
    assert lines[2]["ms"] == lines[2]["high"] == ""
