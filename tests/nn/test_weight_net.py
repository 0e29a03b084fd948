"""Convolutions whose kernels the image makes, one sample and one kernel at a time, and their special cases."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.nn.cond_conv import CondConv
from pumice.nn.gate import SqueezeExcite
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv, WeightNetDepthwise, sample_conv2d

EXACT = 1e-12


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def far(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    assert float(b.detach().std()) > 0.01, "an output that does not vary shows nothing"
    return float((a - b).detach().abs().max())


def kernels_by_hand(layer: WeightNetConv, s: Tensor, groups: int) -> Tensor:
    """One sample's kernels, group by group: each has its own attention values and its own stretch of the kernel."""
    a = torch.sigmoid(layer.attend.weight.flatten(1) @ s + layer.attend.bias)
    matrix = layer.generate.weight.flatten(1)
    read, made = len(a) // groups, len(matrix) // groups
    pieces = [matrix[i * made : (i + 1) * made] @ a[i * read : (i + 1) * read] for i in range(groups)]
    return torch.cat(pieces)


@pytest.mark.parametrize(("m", "g", "kernel", "stride"), [(2, 2, 1, 1), (4, 1, 3, 1), (4, 2, 3, 2), (1, 1, 3, 1)])
def test_a_weight_net_is_its_equation(m: int, g: int, kernel: int, stride: int) -> None:
    torch.manual_seed(1)
    layer = WeightNetConv(6, 10, kernel, stride, squeeze=5, m=m, g=g).double()
    x, s = noise(3, 6, 9, 8), noise(3, 5, 1, 1, seed=2)
    expected = [
        F.conv2d(
            x[n : n + 1],
            kernels_by_hand(layer, s[n].flatten(), g * 10).view(10, 6, kernel, kernel),
            stride=stride,
            padding=kernel // 2,
        )
        for n in range(3)
    ]
    assert far(layer(x, s), torch.cat(expected)) < EXACT


@pytest.mark.parametrize(("m", "g", "stride", "dilation"), [(2, 2, 2, 1), (6, 2, 1, 2)])
def test_the_depthwise_form_is_its_equation(m: int, g: int, stride: int, dilation: int) -> None:
    torch.manual_seed(1)
    layer = WeightNetDepthwise(6, 3, stride, squeeze=5, m=m, g=g, dilation=dilation).double()
    assert layer.attend.out_channels == m // g * 6
    x, s = noise(3, 6, 9, 8), noise(3, 5, 1, 1, seed=2)
    expected = [
        F.conv2d(
            x[n : n + 1],
            kernels_by_hand(layer, s[n].flatten(), 6).view(6, 1, 3, 3),
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=6,
        )
        for n in range(3)
    ]
    assert far(layer(x, s), torch.cat(expected)) < EXACT


@pytest.mark.parametrize("groups", [1, 2])
def test_every_sample_has_its_own_kernel(groups: int) -> None:
    x, weight = noise(4, 6, 7, 5), noise(4, 8, 6 // groups, 3, 3, seed=2)
    expected = torch.cat([F.conv2d(x[n : n + 1], weight[n], padding=1, groups=groups) for n in range(4)])
    assert far(sample_conv2d(x, weight, padding=1, groups=groups), expected) < EXACT


def test_squeeze_and_excitation_is_a_weight_net() -> None:
    """M = G = 1 and static kernels that pass every channel on: attention scales the channels."""
    torch.manual_seed(0)
    se = SqueezeExcite(12, 4, act="", gate="sigmoid").double()
    nn.init.normal_(se.expand.weight)
    layer = WeightNetConv(12, 12, 1, squeeze=4, m=1, g=1).double()
    layer.attend.load_state_dict(se.expand.state_dict())
    layer.generate.weight.data = torch.eye(12, dtype=torch.float64).view(144, 1, 1, 1)
    x = noise(3, 12, 6, 5) + noise(3, 12, 1, 1, seed=2)
    assert far(layer(x, se.reduce(se.pool(x))), se(x)) < EXACT
    assert far(layer(x, se.reduce(se.pool(x.flip(0)))), se(x)) > 1e-3


def test_excitation_after_a_convolution_is_a_weight_net() -> None:
    torch.manual_seed(0)
    layer, squeeze = WeightNetConv(6, 10, 3, squeeze=16, m=1, g=1).double(), BlockSqueeze(6).double()
    x = noise(3, 6, 9, 8) + noise(3, 6, 1, 1, seed=2)
    s = squeeze(x)
    kernel = layer.generate.weight.view(10, 6, 3, 3)
    excited = F.conv2d(x, kernel, padding=1) * torch.sigmoid(layer.attend(s))
    assert far(layer(x, s), excited) < EXACT


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2)])
def test_cond_conv_is_a_weight_net(kernel: int, stride: int) -> None:
    """G = 1 and the same M attention values for every output channel: M experts."""
    torch.manual_seed(0)
    experts = 4
    cond = CondConv(6, 10, kernel, stride, experts=experts).double()
    layer = WeightNetConv(6, 10, kernel, stride, squeeze=6, m=experts, g=1).double()
    layer.attend.weight.data = cond.route.weight.repeat(10, 1)[..., None, None]
    layer.attend.bias.data = cond.route.bias.repeat(10)
    layer.generate.weight.data = cond.weight.flatten(1).T[..., None, None].clone()
    x = noise(3, 6, 9, 8) + noise(3, 6, 1, 1, seed=2)
    assert far(layer(x, x.mean((2, 3), keepdim=True)), cond(x)) < EXACT


@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 1), (1, 2, 2)])
def test_cond_conv_is_the_sum_of_its_experts(stride: int, dilation: int, groups: int) -> None:
    torch.manual_seed(0)
    layer = CondConv(6, 8, 3, stride, experts=5, dilation=dilation, groups=groups).double()
    x = noise(3, 6, 9, 8) + noise(3, 6, 1, 1, seed=2)
    a = torch.sigmoid(x.mean((2, 3)) @ layer.route.weight.T + layer.route.bias)
    assert float(a.detach().std(0).min()) > 1e-3
    expected = sum(
        a[:, e].view(3, 1, 1, 1)
        * F.conv2d(x, layer.weight[e], stride=stride, padding=dilation, dilation=dilation, groups=groups)
        for e in range(5)
    )
    assert isinstance(expected, Tensor)
    assert far(layer(x), expected) < EXACT


def test_cond_conv_is_timms() -> None:
    layers = pytest.importorskip("timm.layers")
    theirs = layers.CondConv2d(6, 8, 3, padding=1, num_experts=4).double()
    ours = CondConv(6, 8, 3, experts=4).double()
    theirs.weight.data = ours.weight.data.flatten(1).clone()
    x = noise(3, 6, 9, 8) + noise(3, 6, 1, 1, seed=2)
    assert far(ours(x), theirs(x, torch.sigmoid(ours.route(x.mean((2, 3)))))) < EXACT


class OneLayer(nn.Module):
    def __init__(self, layer: nn.Module, squeeze: nn.Module | None = None) -> None:
        super().__init__()
        self.squeeze, self.layer = squeeze, layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if self.squeeze is None else self.layer(x, self.squeeze(x))


def test_made_kernels_are_counted_like_others() -> None:
    pixels, weights = 7 * 7, 48 * 24 * 9
    made = profile(OneLayer(WeightNetConv(24, 48, 3, squeeze=16, m=4, g=2), BlockSqueeze(24)), (24, 7, 7))
    assert made.madds == pixels * weights + 24 * 16 + 16 * 4 * 48 + 2 * weights
    deep = profile(OneLayer(WeightNetDepthwise(24, 3, 2, squeeze=16), BlockSqueeze(24)), (24, 7, 7))
    assert deep.madds == 4 * 4 * 24 * 9 + 24 * 16 + 16 * 24 + 24 * 9
    cond = profile(OneLayer(CondConv(24, 48, 3, experts=4)), (24, 7, 7))
    assert cond.madds == pixels * weights + 24 * 4 + 4 * weights
    assert (made.params, cond.params) == (24 * 16 + 16 + 17 * 192 + 2 * weights, 24 * 4 + 4 + 4 * weights)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WeightNetConv(24, 48, squeeze=16, m=3, g=2), "m 3 and g 2 cannot make kernels of 24 weights"),
        (lambda: WeightNetConv(25, 48, squeeze=16, m=2, g=2), "m 2 and g 2 cannot make kernels of 25 weights"),
        (lambda: WeightNetConv(24, 48, squeeze=16, m=0, g=1), "m 0 and g 1"),
        (lambda: WeightNetDepthwise(24, 3, squeeze=16, m=1, g=2), "m 1 and g 2; g must divide m"),
        (lambda: CondConv(24, 48, experts=0), "0 experts"),
        (lambda: CondConv(24, 48, groups=5), "in 5 groups"),
    ],
)
def test_impossible_kernels_are_one_sentence(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(BadInput) as raised:
        make()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
