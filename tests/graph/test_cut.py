"""A cut net answers what the masked net answers, and is a net of its own."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import check_kept, cut, masked
from pumice.graph.trace import trace
from pumice.nn.conv import ConvNormAct
from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.gate import SqueezeExcite
from pumice.nn.ghost import GhostModule
from pumice.nn.interleaved import InterleavedGroupConv
from pumice.nn.learned_group import CondensedConv
from pumice.nn.shift_max import DynamicShiftMax, StaticShiftMax
from pumice.nn.shuffle import ChannelShuffle, ChannelSplit
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv, WeightNetDepthwise
from tests.graph.cutting import error, half, lively

SIZE = (3, 12, 12)
TOLERANCE = 1e-9  # relative, in double precision


class Through(nn.Module):
    """A first layer, something, a last layer."""

    def __init__(self, inside: nn.Module, width: int = 16, out: int | None = None) -> None:
        super().__init__()
        self.first = ConvNormAct(3, width, 3, act="HS")
        self.inside = inside
        self.last = nn.Conv2d(out or width, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inside(self.first(x)))


class Halves(nn.Module):
    """ShuffleNetV2's unit, twice."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.shuffles = nn.ModuleList(ChannelShuffle(c // 2) for _ in range(2))
        self.splits = nn.ModuleList(ChannelSplit((c - c // 2, c // 2)) for _ in range(2))
        self.branches = nn.ModuleList(ConvNormAct(c // 2, c // 2, act="RE") for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for shuffle, split, branch in zip(self.shuffles, self.splits, self.branches, strict=True):
            a, b = split(shuffle(x))
            x = torch.cat((a, branch(b)), 1)
        return x


class Made(nn.Module):
    """Convolutions with kernels that the image makes."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.squeeze = BlockSqueeze(c)
        r = self.squeeze.width
        self.conv = WeightNetConv(c, c, 3, squeeze=r, m=2, g=2)
        self.depthwise = WeightNetDepthwise(c, 3, squeeze=r)

    def forward(self, x: Tensor) -> Tensor:
        s = self.squeeze(x)
        return self.depthwise(self.conv(x, s).relu(), s)


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "chain": lambda: Through(ConvNormAct(16, 16, 3, act="SI")),
    "residual": lambda: Through(Residual(ConvNormAct(16, 16, 3, act="HS"))),
    "gate": lambda: Through(SqueezeExcite(16, 8, gate="sigmoid")),
    "depthwise": lambda: Through(ConvNormAct(16, 32, 3, groups=16, act="PR"), out=32),
    "ghost": lambda: Through(GhostModule(16, 24, act="RE"), out=24),
    "grouped": lambda: Through(ConvNormAct(16, 8, 3, groups=4), out=8),
    "shuffled": lambda: Through(nn.Sequential(ChannelShuffle(4), ConvNormAct(16, 16, groups=2), ChannelShuffle(2))),
    "halves": lambda: Through(Halves(16)),
    "whole groups": lambda: Through(InterleavedGroupConv(16, 16, primary_groups=8)),
    "condensed": lambda: Through(CondensedConv(16, 32, groups=4, condense_factor=2), out=32),
    "dynamic relu": lambda: Through(DynamicReLU(16, 4)),
    "shift-max": lambda: Through(DynamicShiftMax(16, 4, 8, a0=(1, 0.5), b0=(0.5, 1))),
    "three copies": lambda: Through(DynamicShiftMax(16, 4, 8, a0=(1, 0.5), b0=(0.5, 1), c0=(0.2, 0.3))),
    "static shift-max": lambda: Through(StaticShiftMax(16, 4, a0=(1, 0), b0=(0, 1), form="paper")),
    "weight net": lambda: Through(Made(16)),
    "transposed": lambda: Through(nn.ConvTranspose2d(16, 16, 2, 2)),
    "transposed depthwise": lambda: Through(nn.ConvTranspose2d(16, 16, 2, 2, groups=16)),
    "flatten": lambda: nn.Sequential(
        Through(nn.AdaptiveAvgPool2d(2)), nn.Conv2d(5, 8, 1), nn.Flatten(), nn.Linear(32, 9), nn.Linear(9, 3)
    ),
}


@pytest.fixture(params=KINDS)
def net(request: pytest.FixtureRequest) -> nn.Module:
    return lively(KINDS[request.param]())


def groups_of(model: nn.Module) -> tuple[Group, ...]:
    return channel_groups(trace(model, SIZE))


def test_the_cut_net_equals_the_masked_one(net: nn.Module) -> None:
    groups = groups_of(net)
    kept = half(groups)
    assert kept
    small, hidden = cut(net, groups, kept), masked(net, groups, kept)
    found = error(small, hidden, SIZE)
    assert found.relative < TOLERANCE
    # It hides something, and still looks at its input: else there would be nothing to compare.
    assert error(net, hidden, SIZE).relative > 1e-3
    assert found.spread > 1e-2


def test_it_costs_less(net: nn.Module) -> None:
    groups = groups_of(net)
    small = cut(net, groups, half(groups))
    assert trace(small, SIZE).madds < 0.7 * trace(net, SIZE).madds
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())


def test_each_group_can_be_cut_alone(net: nn.Module) -> None:
    groups = groups_of(net)
    for name, channels in half(groups).items():
        kept = {name: channels}
        assert error(cut(net, groups, kept), masked(net, groups, kept), SIZE).relative < TOLERANCE, name


def test_a_cut_net_can_be_cut_again(net: nn.Module) -> None:
    groups = groups_of(net)
    small = cut(net, groups, half(groups, share=0.75))
    again = groups_of(small)
    kept = half(again, seed=1)
    assert error(cut(small, again, kept), masked(small, again, kept), SIZE).relative < TOLERANCE


def test_the_model_stays_as_it_was(net: nn.Module) -> None:
    before = copy.deepcopy(net)
    groups = groups_of(net)
    cut(net, groups, half(groups))
    masked(net, groups, half(groups))
    assert str(net) == str(before)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), before.state_dict().values(), strict=True))


def test_attributes_say_the_new_sizes() -> None:
    net = Through(nn.Sequential(ConvNormAct(16, 16, 3, groups=16, act="PR"), ConvNormAct(16, 8, groups=4)), out=8)
    groups = groups_of(net)
    small = cut(net, groups, half(groups))
    assert (
        str(small.inside[0].conv)
        == "Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=8, bias=False)"
    )
    assert str(small.inside[1].conv) == "Conv2d(8, 4, kernel_size=(1, 1), stride=(1, 1), groups=4, bias=False)"
    assert small.inside[0].norm.num_features == 8
    assert small.inside[0].act.num_parameters == 8
    assert small.last.in_channels == 4


def test_whole_groups_are_fewer_groups() -> None:
    net = Through(InterleavedGroupConv(16, 16, primary_groups=8))
    groups = groups_of(net)
    small = cut(net, groups, half(groups))
    assert (small.inside.primary.groups, small.inside.primary.in_channels) == (4, 8)
    assert (small.inside.secondary.groups, small.inside.secondary.in_channels) == (2, 8)


def test_a_shuffle_stays_a_shuffle_where_it_can() -> None:
    shuffle = ChannelShuffle(2)
    stays = torch.tensor([True, False, True, True, False, True])
    shuffle.narrow(stays, stays)
    assert (shuffle.groups, shuffle.order) == (2, None)
    assert shuffle(torch.arange(4.0).view(1, 4, 1, 1)).flatten().tolist() == [0, 2, 1, 3]
    own = ChannelShuffle(2)
    stays = torch.tensor([True, True, True, True, False, False])
    own.narrow(stays, stays)
    assert own(torch.arange(4.0).view(1, 4, 1, 1)).flatten().tolist() == [0, 3, 1, 2]


def test_a_shared_weight_stays_shared() -> None:
    net = Through(nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1)))
    net.inside[2].weight = net.inside[0].weight
    groups = groups_of(net)
    kept = half(groups)
    small = cut(net, groups, kept)
    assert small.inside[2].weight is small.inside[0].weight
    assert error(small, masked(net, groups, kept), SIZE).relative < TOLERANCE


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"nobody": [0]}, "there is no channel group nobody; the groups are first.conv"),
        ({"last": [0]}, r"channel group last cannot be cut \(output\)"),
        ({"inside.conv": [1, 0]}, "ascending numbers below 8"),
        ({"inside.conv": [0, 0]}, "ascending numbers below 8"),
        ({"inside.conv": [0, 8]}, "ascending numbers below 8"),
        ({"inside.conv": [0, 1]}, "every cell must keep equally many"),
        ({"inside.conv": []}, "keeps no channel"),
    ],
)
def test_a_choice_that_breaks_a_rule_is_refused(kept: dict[str, list[int]], words: str) -> None:
    net = Through(ConvNormAct(16, 8, groups=4), out=8)
    groups = groups_of(net)
    for ask in (lambda: check_kept(groups, kept), lambda: cut(net, groups, kept), lambda: masked(net, groups, kept)):
        with pytest.raises(BadInput, match=words):
            ask()


def test_all_channels_may_be_named_also_of_a_frozen_group() -> None:
    net = Through(ConvNormAct(16, 16))
    groups = groups_of(net)
    everything = {group.name: range(group.channels) for group in groups}
    assert error(cut(net, groups, everything), net, SIZE).relative == 0


def test_an_empty_part_of_a_split_is_refused() -> None:
    net = Through(Halves(16))
    groups = groups_of(net)
    with pytest.raises(BadInput, match=r"inside.branches.0.conv would be left without channels"):
        cut(net, groups, {"first.conv": [0]})
    split = ChannelSplit((2, 4))
    stays = torch.tensor([False, False, True, True, True, True])
    with pytest.raises(BadInput, match="empty part"):
        split.narrow(stays, stays)
