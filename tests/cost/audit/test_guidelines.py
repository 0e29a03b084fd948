"""The four guidelines on small made-up nets, by hand arithmetic."""

from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.audit.channels import Channels
from pumice.cost.audit.fragments import proposals as fragments
from pumice.cost.audit.grouped import dense_access
from pumice.cost.audit.grouped import proposals as grouped
from pumice.cost.audit.unequal import access, lower_bound, rebalanced
from pumice.cost.audit.unequal import proposals as unequal
from pumice.graph.edit import Widen, apply
from pumice.graph.fold import fold_norms
from pumice.graph.records import Graph
from pumice.graph.trace import trace
from pumice.nn.ghost import GhostModule
from pumice.nn.shuffle import ChannelShuffle


def graph_of(*modules: nn.Module, size: tuple[int, int, int]) -> Graph:
    return trace(nn.Sequential(*modules), size)


def bottleneck(c: int, hidden: int, groups: int = 1) -> nn.Module:
    shuffle = ChannelShuffle(groups) if groups > 1 else nn.Identity()
    return nn.Sequential(
        nn.Conv2d(c, hidden, 1, groups=groups, bias=False),
        nn.ReLU(),
        shuffle,
        nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
        nn.Conv2d(hidden, c, 1, groups=groups, bias=False),
    )


class Residual(nn.Module):
    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


@pytest.mark.parametrize(("hw", "c"), [(196, 64), (3136, 24)])
def test_equal_widths_reach_the_bound(hw: int, c: int) -> None:
    assert access(hw, c, c) == pytest.approx(lower_bound(hw, c, c), rel=1e-12)
    # c/4 x 4c multiplies as much: hw (c/4 + 4c) instead of hw 2c
    assert access(hw, c // 4, 4 * c) - lower_bound(hw, c // 4, 4 * c) == pytest.approx(2.25 * hw * c, rel=1e-9)


def test_the_bound_of_one_layer() -> None:
    graph = graph_of(nn.Conv2d(8, 32, 1, bias=False), size=(8, 10, 10))
    (found,) = unequal(graph, Channels(graph))
    figures = found.places[0].figures
    b = 100 * 8 * 32
    assert figures["memory_access"] == 100 * 40 + 256 == graph.layers[0].memory_access
    assert figures["lower_bound"] == pytest.approx(2 * sqrt(100 * b) + b / 100)
    assert found.figures["above"] == pytest.approx(4256 / (3200 + 256) - 1)
    assert not found.alternatives


def test_a_bottleneck_is_made_more_even() -> None:
    c, hidden, pixels = 16, 96, 100
    graph = graph_of(
        nn.Conv2d(3, c, 3, padding=1, bias=False),
        Residual(bottleneck(c, hidden)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(c, 10),
        size=(3, 10, 10),
    )
    channels = Channels(graph)
    trunk = channels.out_of(graph.nodes[0])
    assert (trunk.channels, trunk.fixed) == (c, True)  # a linear layer reads it
    graph = graph_of(
        nn.Conv2d(3, c, 3, padding=1, bias=False),
        Residual(bottleneck(c, hidden)),
        nn.Conv2d(c, 20, 1, bias=False),
        size=(3, 10, 10),
    )
    channels = Channels(graph)
    changes = rebalanced(graph, channels, channels.out_of(graph.nodes[0]), 1.5)
    # 24 wide: pixels (27 * 24 + (2 * 24 + 9) h + 24 * 20) <= pixels (27 * 16 + (2 * 16 + 9) 96 + 16 * 20)
    most = (27 * 16 + 41 * 96 + 320 - 27 * 24 - 480) / 57
    assert 56 < most < 64
    assert {(change.out_channels, change.groups) for change in changes} == {(24, 1), (56, 1)}
    edited = apply(graph, changes).graph
    assert edited.madds == pixels * (27 * 24 + (2 * 24 + 9) * 56 + 24 * 20) < graph.madds
    assert not rebalanced(graph, channels, channels.out_of(graph.nodes[0]), 4.0), "hidden would be the smaller one"


def test_group_convolutions_become_dense_at_equal_multiply_adds() -> None:
    c, hidden, g, pixels = 32, 64, 4, 36
    graph = graph_of(nn.Conv2d(3, c, 1), bottleneck(c, hidden, g), nn.Conv2d(c, 8, 1), size=(3, 6, 6))
    (found,) = grouped(graph, Channels(graph))
    first = found.places[0].figures
    assert first["memory_access"] == pixels * (c + hidden) + c * hidden // g
    assert first["dense_memory_access"] == pixels * c + c * (hidden // g) + pixels * hidden // g
    assert first["dense_memory_access"] == dense_access(pixels, c, hidden, g)
    edited = apply(graph, found.alternatives[0]).graph
    assert {layer.groups for layer in edited.layers} == {1, hidden // g}
    assert not [layer for layer in edited.layers if layer.op == "move"], "the shuffle has nothing left to mix"
    # the 1 x 1 convolutions multiply as before, the depthwise one a fourth of it
    assert graph.madds - edited.madds == pixels * 9 * (hidden - hidden // g)


def test_depthwise_convolutions_are_no_group_convolutions() -> None:
    graph = graph_of(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 3, groups=8), size=(8, 9, 9))
    assert not list(grouped(graph, Channels(graph)))


class Fire(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x).relu(), self.three(x).relu()), 1)


def test_parallel_convolutions_become_one() -> None:
    graph = graph_of(Fire(), nn.Conv2d(32, 4, 1), size=(8, 5, 5))
    (found,) = fragments(graph, Channels(graph))
    assert found.sort == "merge branches"
    edited = apply(graph, found.alternatives[0]).graph
    assert edited.madds == 25 * (8 * 32 + 32 * 4) < graph.madds
    assert [node.kind for node in edited.nodes] == ["conv", "activation", "conv"]


def test_ghost_modules_keep_their_intrinsic_maps() -> None:
    size = (8, 5, 5)
    graph = trace(fold_norms(nn.Sequential(GhostModule(8, 32, act="RE"), nn.Conv2d(32, 4, 1)), size), size)
    (found,) = fragments(graph, Channels(graph))
    assert found.sort == "drop branch"
    edited = apply(graph, found.alternatives[0])
    assert edited.graph.madds == 25 * (8 * 16 + 16 * 4)
    assert edited.reshaped == {"1.weight": (4, 16, 1, 1)}


def test_widths_tied_by_a_shortcut_change_together() -> None:
    graph = graph_of(nn.Conv2d(3, 16, 1), Residual(bottleneck(16, 32)), nn.Conv2d(16, 4, 1), size=(3, 4, 4))
    trunk = Channels(graph).out_of(graph.nodes[0])
    assert len(trunk.makers) == 2
    assert apply(graph, [Widen(node.index, 24, 1) for node in trunk.makers]).graph.madds > graph.madds
