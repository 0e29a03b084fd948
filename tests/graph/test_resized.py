"""Graphs of other widths by arithmetic: the same, to the last number, as traces of networks that were cut."""

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.lut.blocks import blocks
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import cut
from pumice.graph.resized import Resized
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.nn.shuffle import ChannelShuffle

SIZE = (3, 32, 32)


class Mixed(nn.Module):
    """A dense join, a gate, a shuffle of two groups and a classifier behind a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.more = nn.Conv2d(8, 6, 3, padding=1)
        self.joined = nn.Conv2d(14, 12, 1)
        self.shuffle = ChannelShuffle(2)
        self.gate = nn.Conv2d(12, 12, 1)
        self.grouped = nn.Conv2d(12, 10, 3, 4, groups=2)
        self.classifier = nn.Linear(10 * 4 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.joined(torch.cat([x, self.more(x)], 1))
        x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        x = self.shuffle(x)
        return self.classifier(self.grouped(x).flatten(1))


def _keep(group: Group, width: int) -> list[int]:
    """The last channels of every cell."""
    return sorted(c for cell in group.cells for c in cell[-(width // len(group.cells)) :])


def _resized(model: nn.Module) -> Resized:
    named = {group.name: group for group in channel_groups(trace(model, SIZE)) if not group.frozen}
    options = {
        name: [each * len(g.cells) for each in range(min(map(len, g.cells)) - 1, 0, -3)] for name, g in named.items()
    }
    return Resized(folded(model, SIZE), SIZE, options, lambda name, width: _keep(named[name], width))


@pytest.mark.parametrize(
    ("name", "every", "share"),
    [
        ("mixed", 1, 0.5),
        pytest.param("mobilenetv3_small_050", 2, 0.0, marks=pytest.mark.slow),
        pytest.param("shufflenetv2_050", 3, 0.5, marks=pytest.mark.slow),
        pytest.param("micronet_m0", 4, 0.7, marks=pytest.mark.slow),
    ],
)
def test_arithmetic_equals_a_trace_of_the_cut_network(name: str, every: int, share: float) -> None:
    model = Mixed() if name == "mixed" else create_model(name, num_classes=10)
    sizes = _resized(model)
    groups = channel_groups(trace(model, SIZE))
    mine = [group for group in groups if group.name in sizes.widths][::every]
    traced = [group for group in mine if sizes.traced(group.name)]
    assert len(traced) <= share * len(mine)
    free = [group for group in mine if group not in traced]
    halves = {g.name: len(g.cells) * (min(map(len, g.cells)) // 2) for g in free}
    asked = [halves, dict(list(halves.items())[::2])]
    asked += [{g.name: len(g.cells) * (min(map(len, g.cells)) - 1)} for g in traced][:2]
    for widths in asked:
        small = cut(model, groups, {g.name: _keep(g, widths[g.name]) for g in groups if g.name in widths})
        real, found = trace(folded(small, SIZE), SIZE), sizes.at(widths)
        assert blocks(found) == blocks(real)
        assert found.layers == real.layers
        assert found.values == real.values
        assert (found.madds, found.params) == (real.madds, real.params)
        assert real.madds < sizes.graph.madds
    assert sizes.at({}) is sizes.graph


def test_widths_that_a_group_cannot_have_are_refused() -> None:
    sizes = _resized(Mixed())
    with pytest.raises(BadInput, match="no channel group 'nobody'"):
        sizes.at({"nobody": 3})
    for width in (0, 7):
        with pytest.raises(BadInput, match=f"cannot have {width} of its 6"):
            sizes.at({"more": width})


def test_where_it_matters_which_channels_stay_networks_are_traced() -> None:
    sizes = _resized(create_model("shufflenetv2_050", num_classes=10))
    inside, across = "blocks.3.branch.0.conv", "blocks.3.branch.2.conv"  # across goes through the shuffle
    assert sizes.traced(across)
    assert not sizes.traced(inside)
    with pytest.raises(BadInput, match="only it can change"):
        sizes.at({inside: 21, across: 21})
