"""NAS-Bench-Macro's nets have the sizes that the public table says."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from pumice.cost.count import profile
from pumice.models.convnet import ConvNet
from pumice.models.spaces.macro import MacroSpace

TABLE = Path(__file__).parents[3] / "shared" / "reference" / "search" / "bench" / "nas_bench_macro.csv"


@pytest.mark.skipif(not TABLE.is_file(), reason="the public table of NAS-Bench-Macro is not here")
def test_sizes_of_the_nets_are_those_of_the_table() -> None:
    space, rng = MacroSpace(), np.random.default_rng(0)
    with TABLE.open(encoding="utf-8", newline="") as file:
        table = {row["arch"]: (int(row["flops"]), int(row["params"])) for row in csv.DictReader(file)}
    assert len(table) == space.size == 6561
    choices = [(option,) * 8 for option in range(3)] + [space.random(rng) for _ in range(7)]
    for choice in choices:
        counted = profile(ConvNet(space.spec(choice), num_classes=10), (3, 32, 32))
        assert (counted.madds, counted.params) == table["".join(map(str, choice))], choice


def test_a_net_of_half_the_width_runs() -> None:
    space = MacroSpace(width=0.5)
    net = ConvNet(space.spec((0, 1, 2, 0, 1, 0, 2, 0)), num_classes=space.num_classes).eval()
    assert net(torch.zeros(1, 3, *space.image)).shape == (1, 10)
    assert [block.shape[1] for block in (net.blocks[0](torch.zeros(1, 3, 32, 32)),)] == [16]
