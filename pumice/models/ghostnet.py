"""GhostNet: Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, arXiv:1911.11907.

From the paper: every number in GHOSTNET (table 7), ratio s = 2 and cheap kernels of d = 3.
From the authors' code (github.com/huawei-noah/Efficient-AI-Backbones, ghostnet_pytorch): widths round to 4, the hidden
layer of 1280 does not scale and has a bias but no norm, a squeezed width is hidden / 4 rounded to 4, the gate is the
hard sigmoid, and the shortcut's depthwise convolution has the block's kernel and no activation.  timm's nets are these;
the authors' TensorFlow code and pytorchcv's net gate, round and norm in other ways.
Where silent: dropout 0.2, as in the PyTorch file.  Ghost-VGG and Ghost-ResNet are in `ghost_resnet`.
"""

from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from pumice.models import ghost_resnet
from pumice.models.heads import PoolHiddenLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.gate import SqueezeExcite
from pumice.nn.ghost import GhostBottleneck


@dataclass(frozen=True)
class GBneck(Row):
    """One line of table 7: kernel, #exp, #out, SE, stride.

    ratio, cheap_kernel: of both ghost modules.  down: whether the published row strides.
    """

    kernel_size: int
    hidden: int
    out_channels: int
    se: bool
    stride: int
    ratio: int = 2
    cheap_kernel: int = 3
    down: bool = False

    def dilated(self, dilation: int, stride: int | None = None) -> Self:
        """The same row, which keeps the convolutions of its lost stride."""
        return replace(super().dilated(dilation, stride), down=self.down or self.stride > 1)

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """GhostBottleneck."""
        return GhostBottleneck(
            *(in_channels, self.hidden, self.out_channels, self.kernel_size, self.stride),
            se=SqueezeExcite(self.hidden, make_divisible(self.hidden * 0.25, 4)) if self.se else None,
            down=self.down or self.stride > 1,
            ratio=self.ratio,
            cheap_kernel=self.cheap_kernel,
            dilation=self.dilation,
        )


# fmt: off
GHOSTNET = (  # table 7
    #      k  exp  out     SE  s
    GBneck(3,  16,  16, False, 1),
    GBneck(3,  48,  24, False, 2),
    GBneck(3,  72,  24, False, 1),
    GBneck(5,  72,  40,  True, 2),
    GBneck(5, 120,  40,  True, 1),
    GBneck(3, 240,  80, False, 2),
    GBneck(3, 200,  80, False, 1),
    GBneck(3, 184,  80, False, 1),
    GBneck(3, 184,  80, False, 1),
    GBneck(3, 480, 112,  True, 1),
    GBneck(3, 672, 112,  True, 1),
    GBneck(5, 672, 160,  True, 2),
    GBneck(5, 960, 160, False, 1),
    GBneck(5, 960, 160,  True, 1),
    GBneck(5, 960, 160, False, 1),
    GBneck(5, 960, 160,  True, 1),
)
# fmt: on


def ghostnet(width: float = 1.0, ratio: int = 2, cheap_kernel: int = 3) -> NetSpec:
    """Table 7.  ratio: s, intrinsic and ghost maps to intrinsic ones.  cheap_kernel: d, of the cheap operation."""

    def scaled(channels: int) -> int:
        return make_divisible(channels * width, 4)

    rows = (
        Conv(3, scaled(16), 2, "RE"),
        *(
            replace(
                row,
                hidden=scaled(row.hidden),
                out_channels=scaled(row.out_channels),
                ratio=ratio,
                cheap_kernel=cheap_kernel,
            )
            for row in GHOSTNET
        ),
        Conv(1, scaled(960), 1, "RE"),
    )
    return NetSpec(rows, PoolHiddenLinear(1280, "RE"))


VARIANTS = {
    "ghostnet_050": Variant(ghostnet, {"width": 0.5}, published="ghostnet_0.5"),
    "ghostnet_100": Variant(ghostnet, published="ghostnet_1.0"),
    "ghostnet_130": Variant(ghostnet, {"width": 1.3}, published="ghostnet_1.3"),
    "ghostnet_110": Variant(
        ghostnet, {"width": 1.1}, published="ghostnet_1.1_coco", note="published as a backbone of COCO detectors only"
    ),
    **ghost_resnet.VARIANTS,
}
