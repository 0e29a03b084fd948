"""A heatmap per joint: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018,
arXiv:1804.06208, with the head of MobileNets to which Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, compare.

From the MicroNet paper: the last stage of the backbone at twice the resolution, bilinear enlarging, blocks at strides 8
and 4, a 1 x 1 convolution at stride 4; of the head of MobileNets only that its blocks are MobileNet's.
Where silent, and chosen here: kernels, expansion, gates and `filters`, of which 80 come nearest to the printed figures
with MobileNetV3-Small: 699 M multiply-adds of 726.9 M, but 1.6 M parameters of 2.1 M.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.plan import HeadPlan, Tap
from pumice.models.dense.segment import without_classifiers_conv
from pumice.models.heads import DenseHead
from pumice.models.rounding import make_divisible
from pumice.models.sides import Sides
from pumice.models.spec import NetSpec, Task
from pumice.nn.gate import SqueezeExcite
from pumice.nn.initialise import Scheme, initialise
from pumice.nn.inverted_residual import InvertedResidual

STRIDE = 4  # of the heatmaps


class HeatmapHead(DenseHead):
    """The map f of C channels at 1/r -> heatmaps (N, J, H/4, W/4).

    At each of the strides r/2, r/4, ..., 4: f = block(up(f)), up bilinear to twice the size; at stride 4 twice
    the block.  Then y = conv_1x1(f).

    block: makes one from the channels of its input, to `filters` channels.  init: the rule of their starting weights.

    Raises:
        BadInput: r is no power of two from 4 on.
    """

    def __init__(
        self,
        channels: int,
        reduction: int,
        filters: int,
        num_classes: int,
        block: Callable[[int], nn.Module],
        init: Scheme = "fan_out",
    ) -> None:
        super().__init__()
        doublings = int(math.log2(reduction / STRIDE))
        if reduction != STRIDE * 2**doublings:
            raise BadInput(f"heatmaps at a quarter cannot be had of a map at 1/{reduction}; choose another backbone")
        self.reduction, self.filters = reduction, filters
        blocks: list[nn.Module] = []
        for _ in range(doublings):
            blocks += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), block(channels)]
            channels = filters
        self.blocks = nn.Sequential(*blocks, block(channels))
        initialise(self, init)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new last convolution, N(0, 0.001): heatmaps start at nearly 0, as most of their pixels end."""
        if num_classes < 1:
            raise BadInput(f"a net for keypoints needs at least 1 class, a joint, not {num_classes}")
        conv = nn.Conv2d(self.filters, num_classes, 1)
        nn.init.normal_(conv.weight, 0.0, 0.001)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # which it has
        self.classifier = conv

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[(N, C, H/r, W/r)] -> (N, J, H/4, W/4)."""
        return self.classifier(self.blocks(maps[-1]))

    def decoding(self, height: int, width: int) -> dict[str, Any]:
        """The stride.

        Raises:
            BadInput: the sides are no multiples of r, so that a heatmap would cover more than the input.
        """
        if height % self.reduction or width % self.reduction:
            raise BadInput(
                f"this net for keypoints takes sides that are multiples of {self.reduction}, not {height} x {width}"
            )
        return {"kind": "heatmap", "stride": STRIDE}


@dataclass(frozen=True)
class KeypointPlan(HeadPlan):
    """What heads for keypoints have in common: they read the last map, at 1/16 unless the user says something else."""

    task: ClassVar[Task] = "keypoints"
    input_size: ClassVar[tuple[int, int]] = (256, 192)
    num_classes: ClassVar[int] = 17
    output_stride: ClassVar[int] = 16
    sides: ClassVar[Sides] = Sides(multiple=16, least=16)  # so that a heatmap covers the input

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last."""
        return (len(reductions) - 1,)

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """Without a convolution before the classifier."""
        return super().taps(without_classifiers_conv(spec))

    def strided(self, spec: NetSpec, output_stride: int) -> NetSpec:
        """Without dilation in place of the strides that are left out."""
        rows = zip(spec.rows, spec.dilated(output_stride).rows, strict=True)
        return replace(spec, rows=tuple(finer.dilated(row.dilation) for row, finer in rows))


@dataclass(frozen=True)
class HeatmapPlan(KeypointPlan):
    """`heatmap:BACKBONE`: inverted residuals with h-swish and squeeze-and-excitation, 5 x 5.

    filters: channels between the blocks.  expansion: hidden channels per channel of a block; the first, whose input is
    the backbone's, has no expansion.
    """

    filters: int = 80
    expansion: int = 6

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """HeatmapHead; it has no dropout."""
        given = channels[-1]

        def block(inputs: int) -> nn.Module:
            hidden = inputs if inputs == given else self.expansion * inputs
            gate = SqueezeExcite(hidden, make_divisible(hidden / 4))
            return InvertedResidual(inputs, hidden, self.filters, 5, act="HS", se=gate)

        return HeatmapHead(given, reductions[-1], self.filters, num_classes, block)
