"""Audits: what they promise holds (no more multiply-adds), rank by cost, and say what measuring found."""

import json
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

import pumice.cost.audit.measure as measuring
from pumice.cost.audit.finding import Audit, Gain
from pumice.cost.audit.measure import gain, measure, succeeded
from pumice.cost.audit.predict import Costs, estimated, measured, saving
from pumice.cost.audit.run import audit, audit_graph, graph_and_costs
from pumice.cost.node_times import Between, NodeTimes
from pumice.cost.timing import Timing
from pumice.deploy.direct import tensors_of
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.edit import Bypass, Swap, Widen, apply
from pumice.graph.trace import trace
from pumice.models.create import create_model


@pytest.fixture(scope="module", params=["shufflenetv1_g8_050", "ghostnet_050", "micronet_m1", "mobilenetv3_small_050"])
def found(request: pytest.FixtureRequest) -> Audit:
    return audit(create_model(request.param), (3, 96, 96))


def test_every_edit_saves_and_multiplies_no_more(found: Audit) -> None:
    savings = [finding.saving for finding in found.edits]
    assert len(savings) >= 3
    assert savings == sorted(savings, reverse=True)
    assert min(savings) > 0
    assert all(f.edit is not None and f.edit.madds_after <= f.edit.madds_before == found.madds for f in found.edits)
    assert found.findings[: len(savings)] == found.edits
    assert {finding.share for finding in found.findings[len(savings) :]} == {0.0}


def test_json(found: Audit) -> None:
    value = json.loads(json.dumps(found.to_json()))
    assert value["unit"] == "elements"
    first = value["findings"][0]
    assert {"guideline", "text", "layers", "figures", "saving", "share", "edit", "measured"} == first.keys()
    assert {"sort", "text", "madds_before", "madds_after"} == first["edit"].keys()
    assert "(then retrain)" in first["edit"]["text"]
    assert first["layers"][0]["layer"]
    assert {finding["guideline"] for finding in value["findings"]} <= {"G1", "G2", "G3", "G4"}


def test_the_largest_cost_is_named_first() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Hardswish(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1), nn.SiLU())
    graph = trace(net, (3, 8, 8))
    firsts = []
    for at in (1, 4):
        costs = Costs("ms", "test", tuple(5.0 if i == at else 1.0 for i in range(len(graph.nodes))))
        result = audit_graph(graph, costs)
        assert result.total == 9.0
        # both together, then the dearer, then the cheaper
        assert [f.saving for f in result.edits] == [6.0, 5.0, 1.0]
        assert [place.layer for place in result.edits[0].places] == ["1", "4"]
        firsts.append(result.edits[1].places[0].layer)
    assert firsts == ["1", "4"]


def test_costs_have_to_fit_the_graph() -> None:
    graph = trace(nn.Conv2d(3, 8, 1), (3, 8, 8))
    with pytest.raises(BadInput, match="2 costs do not fit the 1 nodes"):
        audit_graph(graph, Costs("ms", "test", (1.0, 2.0)))


def test_a_network_of_vectors_has_no_audit() -> None:
    with pytest.raises(BadInput, match="Linear reads no images"):
        audit(nn.Linear(3, 4))


def test_saving_counts_what_stays_by_the_larger_of_work_and_access() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.Hardswish(), nn.Conv2d(16, 8, 1, bias=False))
    graph = trace(net, (3, 10, 10))
    costs = (10.0, 4.0, 20.0)
    act = graph.nodes[1]
    assert saving(graph, apply(graph, [Bypass(act.outputs[0], act.inputs[0])]), costs) == 4.0
    # behind a convolution ReLU is fused and costs nothing
    assert saving(graph, apply(graph, [Swap(1, "aten.relu.default", act.inputs[0])]), costs) == 4.0
    # 16 -> 8 channels: the first convolution has (300 + 800 + 24) / (300 + 1600 + 48) of its access, half its work;
    # the activation half, the second half its work and (800 + 800 + 64) / (1600 + 800 + 128) of its access
    edited = apply(graph, [Widen(0, 8, 1)])
    assert saving(graph, edited, costs) == pytest.approx(34 - 10 * 1124 / 1948 - 2 - 20 * 1664 / 2528)


def test_estimates_leave_out_what_runtimes_fuse() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ReLU(), nn.ReLU(), nn.Hardswish())
    assert estimated(trace(net, (3, 4, 4))).nodes == (16 * 11 + 24, 0, 0, 2 * 16 * 8)


def test_a_change_of_layout_is_charged_to_who_asks_for_it() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ChannelShuffle(2), nn.Conv2d(8, 8, 1))
    graph = trace(net, (3, 4, 4))
    last = len(graph.nodes) - 1
    assert graph.nodes[0].kind == graph.nodes[last].kind == "conv"
    moves = (Between("Reorder", 0, 1, 0.5), Between("Reorder", last, None, 0.25), Between("Reorder", None, None, 9.0))
    ms = [1.0] * len(graph.nodes)
    costs = measured(NodeTimes("onnxruntime", 1, graph, tuple(ms), moves))
    assert (costs.nodes[0], costs.nodes[1], costs.nodes[last], costs.unit) == (1.0, 1.5, 1.25, "ms")


def timing(ms: float, *, busy: bool = False) -> Timing:
    return Timing(
        "net", "onnxruntime", "cpu", 1, 1, "float32", (3, 8, 8), 30, 1, p50_ms=ms, p90_ms=ms, cpu_p50_ms=ms / 2,
        ci95=(ms - 0.1, ms + 0.1), cpu_ci95=(ms / 2 - 0.1, ms / 2 + 0.1), busy=busy,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "busy", "faster", "clock"),
    [(1.5, False, True, "wall"), (1.85, False, False, "wall"), (2.5, False, False, "wall"), (1.5, True, True, "cpu")],
)
def test_faster_means_that_the_intervals_do_not_meet(after: float, busy: bool, faster: bool, clock: str) -> None:
    found = gain(timing(2.0), timing(after, busy=busy))
    assert (found.faster, found.clock) == (faster, clock)
    by = (2.0 - after) / (2 if busy else 1)
    assert found.gain_ms == pytest.approx(by)
    assert found.gain_ci95_ms == pytest.approx((by - 0.2, by + 0.2))


def test_measured_edits_are_those_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    model = create_model("mobilenetv3_small_050", num_classes=10)
    size = (3, 64, 64)
    graph, costs = graph_and_costs(model, size)
    proposed = audit_graph(graph, costs)
    seen: list[Any] = []

    def timed(sessions: Any, names: Any, **options: Any) -> list[Timing]:
        seen.extend((session.runtime, session.file_bytes) for session in sessions)
        return [timing(2.0 - 0.5 * i) for i in range(len(sessions))]

    monkeypatch.setattr(measuring, "time_sessions", timed)
    result = measure(proposed, graph, tensors_of(folded(model, size)), top=2)
    assert [runtime for runtime, _ in seen] == ["onnxruntime"] * 3
    assert len({size for _, size in seen}) == 3, "three different networks"
    assert [[g.gain_ms for g in f.gains] for f in result.edits[:2]] == [[0.5], [1.0]]
    assert not any(f.gains for f in result.findings[2:])
    assert [replace(f, gains=()) for f in result.findings] == list(proposed.findings)
    assert succeeded(result.findings) == (2, 2)
    assert isinstance(result.edits[0].gains[0], Gain)
