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

# What the structure allows, where half of every group still leaves more than half of the multiply-adds.
STIFF = {
    "condensenet_light94_cifar": 1.0,
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
    assert found.spread > 1e-4
    assert error(model, hidden, size).relative > 1e-3
    assert trace(small, size).madds < STIFF.get(name, 0.5) * graph.madds
