"""A target of latency: few measurements, the bound kept and nearly used; a real runtime in the slow tier."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.search.prune import prune as module
from pumice.search.prune.clock import Clock
from pumice.search.prune.prune import prune

SIZE = (3, 64, 64)
WHOLE = Timing(
    **{"name": "", "runtime": "onnxruntime", "device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"},
    **{"input_size": SIZE, "repeats": 9, "passes_per_sample": 1, "p50_ms": 1.0, "p90_ms": 1.0, "cpu_p50_ms": 1.0},
    **{"ci95": (1.0, 1.0), "cpu_ci95": (1.0, 1.0), "busy": False},
)


class Slide(Clock):
    """Latency bends: a constant, and a power of the multiply-adds below one."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def timing(self, net: nn.Module, size: tuple[int, int, int], name: str) -> Timing:
        ms = 0.3 + (trace(net, size).madds / 1e7) ** 0.8
        self.asked.append(ms)
        return replace(WHOLE, name=name, p50_ms=ms, ci95=(ms, 1.02 * ms))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Slide:
    slide = Slide()
    monkeypatch.setattr("pumice.search.prune.prune.clock_for", lambda *_: slide)
    return slide


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return create_model("mobilenetv1_075", num_classes=10)


@pytest.mark.parametrize("target", [1.0, 1.8])
def test_the_bound_is_kept_and_nearly_used(clock: Slide, model: nn.Module, target: float) -> None:
    net, result = prune(model, target_latency=target, input_size=SIZE)
    assert result.latency_before is not None
    assert result.latency_after is not None
    assert 0.95 * target <= result.latency_after.bound_ms[0] <= target < result.latency_before.bound_ms[0]
    assert len(clock.asked) <= 7
    assert result.latency_after.bound_ms[0] == pytest.approx(clock.timing(net, SIZE, "").bound_ms[0])
    assert result.max_rel_diff_masked < 1e-5


def test_steps_lead_to_the_same_bound(clock: Slide, model: nn.Module) -> None:
    _, result = prune(model, target_latency=1.0, input_size=SIZE, policy="iterative")
    assert len(result.steps) == 4
    assert [step.madds for step in result.steps] == sorted((step.madds for step in result.steps), reverse=True)
    assert result.latency_after is not None
    assert 0.9 <= result.latency_after.bound_ms[0] <= 1.0


def test_a_bound_out_of_reach_names_the_nearest(clock: Slide, model: nn.Module) -> None:
    with pytest.raises(BadInput, match=r"fastest that its structure allows takes at most 0\.39\d* ms") as refused:
        prune(model, target_latency=0.305, input_size=SIZE)
    nearest = float(str(refused.value).split("at most ")[1].split(" ms")[0])
    _, result = prune(model, target_latency=nearest * 1.01, input_size=SIZE)
    assert result.latency_after is not None
    assert result.latency_after.bound_ms[0] <= nearest * 1.01


def test_a_network_that_is_fast_enough_is_left_alone(clock: Slide, model: nn.Module) -> None:
    with pytest.raises(BadInput, match="nothing to prune"):
        prune(model, target_latency=50.0, input_size=SIZE)


@pytest.mark.slow
def test_measured_in_a_runtime() -> None:
    model = create_model("mobilenetv2_100", num_classes=10)
    assert module.clock_for(None, "onnxruntime", 1).timing(model, SIZE, "x").runtime == "onnxruntime"
    whole = module.clock_for(None, None, None).timing(model, SIZE, "x").bound_ms[0]
    _, result = prune(model, target_latency=0.7 * whole, input_size=SIZE)
    assert result.latency_after is not None
    assert result.latency_after.repeats > 0
    assert result.latency_after.bound_ms[0] <= 0.7 * whole
