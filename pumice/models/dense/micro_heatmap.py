"""The head of MicroNet for keypoints: Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, section 5.3.

From the paper: the last stage of the backbone at twice the resolution; bilinear x 2, a micro-block at stride 8,
bilinear x 2, two micro-blocks at stride 4, a 1 x 1 convolution; spatial attention of Dynamic ReLU in every layer.
Where silent, and chosen here: the head reads what stands before the backbone's last expansion; blocks are regular ones
of 5 x 5 and expansion 6 with every hyper-function, whose hidden layers are those of the tables' first rows, and the
group numbers of MicroNet's rule; the attention multiplies each hyper-function; `filters`, near the printed sizes.
"""

import math
from dataclasses import dataclass, replace

from torch import Tensor, nn

from pumice.models.dense.heatmap import HeatmapHead, KeypointPlan
from pumice.models.dense.plan import Tap
from pumice.models.heads import DenseHead
from pumice.models.micronet_blocks import Last, Regular
from pumice.models.micronet_widths import groups_for, nearest_divisor
from pumice.models.spec import NetSpec
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.spatial_attention import SpatialAttention


class Attended(nn.Module):
    """y = act(x) * attention(x): (N, C, H, W) -> the same shape."""

    def __init__(self, act: nn.Module, channels: int) -> None:
        super().__init__()
        self.act, self.attention = act, SpatialAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.act(x) * self.attention(x)


@dataclass(frozen=True)
class MicroHeatmapPlan(KeypointPlan):
    """`micro_heatmap:BACKBONE`.

    filters: channels between the blocks.
    """

    filters: int = 72

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """Without a MicroNet's last row, which expands for the classifier."""
        kept = spec.rows[:-1] if isinstance(spec.rows[-1], Last) else spec.rows
        return super().taps(replace(spec, rows=kept))

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """HeatmapHead; it has no dropout."""
        return HeatmapHead(channels[-1], reductions[-1], self.filters, num_classes, self.block, "full_fan_out")

    def block(self, inputs: int) -> nn.Module:
        """A micro-block from `inputs` to `filters` channels, with spatial attention."""
        hidden = 6 * inputs
        squeeze = nearest_divisor(math.gcd(hidden, self.filters), groups_for(self.filters, 1, hidden)[0])
        block = Regular(5, 1, 6, self.filters, groups_for(inputs, 1)[1], squeeze, (2, 2, 1), 1).build(inputs)
        for name, act in list(block.named_children()):
            if isinstance(act, DynamicShiftMax):
                setattr(block, name, Attended(act, act.channels))
        return block
