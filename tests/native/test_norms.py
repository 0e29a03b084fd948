"""Norms of this image's own statistics, and channels that lie behind the pixels, against torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput
from pumice.native.ir import Conv, Map
from pumice.native.passes import optimise
from pumice.native.read import read
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, Together, agree

Parts = dict[str, Callable[[Tensor], Tensor]]


def settled(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        for part in layer.parameters():
            part.uniform_(0.5, 1.5)
    return layer


class Behind(nn.Module):
    """As in ConvNeXt: channels behind the pixels between two permutations."""

    def __init__(self, channels: int, *, mlp: bool) -> None:
        super().__init__()
        self.norm = settled(nn.LayerNorm(channels, eps=1e-3))
        self.mlp = nn.Sequential(nn.Linear(channels, 7), nn.GELU(), nn.Linear(7, channels)) if mlp else nn.Identity()
        self.gamma = nn.Parameter(torch.linspace(0.5, 1.5, channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(x.permute(0, 2, 3, 1))) * self.gamma
        return x + y.permute(0, 3, 1, 2)


class Responses(nn.Module):
    """As in ConvNeXt V2: each channel against the mean of all by the length of its plane."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        length = y.norm(p=2, dim=(1, 2), keepdim=True)
        return (y + y * (length / (length.mean(-1, keepdim=True) + 1e-6))).permute(0, 3, 1, 2)


def layers(channels: int) -> Parts:
    return {
        "group": settled(nn.GroupNorm(2, channels)),
        "one group": settled(nn.GroupNorm(1, channels, affine=False)),
        "instance": settled(nn.InstanceNorm2d(channels, affine=True)),
        "group, rectified": nn.Sequential(nn.Conv2d(channels, 4, 1), nn.GroupNorm(2, 4), nn.ReLU()),
        "layer": Behind(channels, mlp=False),
        "layer and matrices": Behind(channels, mlp=True),
        "layer of numbers": nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 9), settled(nn.LayerNorm(9))
        ),
        "layer of one pixel": nn.Sequential(nn.AdaptiveAvgPool2d(1), Behind(channels, mlp=True)),
        "responses": Responses(),
        "pooled": lambda x: x.permute(0, 2, 3, 1).mean((1, 2)),
        "left behind": lambda x: x.permute(0, 2, 3, 1),
        "listed": lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, channels // 2).sigmoid(),
        "against what is everywhere": lambda x: (x.permute(0, 2, 3, 1) * torch.ones(1, 1, 1, 1)).permute(0, 3, 1, 2),
    }


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=2)
@given(st.integers(1, 20), st.integers(2, 6), st.integers(2, 30))
def test_norms(flags: str, half: int, height: int, width: int) -> None:
    torch.manual_seed(half)
    agree(layers(2 * half), (2 * half, height, width), FLAGS[flags])


def test_matrices_behind_the_pixels_are_convolutions() -> None:
    program = optimise(read(Together({"net": Behind(6, mlp=True)}).eval(), (6, 5, 9)))
    convolutions = [one for one in program.operations if isinstance(one, Conv) and one.path.startswith("layers.0.mlp")]
    assert [len(one.weight) for one in convolutions] == [7, 6]
    assert sum(isinstance(one, Map) for one in program.operations) <= 3


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "rows": (lambda x: functional.layer_norm(x, x.shape[2:]), "layer_norm over rows or columns"),
    "one of two": (lambda x: x.permute(0, 2, 3, 1).mean(1), "mean of channels that lie behind the pixels"),
    "both": (lambda x: x.permute(0, 2, 3, 1)[..., :1] * x, "slice of channels that lie behind"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    function, said = REFUSED[name]
    with pytest.raises(BadInput, match=said):
        read(Together({"net": function}).eval(), (4, 4, 4))
