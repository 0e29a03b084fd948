"""What a graph does is found whoever wrote it: shuffles, gates, activations, shortcuts."""

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.audit.chains import activations, dynamic_activations, gates, selections, shortcuts, shuffles
from pumice.graph.records import Graph
from pumice.graph.trace import trace
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.shuffle import ChannelShuffle

SIZE = (8, 6, 6)


class ByHand(nn.Module):
    """A shuffle, a swish and a shortcut written in a forward of somebody's own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.reshape(n, 4, 2, h, w).permute(0, 2, 1, 3, 4).contiguous().reshape(n, c, h, w)
        y = y * torch.sigmoid(y)
        return x + self.conv(y)


def graph_of(*modules: nn.Module) -> Graph:
    return trace(nn.Sequential(*modules), SIZE)


@pytest.mark.parametrize("shuffle", [ChannelShuffle(2), nn.ChannelShuffle(4)])
def test_shuffles(shuffle: nn.Module) -> None:
    graph = graph_of(nn.Conv2d(8, 8, 1), shuffle, nn.Conv2d(8, 8, 1))
    (found,) = shuffles(graph)
    first, last = graph.nodes[0], graph.nodes[-1]
    assert (found.source, found.result) == (first.outputs[0], last.inputs[0])


def test_a_reshape_that_turns_nothing_is_no_shuffle() -> None:
    assert not list(shuffles(graph_of(nn.Unflatten(1, (2, 4)), nn.Flatten(1, 2))))


def test_by_hand() -> None:
    graph = trace(ByHand(), SIZE)
    (shuffle,), ((name, swish),), (shortcut,) = shuffles(graph), activations(graph), shortcuts(graph)
    assert name == "x * sigmoid"
    assert swish.source == shuffle.result
    # The convolution is the branch with work of its own; the image is the shortcut.
    assert graph.nodes[[n.kind for n in graph.nodes].index("conv")].outputs[0] == shortcut.source
    assert not list(gates(graph))


def test_gates_are_no_shortcuts_and_no_activations() -> None:
    graph = graph_of(SqueezeExcite(8, 4))
    (found,) = gates(graph)
    assert (found.source, found.result) == (graph.inputs[0], graph.outputs[0])
    assert not list(activations(graph))  # those of the gate work on single pixels
    assert not list(shortcuts(graph))


def test_activations_that_runtimes_fuse_are_left_alone() -> None:
    graph = graph_of(nn.ReLU(), nn.ReLU6(), nn.Hardswish(), nn.SiLU(), nn.Softmax(1))
    assert [name for name, _ in activations(graph)] == ["hardswish", "silu"]


def test_dynamic_shift_max_is_one_activation() -> None:
    graph = graph_of(nn.Conv2d(8, 8, 1), DynamicShiftMax(8, 2, 4, a0=(1, 1), b0=(0, 0)))
    (found,) = dynamic_activations(graph)
    assert (found.source, found.result) == (graph.nodes[0].outputs[0], graph.outputs[0])
    assert not [*gates(graph), *shortcuts(graph), *selections(graph)]
