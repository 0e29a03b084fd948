"""MnasNet's factorised hierarchical space: Tan et al., CVPR 2019, arXiv:1807.11626, section 4.1.

From the paper: MobileNetV2's skeleton, five blocks of it searched; the layers of a block are equal, and only the first
may have a stride; 4 operations x 2 kernels x 2 SE x 3 skips x 3 widths x 3 numbers of layers = 432 choices a block.
From its results: what stands before and after the five blocks (a separable convolution of 16, an MBConv6 of 320) is the
same in every net that the search gave.  The paper's largest width is "1.25", but A1's 112 and B1's 192 are 1.2 times
MobileNetV2's; 1.2, rounded to the nearest multiple of 8, gives every width of A1, B1 and EfficientNet-B0, so it stands
behind the word.
Where both are silent: a skip, whatever its kind, is added only where input and output have one width; "pool" is a 3 x 3
average with the layer's stride, so it may cross a stride, which "identity" may not.  A plain convolution has its SE
after its activation.  SE widths are a quarter of the layer's input, as in MBConv.  Some choices are one net: a block of
one layer that changes the width, with any skip.
"""

from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn

from pumice.models.heads import PoolLinear
from pumice.models.mbconv import MBConv, Stage
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.gate import SqueezeExcite

Skip = Literal["pool", "identity", "none"]

# fmt: off
STEM, FIRST, LAST, HEAD = 32, 16, 320, 1280
BLOCKS = (  # MobileNetV2, table 2
    #  c  n  s
    ( 24, 2, 2),
    ( 32, 3, 2),
    ( 64, 4, 2),
    ( 96, 3, 1),
    (160, 3, 2),
)
EXPANSIONS = {"sepconv": 1, "mbconv3": 3, "mbconv6": 6}  # "conv" has none
OPTIONS: dict[str, tuple[str, ...]] = {
    "op": ("conv", *EXPANSIONS),
    "kernel": ("3", "5"),
    "se": ("0", "0.25"),
    "skip": ("pool", "identity", "none"),
    "filters": ("0.75", "1", "1.25"),
    "layers": ("-1", "0", "+1"),
}
FACTORS = {"0.75": 0.75, "1": 1.0, "1.25": 1.2}
# fmt: on


class Summed(nn.Module):
    """y = body(x) + shortcut(x), both (N, C, H, W) -> (N, C, H/s, W/s)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut
        self.drop_path = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/s, W/s)."""
        return self.drop_path(self.body(x)) + self.shortcut(x)


def skipped(body: nn.Module, skip: Skip, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The body with its skip, or alone where the skip does not fit."""
    if in_channels != out_channels or skip == "none" or (skip == "identity" and stride > 1):
        return body
    return Summed(body, nn.AvgPool2d(3, stride, padding=1) if skip == "pool" else nn.Identity())


@dataclass(frozen=True)
class FullConv(Row):
    """One layer of a block of plain convolutions: convolution, norm, activation, SE, and the skip around all."""

    kernel_size: int
    stride: int
    out_channels: int
    se: bool
    act: Activation
    skip: Skip

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """conv-norm-act, gated where se."""
        body: nn.Module = ConvNormAct(
            *(in_channels, self.out_channels, self.kernel_size, self.stride), dilation=self.dilation, act=self.act
        )
        if self.se:
            gate = SqueezeExcite(self.out_channels, max(1, in_channels // 4), act=self.act, gate="sigmoid")
            body = nn.Sequential(body, gate)
        return skipped(body, self.skip, in_channels, self.out_channels, self.stride)


@dataclass(frozen=True)
class PooledMBConv(MBConv):
    """MBConv, `skip` False, with an average of its input added."""

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual without its residual, inside `Summed` where the widths agree."""
        return skipped(super().build(in_channels), "pool", in_channels, self.out_channels, self.stride)


def layer(op: str, kernel_size: int, stride: int, out_channels: int, se: bool, skip: Skip, act: Activation) -> Row:
    """One layer of a searched block."""
    if op == "conv":
        return FullConv(kernel_size, stride, out_channels, se, act, skip)
    row = PooledMBConv if skip == "pool" else MBConv
    return row(kernel_size, stride, EXPANSIONS[op], out_channels, se, act, skip == "identity")


class MnasnetSpace(Space):
    """30 positions: op, kernel, se, skip, filters and layers of each of the five blocks; 432^5 choices.

    width: of all channels but the last convolution's, as `create_model("semnasnet_100", width=...)` has it.
    act: of every layer; "SI" in EfficientNet's search.
    gated_ends: SE before and after the five blocks too, as EfficientNet has it.

    >>> MnasnetSpace().size == 432**5
    True
    """

    name = "mnasnet"
    positions = tuple(
        Position(f"block {i + 1} {name}", options) for i in range(len(BLOCKS)) for name, options in OPTIONS.items()
    )

    def __init__(self, width: float = 1.0, act: Activation = "RE", gated_ends: bool = False) -> None:
        self.width, self.act, self.gated_ends = width, act, gated_ends

    def spec(self, choice: Choice) -> NetSpec:
        """Stem, separable convolution, the five blocks, MBConv6, last convolution of 1280."""
        first = Stage(1, 3, 1, 1, FIRST, self.gated_ends, skip=False)
        last = Stage(1, 3, 1, 6, LAST, self.gated_ends)
        rows = (
            Conv(3, make_divisible(STEM * self.width), 2, self.act),
            *first.rows(self.width, 1.0, self.act),
            *(row for i in range(len(BLOCKS)) for row in self._block(i, choice)),
            *last.rows(self.width, 1.0, self.act),
            Conv(1, HEAD, 1, self.act),
        )
        return NetSpec(rows, PoolLinear(0.2), bn_momentum=0.01)

    def _block(self, i: int, choice: Choice) -> list[Row]:
        """The layers of block i, from 0."""
        words = self.words(choice)
        op, kernel, se, skip, filters, layers = (words[f"block {i + 1} {name}"] for name in OPTIONS)
        channels, repeats, stride = BLOCKS[i]
        wide = make_divisible(make_divisible(channels * FACTORS[filters], keep=0) * self.width)
        return [
            layer(op, int(kernel), stride if n == 0 else 1, wide, se != "0", cast(Skip, skip), self.act)
            for n in range(repeats + int(layers))
        ]
