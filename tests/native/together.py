"""Several functions of one image as one network: each is compared with torch, and a compiler starts once for all."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pumice.native.interpret import interpret
from pumice.native.passes import optimise
from pumice.native.read import read
from tests.native.compiled import QUICK, Loaded, error, missing

INTERPRETED, COMPILED = 1e-6, 3e-6
"""Of the largest difference beside the largest number that torch answers in double precision."""
FLAGS = {"native": ("-march=native", QUICK), "scalar": ("-DPUMICE_SCALAR", QUICK)}


class Together(nn.Module):
    """Every function's answer as numbers, behind one another."""

    def __init__(self, parts: Mapping[str, Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.parts = list(parts.values())
        self.layers = nn.ModuleList(part for part in self.parts if isinstance(part, nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x).flatten(1) for part in self.parts], 1)


def agree(
    parts: Mapping[str, Callable[[Tensor], Tensor]], size: tuple[int, int, int], flags: tuple[str, ...] | None = None
) -> None:
    """Read, run by torch as read, and compiled: each part answers as the function does, and looks at the image.

    flags: of the compiler; by default as wide as this processor.
    """
    model = Together(parts).eval()
    torch.manual_seed(0)
    x = torch.randn(2, *size)
    program = read(model, size, name="net")
    plain = np.stack([interpret(program, image.numpy()) for image in x])
    made = plain
    if not missing("cc"):
        with tempfile.TemporaryDirectory() as folder:
            loaded = Loaded(optimise(program), Path(folder), flags=FLAGS["native"] if flags is None else flags)
            made = np.stack([loaded(image.numpy()) for image in x])
    model.double()
    begin = 0
    with torch.no_grad():
        for name, part in parts.items():
            wanted = torch.cat([part(image[None].double()).flatten(1) for image in x]).numpy()
            where = slice(begin, begin := begin + wanted.shape[1])
            assert np.abs(wanted[0] - wanted[1]).max() > 1e-3 * np.abs(wanted).max(), f"{name} does not look at it"
            for got, tolerance in ((plain, INTERPRETED), (made, COMPILED)):
                assert (off := error(got[:, where], wanted)) <= tolerance, f"{name}: {off}"
    assert begin == plain.shape[1]
