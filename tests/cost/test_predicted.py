"""Latencies by a lookup table are the table's sums, say that they are predicted, and name what is a guess."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.table import UNKNOWN_MS, Lut
from pumice.cost.predicted import guessed, predict_nets, predict_timing, read_table
from pumice.cost.timing import Timing
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.catalogue import entry

ORIGIN: dict[str, Any] = {
    **{"machine": "A board, 4 cores (0f0f0f0f)", "machine_key": "0f0f0f0f", "runtime": "openvino", "threads": 2},
    **{"runtime_version": "2025.1", "built_at": "2026-11-25T00:00:00+00:00", "pumice": None},
}


def table(**given: Any) -> Lut:
    """A table of another board; without entries every block of a net takes UNKNOWN_MS."""
    return Lut(**{**ORIGIN, "entries": {}, "regressions": {}, **given})


def small() -> nn.Module:
    """Two convolutions, a norm behind each, which is folded away."""
    layers = (nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5))
    return nn.Sequential(*layers).eval()


def test_a_prediction_is_the_sum_of_the_folded_net_s_blocks() -> None:
    net = small()
    first, second = blocks(trace(folded(net, (3, 8, 8)), (3, 8, 8)))
    assert "batch_norm" not in f"{first.key} {second.key}"
    lut = table(entries={first.key: 1.5, second.key: 0.25}, scale=2.0, pass_ms=0.1, spread=0.05)
    said = predict_timing(lut, net, (3, 8, 8), "small")
    assert said.p50_ms == pytest.approx(2 * 1.75 + 0.1)
    assert said.p50_ms == said.cpu_p50_ms == said.figure_ms
    low, high = said.ci95
    assert (low, high) == pytest.approx((3.6 * 0.9067, 3.6 * 1.1030), rel=1e-3)  # exp(-+ 1.96 * 0.05)
    assert said.cpu_ci95 == said.figure_ci == (low, high)
    assert said.bound_ms == (high, "wall")
    assert (said.predicted, said.repeats, said.busy, said.measured_at) == (True, 0, False, "")
    assert (said.name, said.runtime, said.threads, said.machine) == ("small", "openvino", 2, lut.machine)
    assert said.runtime_version == "2025.1"
    wider = predict_timing(lut, net, (3, 12, 12), "small")
    assert wider.p50_ms == pytest.approx(2 * 2 * UNKNOWN_MS + 0.1), "other shapes are other blocks"


def test_it_survives_json_and_old_records_are_measurements() -> None:
    said = predict_timing(table(), small(), (3, 8, 8), "small")
    value = json.loads(json.dumps(said.to_json()))
    assert value["predicted"] is True
    assert value["bound_ms"] == said.ci95[1]
    assert value["unknown"] == list(said.unknown) != []
    assert Timing.from_json(value) == said
    old = {key: part for key, part in value.items() if key not in ("predicted", "unknown")}
    assert Timing.from_json(old).predicted is False


def test_networks_of_the_catalogue() -> None:
    nets = [entry("squeezenet1_1"), entry("mobilenetv3_small_035")]
    timings, failed = predict_nets(table(), nets)
    assert failed == {}
    count = {name: timing.p50_ms / UNKNOWN_MS for name, timing in timings.items()}
    assert count["squeezenet1_1"] < count["mobilenetv3_small_035"], "it has fewer blocks"
    assert all(abs(blocks - round(blocks)) < 1e-6 for blocks in count.values())


def test_a_net_that_cannot_be_traced_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.models.create.create_model", lambda name: nn.Linear(7, 2))
    timings, failed = predict_nets(table(), [entry("squeezenet1_1")])
    assert timings == {}
    assert "squeezenet1_1 does not run on a 3x224x224 input" in failed["squeezenet1_1"]


def test_what_is_a_guess_is_named_once() -> None:
    said = predict_timing(table(), small(), (3, 8, 8), "small")
    assert said.unknown == ("conv image", "conv window")
    assert guessed([said, said]).startswith("the table knows nothing of conv image, conv window: ")
    assert guessed([]) == ""


def test_a_table_is_of_one_runtime_and_number_of_threads(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    table().save(file)
    for runtime, threads in ((None, None), ("openvino", 2)):
        assert read_table(str(file), runtime, threads) == table()
    with pytest.raises(BadInput, match=r"board\.json is a table of openvino, not of onnxruntime"):
        read_table(str(file), "onnxruntime", None)
    with pytest.raises(BadInput, match=r"board\.json is a table of 2 thread\(s\), not of 1"):
        read_table(str(file), None, 1)
    with pytest.raises(BadInput, match=r"missing\.json"):
        read_table(str(tmp_path / "missing.json"), None, None)
