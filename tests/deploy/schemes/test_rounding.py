"""Layers that round as they train: the grids, what gradients pass, and the way back to float weights."""

import copy

import pytest
import torch
from torch import nn

from pumice.deploy.network import folded
from pumice.deploy.schemes.rounding import RoundedActivation, RoundedWeight, rounding, take_weights
from tests.deploy.schemes.conftest import SIZE, Learnt, digits_net


def test_weights_lie_on_the_grid_of_their_channel() -> None:
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float32) * torch.tensor([1.0, 10, 0.1, 0]).view(-1, 1, 1, 1)
    for axis in (0, 1):
        rounded = RoundedWeight(axis)(weight)
        others = [i for i in range(4) if i != axis]
        step = weight.abs().amax(others, keepdim=True) / 63
        assert torch.allclose(rounded, (weight / step.clamp_min(1e-12)).round() * step, atol=1e-6)
        assert (rounded - weight).abs().max() > 1e-3


def test_activations_lie_on_a_grid_that_holds_zero_and_follows_the_batches() -> None:
    act = RoundedActivation()
    x = torch.linspace(0.5, 3, 1000)
    got = act(x)
    assert (act.low.item(), act.high.item()) == (0.0, 3.0)
    assert torch.allclose(got, (x / (3 / 255)).round() * (3 / 255), atol=1e-5)
    act(torch.tensor([-2.0, 1.0]))
    assert (act.low.item(), act.high.item()) == pytest.approx((-0.1, 2.9))
    act.eval()
    kept = (act.low.item(), act.high.item())
    assert act(torch.tensor([0.0, 100.0, -100.0])).tolist() == pytest.approx([0, 2.9, -0.1], abs=0.012)
    assert (act.low.item(), act.high.item()) == kept


def test_gradients_pass_but_where_it_is_clipped() -> None:
    act = RoundedActivation()
    act(torch.tensor([-1.0, 1.0]))
    x = torch.tensor([0.3, 5.0], requires_grad=True)
    act.eval()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0]


def test_only_rounding_is_added_and_the_weights_come_back(learnt: Learnt) -> None:
    network = folded(learnt.net, SIZE)
    x = torch.from_numpy(learnt.calibration)
    rounded = rounding(network)
    with torch.no_grad():
        rounded.train()(x)
        want, got = network(x), rounded.eval()(x)
    off = ((got - want).abs().mean() / want.abs().mean()).item()
    assert 1e-3 < off < 0.2
    assert sum(isinstance(m, RoundedActivation) for m in rounded.modules()) == 2 * 7
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter += 1
    take_weights(network, rounded)
    assert all(torch.equal(value, before[name] + 1) for name, value in network.state_dict().items())


def test_shared_weights_stay_as_they_are() -> None:
    net = digits_net()
    net.append(nn.Linear(10, 10)).append(nn.Linear(10, 10))
    net[12].weight = net[11].weight
    names = {name.split(".")[0] for name, m in rounding(net).named_modules() if isinstance(m, RoundedWeight)}
    assert names == {"0", "3", "5", "8", "10"}
