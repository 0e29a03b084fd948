"""The units that probes are made of: those of the literature, at any width, out of `pumice.nn`.

Each takes (random, in_channels, out_channels, stride) and gives a module; widths are even.
"""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pumice.nn.activation import Activation
from pumice.nn.channelwise import ChannelwiseConv, GroupChannelwiseConv
from pumice.nn.conv import ConvNormAct
from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.eesp import EESP, DepthwisePyramid
from pumice.nn.factorised import FactorisedDepthwise
from pumice.nn.gate import SqueezeExcite
from pumice.nn.ghost import GhostModule
from pumice.nn.interleaved import InterleavedGroupConv
from pumice.nn.inverted_residual import InvertedResidual
from pumice.nn.learned_group import CondensedConv
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.shuffle import ChannelShuffle
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv, WeightNetDepthwise


class Residual(nn.Module):
    """x + body(x), then ReLU or nothing."""

    def __init__(self, body: nn.Module, relu: bool) -> None:
        super().__init__()
        self.body = body
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return self.act(x + self.body(x))


class Side(nn.Module):
    """Branches of one input, concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum of the branches' widths, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Halves(nn.Module):
    """One half of the channels passes, the other goes through `body`; then a shuffle."""

    def __init__(self, body: nn.Module, half: int) -> None:
        super().__init__()
        self.body, self.worked, self.shuffle = body, half, ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        kept, worked = x.split((x.shape[1] - self.worked, self.worked), 1)
        return self.shuffle(torch.cat((kept, self.body(worked)), 1))


class Generated(nn.Module):
    """Convolutions whose kernels the image makes, each with a norm: one k x k, or pointwise, depthwise, pointwise."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        *,
        separable: bool,
        ratio: tuple[int, int],
    ) -> None:
        super().__init__()
        c, o = channels, out_channels
        self.squeeze = BlockSqueeze(c)
        width, (m, g) = self.squeeze.width, ratio
        convs = (
            [
                WeightNetConv(c, o, squeeze=width, m=m, g=g),
                WeightNetDepthwise(o, 3, stride, squeeze=width, m=1, g=1),
                WeightNetConv(o, o, squeeze=width, m=m, g=g),
            ]
            if separable
            else [WeightNetConv(c, o, kernel_size, stride, squeeze=width, m=m, g=g)]
        )
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _ in convs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        s = self.squeeze(x)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x, s))
            x = x if i == 1 else torch.relu(x)
        return x


Unit = Callable[[random.Random, int, int, int], nn.Module]
"""(random, in_channels, out_channels, stride) -> a module; widths are even."""


def _common(r: random.Random, least: int, *numbers: int) -> int:
    """A divisor of all numbers, `least` or more where there is one."""
    able = [g for g in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32) if g >= least and not any(n % g for n in numbers)]
    return r.choice(able) if able else 1


def act_of(r: random.Random) -> Activation:
    """An activation of the survey."""
    choices: tuple[Activation, ...] = ("RE", "RE", "R6", "HS", "SI", "PR")
    return r.choice(choices)


def _plain(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    return ConvNormAct(c, o, r.choice((1, 3, 3, 5)), s, act=act_of(r))


def _separable(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    act = act_of(r)
    return nn.Sequential(ConvNormAct(c, c, r.choice((3, 3, 5)), s, groups=c, act=act), ConvNormAct(c, o, 1, act=act))


def _inverted(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    act = act_of(r)
    hidden = max(8, int(c * r.choice((1, 2, 2.5, 3, 4, 6))) // 2 * 2)
    gates = SqueezeExcite(hidden, max(4, hidden // r.choice((4, 8))), gate=r.choice(("hard", "sigmoid")))
    se = gates if r.random() < 0.4 else None
    groups = _common(r, 2, c, hidden, o) if r.random() < 0.25 else 1
    return InvertedResidual(
        c, hidden, o, r.choice((3, 3, 5, 7)), s, act=act, expand_act=r.choice((act, "")), se=se, groups=groups
    )


def _fire(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    squeeze = max(8, o // 4 // 2 * 2)
    sides = Side(ConvNormAct(squeeze, o // 2, 1, act="RE"), ConvNormAct(squeeze, o - o // 2, 3, act="RE"))
    return nn.Sequential(ConvNormAct(c, squeeze, 1, s, act="RE"), sides)


def _bottleneck(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    mid = max(8, o // 4 // 2 * 2)
    groups = _common(r, 2, mid) if r.random() < 0.3 else 1
    body = nn.Sequential(
        ConvNormAct(c, mid, 1, act="RE"), ConvNormAct(mid, mid, 3, s, groups=groups, act="RE"), ConvNormAct(mid, o, 1)
    )
    return Residual(body, relu=True) if s == 1 and c == o else body


def _flat(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    mid = max(8, o // 2 // 2 * 2)
    return nn.Sequential(
        ConvNormAct(c, mid, 1, s, act="RE"),
        ConvNormAct(mid, mid, (1, 3), act="RE"),
        ConvNormAct(mid, mid, (3, 1), act="RE"),
        ConvNormAct(mid, o, 1, act="RE"),
    )


def _grouped(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    mid = max(8, o // r.choice((1, 2, 4)) // 2 * 2)
    first, second = _common(r, 2, c, mid), _common(r, 2, mid, o)
    body = nn.Sequential(
        ConvNormAct(c, mid, 1, groups=first, act="RE"),
        ChannelShuffle(first) if first > 1 else nn.Identity(),
        ConvNormAct(mid, mid, 3, s, groups=mid),
        ConvNormAct(mid, o, 1, groups=second),
    )
    if s == 2:
        return nn.Sequential(Side(nn.AvgPool2d(3, 2, 1), body), ConvNormAct(c + o, o, 1, act="RE"))
    return Residual(body, relu=True) if c == o else nn.Sequential(body, nn.ReLU())


def _halves(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    half, kernel = o // 2, r.choice((3, 3, 3, 5, 7))
    act: Activation = r.choice(("RE", "RE", "HS"))
    se = SqueezeExcite(half, max(4, half // 4)) if r.random() < 0.3 else nn.Identity()
    body = nn.Sequential(
        ConvNormAct(half if s == 1 and c == o else c, half, 1, act=act),
        ConvNormAct(half, half, kernel, s, groups=half),
        ConvNormAct(half, half, 1, act=act),
        se,
    )
    if s == 1 and c == o:
        return Halves(body, half)
    short = nn.Sequential(ConvNormAct(c, c, kernel, s, groups=c), ConvNormAct(c, o - half, 1, act=act))
    return nn.Sequential(Side(short, body), ChannelShuffle(2))


def _factorised(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    c1, c2 = r.choice(((1, 1), (2, 2), (1, 2)))
    hidden = c * c1 * c2
    groups = _common(r, 2, hidden, o)
    acts = r.random()
    first: nn.Module = nn.ReLU6()
    if acts < 0.6:
        starts = (1.0, 0.5) if acts < 0.4 else (1.0,)
        first = DynamicShiftMax(hidden, _common(r, 1, hidden), max(4, hidden // 16), starts, (0.0,) * len(starts))
    return nn.Sequential(
        FactorisedDepthwise(c, r.choice((3, 5)), s, c1, c2),
        first,
        ChannelShuffle(_common(r, 2, hidden)),
        nn.Sequential(nn.Conv2d(hidden, o, 1, groups=groups, bias=False), nn.BatchNorm2d(o)),
        ChannelShuffle(groups) if groups > 1 else nn.Identity(),
    )


def _condensed(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    wide, grown = 4 * max(8, o // 8 // 8 * 8), max(8, o // 8 // 8 * 8)
    groups = r.choice((2, 4))
    if c % groups or wide % groups:
        return _plain(r, c, o, s)
    new = nn.Sequential(
        CondensedConv(c, wide, groups, r.choice((1, groups))),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        nn.Conv2d(wide, grown, 3, 1, 1, groups=groups, bias=False),
    )
    down = nn.AvgPool2d(2) if s == 2 else nn.Identity()
    return nn.Sequential(
        Side(nn.Identity(), new), nn.BatchNorm2d(c + grown), nn.ReLU(), ConvNormAct(c + grown, o, 1), down
    )


def _dense(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    grown = max(8, o // 6 // 2 * 2)
    one = nn.Sequential(ConvNormAct(c, 2 * grown, 1, act="RE"), ConvNormAct(2 * grown, grown, 3, act="RE"))
    sides = Side(nn.Identity(), one)
    down = nn.AvgPool2d(2) if s == 2 else nn.Identity()
    return nn.Sequential(sides, ConvNormAct(c + grown, o, 1, act="RE"), down)


def _ghost(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    mid = max(8, c * r.choice((2, 3, 4)) // 2 * 2)
    down = ConvNormAct(mid, mid, r.choice((3, 5)), 2, groups=mid) if s == 2 else nn.Identity()
    body = nn.Sequential(GhostModule(c, mid, act="RE"), down, GhostModule(mid, o))
    return Residual(body, relu=False) if s == 1 and c == o else body


def _pyramid(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    able = [k for k in (2, 3, 4) if c % k == 0 and o % (k * k) == 0]
    if not able:
        return _separable(r, c, o, s)
    dilations = [r.randint(1, 4) for _ in range(r.choice(able))]
    return EESP(c, o, dilations) if s == 1 and c == o else DepthwisePyramid(c, o, dilations, s)


def _interleaved(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    first = _common(r, 2, c, o)
    conv = InterleavedGroupConv(c, o, 3, s, primary_groups=first, secondary_groups=_common(r, 2, o))
    return nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU())


def _channelwise(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    mixed: nn.Module = ChannelwiseConv(r.choice((8, 16, 32, 64)))
    groups = _common(r, 2, c)
    if groups > 1 and r.random() < 0.4:
        mixed = GroupChannelwiseConv(groups)
    convs = nn.Sequential(mixed, nn.BatchNorm2d(c), nn.ReLU())
    return nn.Sequential(ConvNormAct(c, c, 3, s, groups=c, act="RE"), convs, ConvNormAct(c, o, 1, act="RE"))


def _generated(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    return Generated(
        c, o, r.choice((1, 3)), s, separable=r.random() < 0.7, ratio=r.choice(((1, 1), (2, 2), (2, 1), (4, 2)))
    )


def _dynamic(r: random.Random, c: int, o: int, s: int) -> nn.Module:
    return nn.Sequential(ConvNormAct(c, o, r.choice((1, 3)), s), DynamicReLU(o, max(4, o // 8)))


UNITS_OF: tuple[tuple[Unit, int], ...] = (  # and how often each is drawn
    (_plain, 2),
    (_separable, 3),
    (_inverted, 6),
    (_fire, 2),
    (_bottleneck, 2),
    (_flat, 2),
    (_grouped, 4),
    (_halves, 4),
    (_factorised, 5),
    (_condensed, 3),
    (_dense, 3),
    (_ghost, 3),
    (_pyramid, 5),
    (_interleaved, 2),
    (_channelwise, 2),
    (_generated, 3),
    (_dynamic, 1),
)
