"""MBConv, the row that MobileNetV2, MnasNet (arXiv:1807.11626) and EfficientNet share, and tables that repeat it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import nn

from pumice.models.depth import deepened
from pumice.models.rounding import make_divisible
from pumice.models.rows import Row
from pumice.nn.activation import Activation
from pumice.nn.gate import SqueezeExcite
from pumice.nn.inverted_residual import InvertedResidual


@dataclass(frozen=True)
class MBConv(Row):
    """One inverted residual.

    se: a gate whose hidden width is a quarter of the block's *input*, cut down and not rounded to 8.
    skip: False leaves the residual out even where it fits.
    """

    kernel_size: int
    stride: int
    expand: int
    out_channels: int
    se: bool
    act: Activation
    skip: bool = True

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """InvertedResidual, expand * in_channels wide inside; expand 1 has no expansion."""
        hidden = self.expand * in_channels
        squeeze = max(1, in_channels // 4)
        return InvertedResidual(
            *(in_channels, hidden, self.out_channels, self.kernel_size, self.stride),
            act=self.act,
            se=SqueezeExcite(hidden, squeeze, act=self.act, gate="sigmoid") if self.se else None,
            dilation=self.dilation,
            residual=None if self.skip else False,
        )


@dataclass(frozen=True)
class Stage:
    """One line of a table: equal blocks, of which only the first has the stride.  Columns in the releases' order."""

    repeats: int
    kernel_size: int
    stride: int
    expand: int
    out_channels: int
    se: bool = False
    skip: bool = True

    def rows(self, width: float, depth: float, act: Activation) -> list[MBConv]:
        """The blocks: widths scale and round to 8, repeats scale and round up."""
        out = make_divisible(self.out_channels * width)
        first = MBConv(self.kernel_size, self.stride, self.expand, out, self.se, act, self.skip)
        (repeats,) = deepened((self.repeats,), depth)
        return [first] + [replace(first, stride=1)] * (repeats - 1)


def blocks(
    stages: Iterable[Stage], width: float, depth: float, act: Activation, *, fix_stem_head: bool = False
) -> list[MBConv]:
    """Every stage's blocks; fix_stem_head keeps the repeats of the first and the last stage."""
    stages = list(stages)
    fixed = (0, len(stages) - 1) if fix_stem_head else ()
    return [row for i, stage in enumerate(stages) for row in stage.rows(width, 1.0 if i in fixed else depth, act)]
