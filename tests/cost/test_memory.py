"""Peak activation memory against arithmetic by hand.  Sizes below are in elements of 4 bytes."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.memory import live_bytes, peak_activation_bytes
from pumice.graph.trace import trace


class Net(nn.Module):
    """A module around a function of (module, image), with the children given by name."""

    def __init__(self, function: Any, **children: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def live(net: nn.Module, size: tuple[int, ...]) -> list[int]:
    """Elements alive at every node that does work."""
    graph = trace(net, size)
    alive = live_bytes(graph)
    return [alive[node.index] // 4 for node in graph.nodes if node.kind != "view"]


def conv(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, **options)


def test_a_chain_holds_two_maps_and_activations_overwrite() -> None:
    net = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 16, stride=2), nn.Hardswish(), conv(16, 4))
    # input 300; conv 300 + 800; norm and relu in place 800; conv 800 + 400; hardswish 400; conv 400 + 100
    assert live(net, (3, 10, 10)) == [1100, 800, 800, 1200, 400, 500]
    assert peak_activation_bytes(trace(net, (3, 10, 10))) == 4 * 1200


def test_in_place_and_out_of_place_activations_cost_the_same() -> None:
    kept = nn.Sequential(conv(3, 8), nn.ReLU(inplace=True), conv(8, 8))
    assert live(kept, (3, 10, 10)) == [1100, 800, 1600]


def test_a_residual_block_keeps_its_input() -> None:
    net = Net(lambda m, x: m.c(F.relu(m.b(F.relu(m.a(x)))) + x), a=conv(4, 4), b=conv(4, 4), c=conv(4, 1))
    # x 400 stays until the addition, which writes over b's result; x itself belongs to the caller
    assert live(net, (4, 10, 10)) == [800, 800, 1200, 800, 800, 500]


def test_an_inner_residual_block() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        return y + m.c(m.b(y))

    net = Net(forward, a=conv(1, 4), b=conv(4, 8), c=conv(8, 4))
    assert live(net, (1, 10, 10)) == [500, 1200, 1600, 800]


def test_an_activation_of_a_map_that_is_used_again_needs_room() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        return y.relu() * y

    assert live(Net(forward, a=conv(1, 4)), (1, 10, 10)) == [500, 800, 800]


def test_a_concatenation_holds_operands_and_result() -> None:
    net = Net(lambda m, x: m.c(torch.cat((m.a(x), m.b(x)), 1)), a=conv(2, 3), b=conv(2, 5), c=conv(8, 1))
    # a 200 + 300; b 200 + 300 + 500; cat 800 + 800; c 800 + 100
    assert live(net, (2, 10, 10)) == [500, 1000, 1600, 900]


def test_an_inverted_residual() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.stem(x)
        h = F.relu6(m.expand_norm(m.expand(y)))
        h = F.relu6(m.depth_norm(m.depth(h)))
        return y + m.project_norm(m.project(h))

    net = Net(
        forward,
        **{"stem": nn.Conv2d(3, 4, 2, stride=2)},
        **{"expand": conv(4, 24), "expand_norm": nn.BatchNorm2d(24)},
        **{"depth": nn.Conv2d(24, 24, 3, padding=1, groups=24), "depth_norm": nn.BatchNorm2d(24)},
        **{"project": conv(24, 4), "project_norm": nn.BatchNorm2d(4)},
    )
    # 20 x 20 input; then maps of 100: y 4, hidden 24, output 4
    stem, expand, depth, project = 1200 + 400, 400 + 2400, 400 + 2400 + 2400, 400 + 2400 + 400
    assert live(net, (3, 20, 20)) == [stem, expand, 2800, 2800, depth, 2800, 2800, project, 800, 800]


def test_views_have_no_memory_but_hold_their_base() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        left, right = m.a(x).chunk(2, 1)
        return torch.cat((left, m.b(right)), 1).flatten(1)

    # a 100 + 400; b 400 + 200 (left keeps all of a); cat 400 + 200 + 400
    assert live(Net(forward, a=conv(1, 4), b=conv(2, 2)), (1, 10, 10)) == [500, 600, 1000]


def test_unread_indices_dead_results_and_constants_take_no_room() -> None:
    net = Net(lambda m, x: (m.a(x), F.max_pool2d(x, 2))[1] + torch.arange(25).view(5, 5), a=conv(2, 64))
    # the dead conv and the pool's indices are never written; the sum overwrites the pool's result
    assert live(net, (2, 10, 10))[:2] == [200, 250]
    assert live(net, (2, 10, 10))[-1] == 50


def test_every_output_stays_to_the_end() -> None:
    def forward(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        y = m.a(x)
        return y, m.b(y.relu())

    assert live(Net(forward, a=conv(1, 4), b=conv(4, 1)), (1, 10, 10)) == [500, 800, 900]


def test_bytes_are_those_of_the_dtype() -> None:
    net = nn.Sequential(conv(3, 8), nn.ReLU())
    assert peak_activation_bytes(trace(net, (3, 10, 10))) == 4400
    assert peak_activation_bytes(trace(net.half(), (3, 10, 10))) == 2200
    assert peak_activation_bytes(trace(net.double(), (3, 10, 10))) == 8800


def test_mobilenet_v2_peaks_where_the_first_expansion_is_strided() -> None:
    models = pytest.importorskip("torchvision.models")
    graph = trace(models.mobilenet_v2(), (3, 224, 224))
    # 16 -> 96 at 112 x 112: 16 + 96 maps; then the depthwise layer: 96 at 112 and 96 at 56
    assert peak_activation_bytes(graph) == 4 * (96 * 112 * 112 + 96 * 56 * 56)
