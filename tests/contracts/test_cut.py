"""Every network can lose channels: half of each group that may be cut, and what is left answers what the masked one
does.

The smallest network of each family runs in the fast tier, all of them in the slow one.
"""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from pumice.graph.channels import channel_groups
from pumice.graph.cut import cut, masked
from pumice.graph.trace import trace
from pumice.models import catalogue
from pumice.models.create import create_model
from pumice.models.families import family_of, variants
from tests.graph.cutting import error, half, lively

HUGE = 100e6  # parameters; beyond, single precision

# Share of the multiply-adds that is left where the structure lets less than half go with half of every group.
STIFF = {
    "ghost_resnet56_s2_cifar": 0.52,  # residual streams that start as the image's stem with zeros for missing channels
    "igcv1_resnet18_l16m16": 0.7,  # groups of 16 meet groups of 16 in one channel each
    "igcv1_resnet38_l24m2_cifar": 0.65,  # residual streams that groups of 2 and of 24 both take apart
    "espnetv2_seg_050": 0.65,  # the decoder's grouped convolutions
    "espnetv2_seg_150": 0.6,
    "shufflenetv1_g4_025": 0.8,  # a quarter of 64 channels in 4 groups: one channel where two convolutions meet
    "shufflenetv1_g8_025": 0.97,
}


def tiers() -> list[Any]:
    """Every network; all but the smallest of each family in the slow tier."""
    params = {e.name: e.params for e in catalogue.entries()}
    smallest: dict[Any, str] = {}
    for name in sorted(variants(), key=lambda n: params.get(n, math.inf)):
        smallest.setdefault(family_of(name), name)
    return [pytest.param(n, marks=() if n in smallest.values() else pytest.mark.slow) for n in variants()]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", tiers())
def test_half_of_every_group_can_go(name: str) -> None:
    model = create_model(name, num_classes=10)
    limits = model.sides
    side = next(s for s in (64, 224, *range(32, 512, 32)) if limits.allow(s, s))
    size = (3, side, side)
    huge = sum(p.numel() for p in model.parameters()) > HUGE
    lively(model)
    if huge:
        model.float()
    graph = trace(model, size)
    groups = channel_groups(graph)
    kept = half(groups)
    small, hidden = cut(model, groups, kept), masked(model, groups, kept)
    found = error(small, hidden, size)
    assert found.relative < (1e-5 if huge else 1e-9)
    # Else there would be nothing to compare.
    assert found.spread > 1e-4
    assert kept
    assert trace(small, size).madds < STIFF.get(name, 0.5) * graph.madds
