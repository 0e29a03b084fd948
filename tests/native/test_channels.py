"""Sums, means, maxima and softmax over channels and over numbers, against torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.native.read import read
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, Together, agree

Parts = dict[str, Callable[[Tensor], Tensor]]


def numbers(x: Tensor) -> Tensor:
    return x.mean((2, 3)) * 3


REDUCED: Parts = {
    "mean": lambda x: x.mean(1, keepdim=True),
    "mean, dropped": lambda x: x.mean(1),
    "sum": lambda x: x.sum(1, keepdim=True) + x[:, :1],
    "largest": lambda x: x.amax(1, keepdim=True),
    "smallest": lambda x: x.amin(1, keepdim=True) * 2,
    "largest, with places": lambda x: x.max(1, keepdim=True)[0],
    "smallest, with places, dropped": lambda x: x.min(dim=-3).values,
    "gate of channels": lambda x: x * torch.sigmoid(torch.cat([x.amax(1, True), x.mean(1, True)], 1).sum(1, True)),
    "softmax": lambda x: x.softmax(1),
    "softmax of large numbers": lambda x: (200 * x).softmax(1) * x,
    "softmax in groups": lambda x: x.unflatten(1, (2, -1)).softmax(1).flatten(1, 2) * x,
    "sum in groups": lambda x: x.unflatten(1, (2, -1)).sum(2),
    "mean of channels and pixels": lambda x: x.unflatten(1, (2, -1)).mean((1, 3, 4)),
    "of one pixel, all": lambda x: x.mean((2, 3), keepdim=True).unflatten(1, (2, -1)).mean((1, 3, 4)),
    "two dimensions": lambda x: x.unflatten(1, (2, -1)).mean((1, 2)),
    "mean of numbers": lambda x: numbers(x).mean(1, keepdim=True),
    "mean of one-pixel images": lambda x: x.mean((2, 3), keepdim=True).mean(1),
    "largest of numbers": lambda x: numbers(x).amax(-1, keepdim=True),
    "softmax of numbers": lambda x: numbers(x).softmax(-1),
    "softmax of pixels": lambda x: x.flatten(2).softmax(2),
    "numbers in groups": lambda x: numbers(x).view(-1, 2, x.shape[1] // 2).sum(2),
    "numbers through a matrix": lambda x: numbers(x) @ torch.linspace(0, 1, 3 * x.shape[1]).to(x).view(-1, 3),
}


class Along(nn.Module):
    """A convolution along the means of the channels, as a gate, as in ECA-Net."""

    def __init__(self, *how: int, groups: int = 1, **more: int) -> None:
        super().__init__()
        self.groups, self.conv = groups, nn.Conv1d(groups, 2 * groups, *how, groups=groups, **more)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * torch.sigmoid(self.conv(numbers(x).view(-1, self.groups, x.shape[1] // self.groups)))[:, 0, 0]


REDUCED["gate along channels"] = Along(3, padding=1, bias=False)
REDUCED["gate along channels, dilated"] = Along(2, stride=2, padding=3, dilation=2, groups=2)


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=2)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(2, 20))
def test_reductions(flags: str, half: int, height: int, width: int) -> None:
    agree(REDUCED, (2 * half, height, width), FLAGS[flags])


def test_attention_over_the_branches_of_a_selective_kernel() -> None:
    class Selective(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches = nn.ModuleList([nn.Conv2d(6, 6, k, padding=k // 2) for k in (1, 3)])
            self.fc = nn.Conv2d(6, 12, 1)

        def forward(self, x: Tensor) -> Tensor:
            both = torch.stack([branch(x) for branch in self.branches], 1)
            share = self.fc(both.sum(1).mean((2, 3), keepdim=True)).view(-1, 2, 6, 1, 1).softmax(1)
            return (both * share).sum(1)

    agree({"net": Selective()}, (6, 5, 9))


@pytest.mark.parametrize("function", [lambda x: x.amax((1, 2)), lambda x: x * x.max()])
def test_refusals(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(BadInput, match=r"no native code for (amax over these dimensions|max of the whole)"):
        read(Together({"net": function}).eval(), (4, 5, 6))
