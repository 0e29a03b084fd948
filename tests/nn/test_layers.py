"""Layers against their equations."""

import doctest
import math
import pkgutil
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pumice.nn
from pumice.nn.activation import activation
from pumice.nn.conv import Conv2dSame, ConvNormAct, set_norm, set_padding
from pumice.nn.drop_path import DropPath, set_drop_path
from pumice.nn.factorised import FactorisedDepthwise
from pumice.nn.gate import SqueezeExcite
from pumice.nn.initialise import initialise
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.shuffle import ChannelShuffle

MODULES = [module.name for module in pkgutil.iter_modules(pumice.nn.__path__, "pumice.nn.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    module = import_module(name)
    results = doctest.testmod(module, extraglobs={"torch": torch})
    layers = [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, nn.Module) and cls.__module__ == name
    ]
    assert all(">>>" in (cls.__doc__ or "") for cls in layers), "every layer shows itself"
    assert results.failed == 0
    assert results.attempted >= len(layers)


def test_activations() -> None:
    x = torch.tensor([-4.0, -1.0, 0.5, 2.0, 7.0])
    expected: dict[str, Tensor] = {
        "": x,
        "RE": x.clamp(min=0),
        "R6": x.clamp(0, 6),
        "HS": x * (x + 3).clamp(0, 6) / 6,
    }
    for name, y in expected.items():
        torch.testing.assert_close(activation(name)(x), y)  # type: ignore[arg-type]


@pytest.mark.parametrize(("groups", "channels"), [(2, 6), (3, 12), (4, 4), (1, 5)])
def test_channel_shuffle_is_its_equation(groups: int, channels: int) -> None:
    x = torch.randn(2, channels, 3, 5)
    y = ChannelShuffle(groups)(x)
    for i in range(groups):
        for j in range(channels // groups):
            assert torch.equal(y[:, j * groups + i], x[:, i * (channels // groups) + j])


def test_shuffles_undo_each_other() -> None:
    x = torch.randn(1, 12, 2, 2)
    assert not torch.equal(ChannelShuffle(3)(x), x)
    assert torch.equal(ChannelShuffle(4)(ChannelShuffle(3)(x)), x)


# ---- padding


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "size", "before", "after"),
    [
        (5, 2, 1, 12, 1, 2),
        (5, 2, 1, 13, 2, 2),
        (3, 2, 1, 12, 0, 1),
        (3, 2, 1, 13, 1, 1),
        (3, 1, 2, 12, 2, 2),
        (3, 1, 1, 12, 1, 1),
        (1, 2, 1, 12, 0, 0),
        (7, 4, 1, 17, 3, 3),  # 5 outputs reach 16 + 7 pixels
    ],
)
def test_same_padding_by_hand(kernel: int, stride: int, dilation: int, size: int, before: int, after: int) -> None:
    conv = Conv2dSame(2, 3, kernel, stride, dilation=dilation)
    x = torch.randn(2, 2, size, size)
    by_hand = F.conv2d(F.pad(x, (before, after, before, after)), conv.weight, conv.bias, stride, 0, dilation)
    assert by_hand.shape[-1] == math.ceil(size / stride)
    torch.testing.assert_close(conv(x), by_hand)


def test_same_padding_treats_the_sides_apart() -> None:
    conv = Conv2dSame(1, 1, (5, 3), (2, 2), bias=False)
    x = torch.randn(1, 1, 13, 12)
    torch.testing.assert_close(conv(x), F.conv2d(F.pad(x, (0, 1, 2, 2)), conv.weight, None, 2))


def test_set_padding_changes_strided_convolutions_only_and_back() -> None:
    net = nn.Sequential(
        ConvNormAct(3, 4, 3, 2), ConvNormAct(4, 4, 5, groups=4), ConvNormAct(4, 6, 1, 2), ConvNormAct(6, 6, 5, 2)
    ).eval()
    x = torch.randn(1, 3, 32, 32)
    keys, before = list(net.state_dict()), net(x)
    set_padding(net, "same")
    assert [isinstance(block.conv, Conv2dSame) for block in net] == [True, False, False, True]
    y = net[0].conv(x)
    torch.testing.assert_close(y, F.conv2d(F.pad(x, (0, 1, 0, 1)), net[0].conv.weight, None, 2))
    after = net(x)
    assert after.shape == before.shape
    assert float((after - before).detach().abs().max()) > 1e-2 * float(before.detach().abs().max())
    set_padding(net, "symmetric")
    assert torch.equal(net(x), before)
    assert list(net.state_dict()) == keys
    with pytest.raises(ValueError, match="'valid' is unknown"):
        set_padding(net, "valid")


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2), ((3, 1), 1), ((1, 5), 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_default_padding_keeps_the_size(kernel: int | tuple[int, int], dilation: int, stride: int) -> None:
    block = ConvNormAct(2, 4, kernel, stride, dilation=dilation)
    assert block(torch.randn(2, 2, 13, 16)).shape == (2, 4, math.ceil(13 / stride), math.ceil(16 / stride))


def test_norm_settings() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Linear(2, 2), nn.BatchNorm1d(2))
    set_norm(net, eps=1e-3)
    assert [(m.eps, m.momentum) for m in (net[0], net[2])] == [(1e-3, 0.1)] * 2
    set_norm(net, momentum=0.01)
    assert [(m.eps, m.momentum) for m in (net[0], net[2])] == [(1e-3, 0.01)] * 2


# ---- gates and factors


def test_squeeze_excite_is_its_equation() -> None:
    torch.manual_seed(0)
    layer = SqueezeExcite(6, 3)
    nn.init.normal_(layer.expand.weight, 0, 5)
    x = torch.randn(2, 6, 4, 5)
    hidden = (x.mean((2, 3)) @ layer.reduce.weight.flatten(1).T + layer.reduce.bias).clamp(min=0)
    t = hidden @ layer.expand.weight.flatten(1).T + layer.expand.bias
    gate = (t + 3).clamp(0, 6) / 6
    assert float(gate.detach().std()) > 0.05
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


def test_factorised_depthwise_is_an_outer_product() -> None:
    """With its norms switched off, k x 1 then 1 x k is the k x k convolution of rank one."""
    torch.manual_seed(0)
    layer = FactorisedDepthwise(4, 5, 2, c1=2, c2=3).eval()
    set_norm(layer, eps=0.0)
    x = torch.randn(2, 4, 11, 14)
    kernels = layer.vertical.weight.repeat_interleave(3, 0) * layer.horizontal.weight
    assert kernels.shape == (24, 1, 5, 5)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernels, None, 2, 2, 1, groups=4), atol=1e-5, rtol=1e-5)
    # Four consecutive outputs of one input channel: no output of channel 0 sees channel 1.
    x[:, 1] = 0
    assert not layer(x)[:, 6:12].any()


def test_shift_max_uses_every_coefficient() -> None:
    torch.manual_seed(0)
    layer = DynamicShiftMax(8, 2, 4, a0=(1, 0.5), b0=(0, 0.5)).eval()
    nn.init.normal_(layer.squeeze.weight)
    nn.init.normal_(layer.excite.weight)
    x = torch.randn(3, 8, 4, 4)
    pooled = x.mean((2, 3))
    t = layer.excite(layer.squeeze(pooled).clamp(min=0))
    y = 4 * ((t + 3).clamp(0, 6) / 6 - 0.5)
    expected = torch.empty_like(x)
    for i in range(8):
        g, c = divmod(i, 4)
        shifted = x[:, (g + 1) % 2 * 4 + (c + 1) % 4]
        first = (y[:, i] + 1)[:, None, None] * x[:, i] + y[:, 8 + i][:, None, None] * shifted
        second = (y[:, 16 + i] + 0.5)[:, None, None] * x[:, i] + (y[:, 24 + i] + 0.5)[:, None, None] * shifted
        expected[:, i] = torch.maximum(first, second)
    torch.testing.assert_close(layer(x), expected)
    assert layer.extra_madds((3, 8, 4, 4)) == 2 * 2 * x.numel()
    assert "start" not in "".join(layer.state_dict())


# ---- drop path


def test_drop_path_statistics() -> None:
    torch.manual_seed(0)
    n, p = 20_000, 0.3
    x = torch.ones(n, 2, 1, 1)
    y = DropPath(p).train()(x)
    assert torch.equal(y[:, 0], y[:, 1]), "a sample is kept or dropped as a whole"
    kept = y[:, 0, 0, 0]
    torch.testing.assert_close(kept.unique(), torch.tensor([0, 1 / (1 - p)]))
    # Three standard errors of a mean of n draws.
    assert abs(float(kept.mean()) - 1) < 3 * math.sqrt(p / (1 - p) / n)
    assert torch.equal(DropPath(p).eval()(x), x)
    assert torch.equal(DropPath(0.0).train()(x), x)


def test_drop_path_rates_rise_to_the_last() -> None:
    net = nn.Sequential(DropPath(), nn.Linear(2, 2), nn.Sequential(DropPath(), DropPath()))
    assert set_drop_path(net, 0.2) == 3
    assert [m.p for m in net.modules() if isinstance(m, DropPath)] == pytest.approx([0, 0.1, 0.2])
    assert set_drop_path(nn.Linear(2, 2), 0.2) == 0


# ---- starting weights


@pytest.mark.parametrize(
    ("scheme", "spread"),
    [
        ("fan_in", math.sqrt(2 / (9 * 64 / 4))),
        ("fan_out", math.sqrt(2 / (9 * 128 / 4))),
        ("full_fan_out", math.sqrt(2 / (9 * 128))),
        ("shufflenet", 1 / (64 / 4)),
    ],
)
def test_spread_of_normal_starting_weights(scheme: str, spread: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 128, 3, groups=4), nn.BatchNorm2d(128), nn.Linear(128, 200), nn.BatchNorm1d(200))
    for p in net.parameters():
        nn.init.constant_(p, 7.0)
    initialise(net, scheme)  # type: ignore[arg-type]
    conv, norm, linear, norm1d = net
    # 18,432 draws estimate a standard deviation to half a percent.
    assert float(conv.weight.detach().std()) == pytest.approx(spread, rel=0.03)
    assert abs(float(conv.weight.detach().mean())) < 0.05 * spread
    assert float(linear.weight.detach().std()) == pytest.approx(0.01, rel=0.03)
    assert all(bool((m.weight == 1).all()) for m in (norm, norm1d))
    assert not any(m.bias.any() for m in net)


def test_shufflenet_stem_and_squeezenet_start() -> None:
    torch.manual_seed(0)
    stem, conv = nn.Conv2d(3, 512, 3, bias=False), nn.Conv2d(32, 96, 3)
    initialise(stem, "shufflenet")
    assert float(stem.weight.detach().std()) == pytest.approx(0.01, rel=0.03)
    initialise(conv, "squeezenet")
    limit = math.sqrt(6 / (9 * (32 + 96)))
    values = conv.weight.detach().abs()
    assert 0.99 * limit < float(values.max()) <= limit
    assert float(values.mean()) == pytest.approx(limit / 2, rel=0.03)  # uniform, not normal
    assert conv.bias is not None
    assert not conv.bias.any()
