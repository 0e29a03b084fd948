"""Channel groups of small nets whose groups can be told by hand."""

import time
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.graph.channels import Group, Use, channel_groups
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.nn.conv import ConvNormAct
from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.gate import SqueezeExcite
from pumice.nn.learned_group import SelectChannels
from pumice.nn.shuffle import ChannelShuffle, ChannelSplit


class Net(nn.Module):
    """Some layers and a forward that calls them."""

    def __init__(self, run: Callable[["Net", Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def conv(c: int, o: int, groups: int = 1, kernel: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c, o, kernel, padding=kernel // 2, groups=groups)


def groups_of(model: nn.Module, channels: int = 3) -> dict[str, Group]:
    return {group.name: group for group in channel_groups(trace(model, (channels, 8, 8)))}


def uses(group: Group) -> dict[tuple[str, int], Use]:
    return {(use.tensor, use.dim): use for use in group.uses}


def test_a_chain_has_a_group_for_each_layer_and_the_output_is_frozen() -> None:
    found = groups_of(nn.Sequential(ConvNormAct(3, 4), conv(4, 5)))
    assert list(found) == ["0.conv", "1"]
    made = uses(found["0.conv"])
    tensors = {("0.conv.weight", 0), ("1.weight", 1), *((f"0.norm.{name}", 0) for name in NORM)}
    assert set(made) == tensors
    assert all(use.channels == (0, 1, 2, 3) for use in made.values())
    assert [name for name, use in made.items() if use.makes] == [("0.conv.weight", 0)]
    assert [name for name, use in made.items() if use.reads] == [("1.weight", 1)]
    assert (found["0.conv"].channels, found["0.conv"].cells, found["0.conv"].frozen) == (4, ((0, 1, 2, 3),), "")
    assert found["1"].frozen == "output"


NORM = ("weight", "bias", "running_mean", "running_var")


def test_a_sum_ties_what_makes_its_terms() -> None:
    net = Net(lambda m, x: m.last(m.a(x) + m.b(x)), a=conv(3, 4), b=conv(3, 4), last=conv(4, 2))
    group = groups_of(net)["a"]
    assert {("a.weight", 0), ("b.weight", 0), ("a.bias", 0), ("b.bias", 0), ("last.weight", 1)} == set(uses(group))


def test_a_channel_that_meets_the_image_or_a_number_for_each_channel_stays() -> None:
    image = Net(lambda m, x: m.last(m.a(x) + x), a=conv(3, 3), last=conv(3, 2))
    assert "add" in groups_of(image)["a"].frozen
    made = Net(lambda m, x: m.last(m.a(x) + torch.arange(4.0).view(1, 4, 1, 1)), a=conv(3, 4), last=conv(4, 2))
    assert "add" in groups_of(made)["a"].frozen


def test_concatenated_channels_lie_behind_each_other() -> None:
    net = Net(lambda m, x: m.last(torch.cat((m.a(x), m.b(x)), 1)), a=conv(3, 2), b=conv(3, 3), last=conv(5, 2))
    found = groups_of(net)
    assert uses(found["a"])["last.weight", 1].channels == (0, 1, -1, -1, -1)
    assert uses(found["b"])["last.weight", 1].channels == (-1, -1, 0, 1, 2)


def test_a_dense_block_reads_every_map_before() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        x = m.a(x)
        x = torch.cat((x, m.b(x)), 1)
        return m.last(torch.cat((x, m.c(x)), 1))

    found = groups_of(Net(run, a=conv(3, 2), b=conv(2, 2), c=conv(4, 2), last=conv(6, 1)))
    assert uses(found["a"])["c.weight", 1].channels == (0, 1, -1, -1)
    assert uses(found["a"])["last.weight", 1].channels == (0, 1, -1, -1, -1, -1)
    assert uses(found["b"])["last.weight", 1].channels == (-1, -1, 0, 1, -1, -1)


def test_depthwise_outputs_follow_their_input_and_a_multiplier_repeats_it() -> None:
    group = groups_of(nn.Sequential(conv(3, 2), conv(2, 6, groups=2, kernel=3), conv(6, 1)))["0"]
    assert uses(group)["1.weight", 0].channels == (0, 0, 0, 1, 1, 1)
    assert uses(group)["2.weight", 1].channels == (0, 0, 0, 1, 1, 1)
    assert not uses(group)["1.weight", 0].makes


def test_a_linear_layer_behind_flatten_reads_every_pixel_of_a_channel() -> None:
    net = nn.Sequential(conv(3, 2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    assert uses(groups_of(net)["0"])["3.weight", 1].channels == (0, 0, 0, 0, 1, 1, 1, 1)


def test_a_gate_goes_with_its_channels_and_its_hidden_width_alone() -> None:
    found = groups_of(nn.Sequential(conv(3, 8), SqueezeExcite(8, 4), conv(8, 1)))
    gate = uses(found["0"])
    assert gate["1.expand.weight", 0].makes
    assert gate["1.reduce.weight", 1].reads
    assert found["1.reduce"].channels == 4
    assert found["1.reduce"].frozen == ""


def test_coefficients_in_rows_go_with_the_channel_of_their_column() -> None:
    group = groups_of(nn.Sequential(conv(3, 3), DynamicReLU(3, 4), conv(3, 1)))["0"]
    assert uses(group)["1.excite.weight", 0].channels == (0, 1, 2) * 4


def test_a_grouped_convolution_reads_and_makes_equally_many_in_each_group() -> None:
    found = groups_of(nn.Sequential(conv(3, 8), conv(8, 4, groups=2), conv(4, 1)))
    assert found["0"].cells == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert found["1"].cells == ((0, 1), (2, 3))
    assert uses(found["0"])["1.weight", 1].channels == tuple(range(8))


def test_cells_are_where_the_parts_of_several_convolutions_meet() -> None:
    net = nn.Sequential(conv(8, 16, groups=4), ChannelShuffle(4), conv(16, 4, groups=2), conv(4, 1))
    group = groups_of(net, 8)["0"]
    # Two of every four outputs of a group go to either half of the next convolution.
    assert sorted(group.cells) == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15)]


def test_uneven_cells_are_cut_to_even_ones() -> None:
    found = groups_of(nn.Sequential(conv(6, 12, groups=3), conv(12, 4, groups=2), conv(4, 1)), 6)
    # Thirds and halves of 12 meet in parts of 4, 2, 2 and 4; as many of each would be uneven for the thirds.
    assert found["0"].cells == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11))


def test_parts_may_come_from_several_layers() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        return m.last(m.grouped(torch.cat((m.a(x), m.b(x)), 1)))

    net = Net(run, a=conv(3, 4), b=conv(3, 12), grouped=conv(16, 4, groups=2), last=conv(4, 1))
    group = groups_of(net)["a"]
    assert group.cells == (tuple(range(8)), tuple(range(8, 16)))
    assert {name for name, _ in uses(group)} == {"a.weight", "a.bias", "b.weight", "b.bias", "grouped.weight"}


def test_convolutions_that_leave_no_choice_lose_whole_groups() -> None:
    first = nn.Sequential(conv(3, 8), conv(8, 8, groups=4), ChannelShuffle(4), conv(8, 8, groups=2), conv(8, 1))
    group = groups_of(first)["0"]
    assert group.frozen == ""
    # A group of the first convolution is one channel: its two inputs and its two outputs.
    assert group.channels == 4
    assert uses(group)["1.weight", 1].channels == (0, 0, 1, 1, 2, 2, 3, 3)


def test_a_shuffle_and_a_split_leave_every_choice() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        a, b = m.split(m.shuffle(m.a(x)))
        return m.last(torch.cat((a, m.b(b)), 1))

    net = Net(run, a=conv(3, 6), shuffle=ChannelShuffle(3), split=ChannelSplit((2, 4)), b=conv(4, 2), last=conv(4, 1))
    found = groups_of(net)
    assert found["a"].cells == (tuple(range(6)),)
    assert uses(found["a"])["b.weight", 1].channels == (4, 1, 3, 5)
    assert uses(found["a"])["last.weight", 1].channels == (0, 2, -1, -1)
    assert {passage.module for passage in found["a"].passages} == {"shuffle", "split"}


def test_a_reshape_into_rows_keeps_equal_columns() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        n, c, h, w = (y := m.a(x)).shape
        return m.last(y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))

    group = groups_of(Net(run, a=conv(3, 6), last=conv(6, 1)))["a"]
    assert group.channels == 3
    assert uses(group)["a.weight", 0].channels == (0, 1, 2, 0, 1, 2)
    assert uses(group)["last.weight", 1].channels == (0, 0, 1, 1, 2, 2)


def test_chosen_channels_are_a_group_of_their_own() -> None:
    found = groups_of(nn.Sequential(conv(3, 4), SelectChannels(torch.tensor([2, 0, 2])), conv(3, 1)))
    assert "chosen by an index" in found["0"].frozen
    assert uses(found["1"])["1.index", 0].makes
    assert uses(found["1"])["2.weight", 1].channels == (0, 1, 2)


def test_a_layer_that_runs_twice_makes_the_same_channels() -> None:
    net = Net(lambda m, x: m.last(m.twice(m.twice(m.a(x)))), a=conv(3, 4), twice=conv(4, 4), last=conv(4, 1))
    assert set(uses(groups_of(net)["a"])) >= {("a.weight", 0), ("twice.weight", 0), ("twice.weight", 1)}


def test_learned_numbers_for_each_channel_follow() -> None:
    net = nn.Sequential(conv(3, 4), nn.PReLU(4), conv(4, 1))
    assert uses(groups_of(net)["0"])["1.weight", 0].channels == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("why", "mixing"),
    [
        ("cumsum", lambda x: x.cumsum(1)),
        ("mean", lambda x: x * x.mean(1, keepdim=True)),
        ("_softmax", lambda x: x.softmax(1)),
        ("sliced", lambda x: torch.cat((x[:, 1:], x[:, :1]), 1)),
        ("roll", lambda x: x.roll(1, 1)),
        ("padded", lambda x: F.pad(x, (0, 0, 0, 0, 1, 1))[:, 1:-1]),
        ("native_layer_norm", lambda x: F.layer_norm(x, x.shape[1:])),
        ("bmm", lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).flatten(1)[:, :4, None, None] + x),
        ("computed kernel", lambda x: F.conv2d(x, x[:, :, :3, :3])),
        ("max_pool3d", lambda x: F.max_pool3d(x, 1)),
    ],
)
def test_what_cannot_be_followed_is_frozen_with_its_reason(why: str, mixing: Callable[[Tensor], Tensor]) -> None:
    class Last(nn.LazyConv2d):
        pass

    net = Net(lambda m, x: m.last(mixing(m.a(x))), a=conv(3, 4), last=Last(1, 1))
    net(torch.rand(1, 3, 8, 8))
    assert why in groups_of(net)["a"].frozen


def test_memory_that_is_written_in_parts_is_frozen() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        y = m.a(x)
        y[:, :2] = m.b(x)
        return m.last(y)

    found = groups_of(Net(run, a=conv(3, 4), b=conv(3, 2), last=conv(4, 1)))
    assert found["a"].frozen
    assert found["b"].frozen


def test_a_flatten_of_many_elements_takes_no_long_time() -> None:
    """25,088 elements of 512 channels reach the first linear layer of VGG."""
    with torch.device("meta"):
        net = create_model("torchvision:vgg11_bn", num_classes=10)
    graph = trace(net, (3, 64, 64))
    began = time.process_time()
    groups = {group.name: group for group in channel_groups(graph)}
    assert time.process_time() - began < 5
    last = groups["features.25"]
    (use,) = (use for use in last.uses if use.tensor == "classifier.0.weight")
    assert use.channels == tuple(i // 49 for i in range(25_088))
