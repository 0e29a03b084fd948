"""Graphs of other widths by arithmetic: the same, to the last number, as traces of networks that were cut."""

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.lut.blocks import blocks
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.channels import channel_groups
from pumice.graph.cut import cut
from pumice.graph.records import Graph
from pumice.graph.resized import Probe, Resized, resizable
from pumice.graph.trace import trace
from pumice.models.create import create_model

SIZE = (3, 32, 32)


class Mixed(nn.Module):
    """A dense join, a gate, a shuffle of two groups and a classifier behind a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.more = nn.Conv2d(8, 6, 3, padding=1)
        self.joined = nn.Conv2d(14, 12, 1)
        self.gate = nn.Conv2d(12, 12, 1)
        self.grouped = nn.Conv2d(12, 10, 3, 4, groups=2)
        self.classifier = nn.Linear(10 * 4 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.joined(torch.cat([x, self.more(x)], 1))
        x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        x = nn.functional.channel_shuffle(x, 2)
        return self.classifier(self.grouped(x).flatten(1))


def _halved(model: nn.Module) -> dict[str, list[int]]:
    """About half of every free group, of each cell alike."""
    return {
        group.name: sorted(c for cell in group.cells for c in cell[: max(1, min(map(len, group.cells)) // 2)])
        for group in channel_groups(trace(model, SIZE))
        if not group.frozen and min(map(len, group.cells)) > 1
    }


@pytest.mark.parametrize("name", ["mixed", "mobilenetv3_small_050", "shufflenetv2_050", "micronet_m0"])
def test_arithmetic_equals_a_trace_of_the_cut_network(name: str) -> None:
    model = Mixed() if name == "mixed" else create_model(name, num_classes=10)
    kept = _halved(model)
    assert kept
    sizes = resizable(folded(model, SIZE), SIZE)
    assert not sizes.unfit
    widths = {group: len(channels) for group, channels in kept.items()}
    assert widths.keys() <= sizes.widths.keys()
    some = dict(list(widths.items())[::2])
    for asked in (widths, some):
        small = cut(model, channel_groups(trace(model, SIZE)), {group: kept[group] for group in asked})
        real, found = trace(folded(small, SIZE), SIZE), sizes.at(asked)
        assert blocks(found) == blocks(real)
        assert found.layers == real.layers
        assert found.values == real.values
        assert (found.madds, found.params) == (real.madds, real.params)
        assert real.madds < sizes.graph.madds
    assert sizes.at({}) == sizes.graph


def test_widths_that_a_group_cannot_have_are_refused() -> None:
    sizes = resizable(Mixed(), SIZE)
    with pytest.raises(BadInput, match="no channel group 'nobody'"):
        sizes.at({"nobody": 3})
    for width in (0, 7):
        with pytest.raises(BadInput, match=f"cannot have {width} of its 6"):
            sizes.at({"more": width})


def test_a_narrower_net_that_runs_otherwise_is_left_out() -> None:
    model = Mixed()
    graph, groups = trace(model, SIZE), channel_groups(trace(model, SIZE))
    other = Graph(**{**graph.__dict__, "nodes": graph.nodes[:-1]})
    sizes = Resized(graph, groups, [Probe("more", 1, other)])
    assert sizes.unfit == {"more": "a narrower net calls other operators"}
    assert "more" not in sizes.widths
