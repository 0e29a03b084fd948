"""Rows and columns that are turned about, and numbers that become images again, against torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput
from pumice.native.read import read
from pumice.nn.spatial_attention import SpatialAttention
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, Together, agree

Parts = dict[str, Callable[[Tensor], Tensor]]


class Coordinates(nn.Module):
    """Coordinate attention: means of rows and of columns side by side, and gates of both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.both = nn.Sequential(nn.Conv2d(channels, 5, 1), nn.BatchNorm2d(5), nn.Hardswish())
        self.down, self.across = nn.Conv2d(5, channels, 1), nn.Conv2d(5, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
        y = self.both(torch.cat([rows, columns], 2))
        a, b = torch.split(y, [height, width], 2)
        return x * torch.sigmoid(self.down(a)) * torch.sigmoid(self.across(b.permute(0, 1, 3, 2)))


class Back(nn.Module):
    """A layer that takes pixels for channels, so that numbers come in another order."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.eval()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x.flatten(2).transpose(1, 2).reshape(x.shape))
        return made


def layers(channels: int) -> Parts:
    conv, up = nn.Conv2d(channels, 3, 3, padding=1), nn.ConvTranspose2d(channels, 3, 2, 2)

    return {
        "rows and columns swapped": lambda x: x.transpose(2, 3),
        "swapped, convolved": lambda x: functional.relu(conv(x.transpose(2, 3))),
        "rows joined": lambda x: torch.cat([x, 2 * x[:, :, 1:]], 2),
        "columns joined": lambda x: conv(torch.cat([x, 2 * x], 3)),
        "numbers as an image": Back(conv),
        "numbers as a pooled image": Back(nn.MaxPool2d(2)),
        "numbers as an averaged image": Back(nn.AdaptiveAvgPool2d(1)),
        "numbers as an enlarged image": Back(up),
        "numbers as a normed image": Back(nn.BatchNorm2d(channels)),
        "numbers beside an image": lambda x: x * torch.softmax(x[:, :1].flatten(2), 2).view_as(x[:, :1]),
        "in windows": lambda x: (2 * x.reshape(1, channels, 2, -1, x.shape[3]).transpose(1, 2)).flatten(1),
        "spatial attention": nn.Sequential(SpatialAttention(channels), nn.Sigmoid()),
        "coordinates": Coordinates(channels),
        "narrowed": lambda x: torch.narrow(x, 3, 1, 1),
        "mean of rows": lambda x: x.mean(2),
    }


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=2)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 20))
def test_turned(flags: str, channels: int, half: int, width: int) -> None:
    torch.manual_seed(channels)
    agree(layers(channels), (channels, 2 * half, width), FLAGS[flags])


def test_large_tensors_are_not_turned_number_by_number() -> None:
    with pytest.raises(BadInput, match="no native code for transpose along rows or columns of so large a tensor"):
        read(Together({"net": lambda x: x.transpose(2, 3)}).eval(), (5, 120, 120))
