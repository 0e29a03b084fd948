"""One step: its loss, its optimiser, its generators, its average; all by hand."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.train.config import TrainConfig
from pumice.train.freeze import set_frozen
from pumice.train.module import seed_step
from pumice.train.objective import loss_of
from pumice.train.optimizer import create_optimizer
from pumice.train.state import State
from pumice.train.trainer import judged_weights, train_once
from tests.train.conftest import Tiny, tiny_config


def test_label_smoothing_by_hand() -> None:
    logits, target = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_p = torch.log_softmax(logits, 1)[0]
    want = -((0.9 + 0.1 / 3) * log_p[0] + 0.1 / 3 * (log_p[1] + log_p[2]))
    assert loss_of(logits, target, 0.1).item() == pytest.approx(want.item(), rel=1e-6)


def test_mixed_targets_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    mixed = torch.tensor([[0.7, 0.0, 0.3], [0.3, 0.0, 0.7]])
    want = -(mixed * torch.log_softmax(logits, 1)).sum(1).mean()
    assert loss_of(logits, mixed, 0.1).item() == pytest.approx(want.item(), rel=1e-6)  # not smoothed twice


def test_timms_mixup_is_smoothed_as_the_plain_loss_is() -> None:
    from timm.data.mixup import Mixup

    logits, target = torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    mixup = Mixup(mixup_alpha=0.2, prob=0.0, label_smoothing=0.1, num_classes=5)
    _, soft = mixup(torch.zeros(4, 3, 2, 2), target)
    assert loss_of(logits, soft).item() == pytest.approx(loss_of(logits, target, 0.1).item(), rel=1e-6)


def test_the_loss_is_computed_in_float32() -> None:
    assert loss_of(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 1])).dtype == torch.float32


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw"])
def test_norms_and_biases_are_not_decayed(name: str) -> None:
    net = Tiny()
    optimizer = create_optimizer(net, TrainConfig(optimizer=name, weight_decay=0.3, lr=0.1))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for key, parameter in net.named_parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0), key
    everything = create_optimizer(net, TrainConfig(optimizer=name, weight_decay=0.3, decay_norm_bias=True))
    assert {group["weight_decay"] for group in everything.param_groups} == {0.3}


def test_depthwise_kernels_can_be_spared() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1, groups=2), nn.Linear(8, 2))
    for norm_bias in (False, True):
        config = TrainConfig(weight_decay=0.3, decay_depthwise=False, decay_norm_bias=norm_bias)
        groups = create_optimizer(net, config).param_groups
        decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
        assert [decay[id(layer.weight)] for layer in net] == [0.3, 0.0, 0.3, 0.3]
        assert {decay[id(layer.bias)] for layer in net} == {0.3 if norm_bias else 0.0}
        assert len(decay) == 8


def test_rmsprop_is_tensorflows() -> None:
    optimizer = create_optimizer(Tiny(), TrainConfig(optimizer="rmsprop", opt_eps=0.001, momentum=0.7))
    assert type(optimizer).__name__ == "RMSpropTF"
    assert {(g["eps"], g["momentum"], g["alpha"]) for g in optimizer.param_groups} == {(0.001, 0.7, 0.9)}


def test_rmsprop_by_hand() -> None:
    """ms = 0.9 ms + 0.1 g^2 from 1 on; m = 0.9 m + lr g / sqrt(ms + eps); w = w - m."""
    net = nn.Linear(1, 1, bias=False)
    w = net.weight.item()
    config = TrainConfig(optimizer="rmsprop", opt_eps=0.5, lr=0.1, weight_decay=0.0)
    optimizer = create_optimizer(net, config)
    ms, m = 1.0, 0.0
    for g in (2.0, -1.0, 0.5):
        net.weight.grad = torch.tensor([[g]])
        optimizer.step()
        ms = 0.9 * ms + 0.1 * g * g
        m = 0.9 * m + 0.1 * g / (ms + 0.5) ** 0.5
        w -= m
    assert net.weight.item() == pytest.approx(w, rel=1e-5)


@pytest.mark.parametrize(("name", "nesterov"), [("sgd", True), ("momentum", False)])
def test_sgd_with_and_without_nesterov(name: str, nesterov: bool) -> None:
    optimizer = create_optimizer(Tiny(), TrainConfig(optimizer=name, momentum=0.8))
    assert {(g["nesterov"], g["momentum"]) for g in optimizer.param_groups} == {(nesterov, 0.8)}


def test_mixup_follows_its_ramp(few_digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.data.mixup import Mixup

    seen: list[tuple[float, bool]] = []
    mix = Mixup.__call__

    def note(self: Mixup, images: torch.Tensor, target: torch.Tensor) -> Any:
        before = images.clone()
        mixed = mix(self, images, target)
        seen.append((self.mixup_alpha, torch.equal(mixed[0], before)))
        return mixed

    monkeypatch.setattr(Mixup, "__call__", note)
    train_once(Tiny(), few_digits, tiny_config(epochs=3, mixup=0.4, mixup_ramp_epochs=2.0))
    assert [alpha for alpha, _ in seen] == [0.0] * 6 + [0.2] * 6 + [0.4] * 6
    assert all(same for _, same in seen[:6])
    assert not any(same for _, same in seen[12:])


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_every_step_has_generators_of_its_own() -> None:
    drawn = set()
    for seed, step, rank in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1)]:
        seed_step(seed, step, rank)
        first = draw()
        draw()
        seed_step(seed, step, rank)
        assert draw() == first
        drawn.add(first)
    assert len(drawn) == 4


def test_freezing_spares_the_head_and_what_holds_it() -> None:
    net = Tiny().train()
    set_frozen(net, True)
    assert {k for k, p in net.named_parameters() if p.requires_grad} == {"classifier.weight", "classifier.bias"}
    assert net.training  # so that a dropout in the net's own forward works
    assert not any(m.training for m in net.trunk.modules())
    set_frozen(net, False)
    assert all(p.requires_grad for p in net.parameters())
    assert all(m.training for m in net.modules())
    with pytest.raises(BadInput, match="freeze=none"):
        set_frozen(nn.Linear(2, 2), True)


@pytest.mark.parametrize(
    ("warmup", "rise"),
    [("sqrt", lambda n: 1 - n**-0.5), ("tf", lambda n: (1 + n) / (10 + n)), ("none", lambda n: 1.0)],
)
def test_the_average_by_hand(warmup: str, rise: Callable[[int], float], few_digits: Splits) -> None:
    """After each of six steps: average = d * average + (1 - d) * weights, d = min(decay, rise(n))."""
    limit = 0.41 if warmup == "tf" else 0.55  # binds from the fifth step on, or the fifth; "tf" ends at 7 / 16
    seen: list[dict[str, torch.Tensor]] = []
    net = Tiny()

    def note(module: nn.Module, inputs: Any) -> None:
        if module.training:
            seen.append({k: p.detach().clone() for k, p in net.named_parameters()})

    handle = net.register_forward_pre_hook(note)
    state, _ = train_once(net, few_digits, tiny_config(epochs=1, ema_decay=limit, ema_warmup=warmup))
    handle.remove()
    weights = [*seen[1:], {k: state["net"][k] for k in seen[0]}]  # after each step
    assert len(weights) == 6
    average = {k: v.double() for k, v in seen[0].items()}
    for n, current in enumerate(weights, 1):
        decay = min(limit, rise(n))
        average = {k: decay * average[k] + (1 - decay) * current[k].double() for k in current}
    kept = judged_weights(state)
    for key, value in kept.items():
        if key in average:
            torch.testing.assert_close(value.double(), average[key], rtol=1e-5, atol=1e-6)
            assert not torch.equal(value, state["net"][key])
        else:
            assert torch.equal(value, state["net"][key]), key  # statistics of batch norms


RECIPE_LIKE = {"optimizer": "rmsprop", "opt_eps": 0.001, "schedule": "cyclic", "cycle_epochs": 0.7, "pad_crop": 2}
RECIPE_LIKE |= {"milestones": [1.5], "mixup_ramp_epochs": 2.0, "ema_warmup": "tf", "lr": 0.002}
RECIPE_LIKE |= {"decay_depthwise": False, "color_jitter": [0.1, 0.0, 0.5]}


@pytest.mark.parametrize("changes", [{}, RECIPE_LIKE])
def test_rungs_add_up_to_the_whole(changes: dict[str, Any], few_digits: Splits) -> None:
    """Training to epoch 1, then from its state to epoch 3 in another net, is training to epoch 3."""

    def trained(*stops: int) -> State:
        state: State | None = None
        for stop in stops:
            torch.manual_seed(0)
            state, history = train_once(
                Tiny(), few_digits, tiny_config(epochs=4, **changes), state=state, until_epoch=stop
            )
            assert [row["epoch"] for row in history] == list(range(1, stop + 1))
        assert state is not None
        return state

    parts, whole = trained(1, 3, 3), trained(3)
    for key in ("net", "average"):
        for name, value in whole[key].items():
            assert torch.equal(parts[key][name], value)
    assert parts["step"] == whole["step"] == 18


def test_a_returned_state_stays_as_it_is(few_digits: Splits) -> None:
    net = Tiny()
    state, _ = train_once(net, few_digits, tiny_config(epochs=2), until_epoch=1)
    before = state["net"]["classifier.weight"].clone()
    train_once(net, few_digits, tiny_config(epochs=2), state=state)
    assert torch.equal(state["net"]["classifier.weight"], before)
