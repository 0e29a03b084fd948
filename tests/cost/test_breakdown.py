"""Parts of a net: shuffles known by what they do in our nets, other people's and in small ones made for the purpose."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.breakdown import PARTS, breakdown, parts
from pumice.graph.records import Graph
from pumice.graph.trace import trace
from pumice.models.create import create_model


def shuffles(graph: Graph) -> list[str]:
    """The operators that move channels, without the views around them."""
    found = zip(parts(graph), graph.nodes, strict=True)
    return [node.op.split(".")[1] for part, node in found if part == "shuffle" and node.kind == "move"]


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("shufflenetv2_050", 13),  # one in each unit of stride 1: 3 + 7 + 3
        ("shufflenetv1_g3_100", 16),  # one a unit
        ("shufflenetv1_g1_100", 0),  # one group is no shuffle
        ("igcv3_100", 32),
        ("mobilenetv2_100", 0),
        ("ghostnet_100", 0),
    ],
)
def test_our_nets(name: str, moves: int) -> None:
    graph = trace(create_model(name))
    found = shuffles(graph)
    assert len(found) == moves
    # Both reshapes and the transpose around a copy go with it.
    assert Counter(parts(graph))["shuffle"] == 4 * moves


def test_torchvisions_shufflenet() -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        net = models.shufflenet_v2_x0_5()
    assert shuffles(trace(net)) == ["clone"] * 16  # 4 + 8 + 4 units


class Call(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * 2)


def reversed_channels(x: Tensor) -> Tensor:
    return x[:, torch.tensor([5, 4, 3, 2, 1, 0])]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.view(1, 2, 3, 8, 8).permute(0, 2, 1, 3, 4).reshape(1, 6, 8, 8),
        lambda x: x.view(1, 3, 2, 64).transpose(1, 2).contiguous().view(1, 6, 8, 8),
        lambda x: x.index_select(1, torch.tensor([3, 0, 4, 1, 5, 2])),
        reversed_channels,
        lambda x: torch.channel_shuffle(x, 3),
    ],
)
def test_a_shuffle_in_any_words(function: Any) -> None:
    assert len(shuffles(trace(Call(function), (6, 8, 8)))) == 1


def test_a_shuffle_without_a_copy() -> None:
    """The authors' ShuffleNetV2 splits in the same step, and the convolution reads every second channel."""
    graph = trace(Call(lambda x: x.reshape(3, 2, 64).permute(1, 0, 2).reshape(2, -1, 3, 8, 8)[0]), (6, 8, 8))
    assert Counter(parts(graph)) == {"element-wise": 1, "shuffle": 3, "data": 1}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.transpose(2, 3).contiguous(),  # pixels, not channels
        lambda x: x.permute(0, 2, 3, 1).contiguous(),  # channels last
        lambda x: x.view(1, 2, 3, 8, 8).transpose(2, 3).reshape(1, 6, 8, 8),  # channels torn apart
        lambda x: x.view(1, 1, 6, 8, 8).transpose(1, 2).reshape(1, 6, 8, 8),  # one group
        lambda x: x.clone(),
        lambda x: x.index_select(2, torch.tensor([1, 0])),  # rows
        lambda x: x[:, :, torch.tensor([1, 0])],
        lambda x: torch.cat((x[:, 3:], x[:, :3]), 1),  # pieces laid side by side
        lambda x: torch.nn.functional.pixel_shuffle(x[:, :4], 2),
    ],
)
def test_what_is_no_shuffle(function: Any) -> None:
    graph = trace(Call(function), (6, 8, 8))
    assert "shuffle" not in parts(graph)
    assert len(graph.nodes) > 1


def test_attention_is_no_shuffle() -> None:
    graph = trace(Heads(), (16, 4, 4))
    assert "shuffle" not in parts(graph)
    assert Counter(parts(graph))["convolution"] == 3


class Heads(nn.Module):
    """Tokens of a map, four heads, attention without its softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).view(1, 16, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        return ((q @ k.transpose(-2, -1)) @ v).transpose(1, 2).reshape(1, 16, 16)


class OneOfEach(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)) + x
        y = torch.channel_shuffle(torch.cat((y, x), 1), 2)
        return nn.functional.avg_pool2d(y, 2)


def test_times_go_to_their_parts() -> None:
    graph = trace(OneOfEach(), (4, 8, 8))
    assert parts(graph) == ("convolution", "element-wise", "element-wise", "data", "shuffle", "other")
    found = breakdown(graph, (1, 2, 4, 8, 16, 32), {"Reorder_3": 64, "scheduling": 128})
    assert found == {"convolution": 1, "element-wise": 6, "data": 72, "shuffle": 16, "other": 160}
    assert tuple(found) == PARTS
    with pytest.raises(ValueError):
        breakdown(graph, (1, 2, 3))
