"""Ghost-VGG and Ghost-ResNet: Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, arXiv:1911.11907.

From the paper (sections 4.1 and 4.2): ghost modules stand in for the convolutions of VGG-16, ResNet-56 and ResNet-50;
ratio s and cheap kernels of d = 3.
From the authors' code: nothing.  The released file for ResNet-50 registers tensors that it never uses and runs without
norms, so it is not followed.
Where silent, and therefore reconstructions: stems stay plain, every module has norms and, where its net has one, ReLU
in both halves, the 3 x 3 convolution of a bottleneck strides, ResNet-50's projections are ghost modules, ResNet-56's
shortcuts have no parameters, VGG ends in a hidden layer of 512, and nothing drops out.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.heads import PoolHiddenLinear, PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.activation import Activation
from pumice.nn.drop_path import DropPath
from pumice.nn.ghost import GhostModule


def ghost(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    row: "Ghost | Basic | Bottleneck",
    *,
    stride: int = 1,
    act: Activation = "",
) -> GhostModule:
    """A ghost module with the ratio, cheap kernel and dilation of its row."""
    return GhostModule(
        *(in_channels, out_channels, kernel_size, stride),
        ratio=row.ratio,
        cheap_kernel=row.cheap_kernel,
        dilation=row.dilation,
        act=act,
    )


class PlainShortcut(nn.Module):
    """ResNet's option A, without parameters: every s-th pixel, then zeros for the missing channels.

    (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).
    """

    channel_rule = "freeze"

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.missing, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class GhostBasicBlock(nn.Module):
    """ResNet's basic block with ghost modules.  (N, C, H, W) -> (N, O, H/s, W/s).

    y = ghost_3x3(ghost_3x3,s(x))      ReLU in the first module only
    return ReLU(y + shortcut(x))
    """

    def __init__(self, in_channels: int, row: "Basic") -> None:
        super().__init__()
        c, o = in_channels, row.out_channels
        self.ghost1 = ghost(c, o, 3, row, stride=row.stride, act="RE")
        self.ghost2 = ghost(o, o, 3, row)
        self.drop_path = DropPath()
        self.shortcut = nn.Identity() if c == o and row.stride == 1 else PlainShortcut(c, o, row.stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.act(self.drop_path(self.ghost2(self.ghost1(x))) + self.shortcut(x))


class GhostResNetBottleneck(nn.Module):
    """ResNet's bottleneck with ghost modules.  (N, C, H, W) -> (N, 4 M, H/s, W/s).

    y = ghost_1x1(ghost_3x3,s(ghost_1x1(x)))          C -> M -> M -> 4 M, ReLU in the first two modules
    return ReLU(y + (ghost_1x1,s(x) if C != 4 M else x))
    """

    def __init__(self, in_channels: int, row: "Bottleneck") -> None:
        super().__init__()
        c, m, o = in_channels, row.mid, row.width(in_channels)
        self.ghost1 = ghost(c, m, 1, row, act="RE")
        self.ghost2 = ghost(m, m, 3, row, stride=row.stride, act="RE")
        self.ghost3 = ghost(m, o, 1, row)
        self.drop_path = DropPath()
        self.shortcut = nn.Identity() if c == o else ghost(c, o, 1, row, stride=row.stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 4 M, H/s, W/s)."""
        return self.act(self.drop_path(self.ghost3(self.ghost2(self.ghost1(x)))) + self.shortcut(x))


@dataclass(frozen=True)
class Ghost(Row):
    """A 3 x 3 convolution of VGG as a ghost module."""

    out_channels: int
    ratio: int
    cheap_kernel: int
    stride: int = 1

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """GhostModule with ReLU."""
        return ghost(in_channels, self.out_channels, 3, self, stride=self.stride, act="RE")


@dataclass(frozen=True)
class Basic(Row):
    """A basic block of ResNet-56."""

    out_channels: int
    stride: int
    ratio: int
    cheap_kernel: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """GhostBasicBlock."""
        return GhostBasicBlock(in_channels, self)


@dataclass(frozen=True)
class Bottleneck(Row):
    """A bottleneck of ResNet-50."""

    mid: int
    stride: int
    ratio: int
    cheap_kernel: int

    def width(self, in_channels: int) -> int:
        """4 * mid."""
        return 4 * self.mid

    def build(self, in_channels: int) -> nn.Module:
        """GhostResNetBottleneck."""
        return GhostResNetBottleneck(in_channels, self)


# fmt: off
#            channels, convolutions before a pool
VGG16    = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
#            channels, blocks, stride
RESNET56 = ((16, 9, 1), (32, 9, 2), (64, 9, 2))
RESNET50 = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
# fmt: on


def vgg16_cifar(ratio: int = 2, cheap_kernel: int = 3) -> NetSpec:
    """Ghost-VGG-16 for 32 x 32 images."""
    rows: list[Row] = []
    for channels, n in VGG16:
        rows += [*[Ghost(channels, ratio, cheap_kernel)] * n, MaxPool(2, 2, ceil=True)]
    return NetSpec(tuple(rows), PoolHiddenLinear(512, "RE", drop_rate=0.0))


def resnet56_cifar(ratio: int = 2, cheap_kernel: int = 3) -> NetSpec:
    """Ghost-ResNet-56 for 32 x 32 images."""
    blocks = [
        Basic(c, s if i == 0 else 1, ratio=ratio, cheap_kernel=cheap_kernel) for c, n, s in RESNET56 for i in range(n)
    ]
    return NetSpec((Conv(3, 16, 1, "RE"), *blocks), PoolLinear())


def resnet50(ratio: int = 2, cheap_kernel: int = 3) -> NetSpec:
    """Ghost-ResNet-50."""
    blocks = [
        Bottleneck(c, s if i == 0 else 1, ratio=ratio, cheap_kernel=cheap_kernel)
        for c, n, s in RESNET50
        for i in range(n)
    ]
    return NetSpec((Conv(7, 64, 2, "RE"), MaxPool(3, 2, padding=1), *blocks), PoolLinear())


FROM_TEXT = "built from the paper's text: ghost modules with norms in place of every convolution of "
VARIANTS = {
    "ghost_resnet50_s2": Variant(
        resnet50,
        published="ghost_resnet50_s2",
        status="reconstruction",
        note=FROM_TEXT + "the blocks and projections, plain stem; 13.95 M parameters and 2.15 G multiply-adds here, "
        "13.0 M and 2.2 G in print; the released file does not run as described",
    ),
    "ghost_resnet50_s4": Variant(
        resnet50,
        {"ratio": 4},
        published="ghost_resnet50_s4",
        status="reconstruction",
        note=FROM_TEXT + "the blocks and projections, plain stem; 8.15 M parameters and 1.18 G multiply-adds here, "
        "6.5 M and 1.2 G in print; the released file does not run as described",
    ),
    "ghost_vgg16_s2_cifar": Variant(
        vgg16_cifar,
        published="ghost_vgg16_s2_cifar",
        input_size=32,
        num_classes=10,
        status="reconstruction",
        note=FROM_TEXT + "VGG-16 and a hidden layer of 512 before the classes, inferred from the published size, "
        "which it meets, as it does for ratios of 3, 4 and 5",
    ),
    "ghost_resnet56_s2_cifar": Variant(
        resnet56_cifar,
        published="ghost_resnet56_s2_cifar",
        input_size=32,
        num_classes=10,
        status="reconstruction",
        note=FROM_TEXT + "the blocks, plain stem, shortcuts without parameters; 0.438 M parameters and 65.3 M "
        "multiply-adds here, 0.43 M and 63 M in print, which cheap kernels of 1 would meet",
    ),
}
