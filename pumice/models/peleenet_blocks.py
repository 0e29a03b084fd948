"""The blocks and rows of PeleeNet and of the Pelee detectors (see peleenet.py)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.boxes import level, prior_boxes, rows_of, six
from pumice.models.heads import DenseHead
from pumice.models.rows import Row
from pumice.models.spec import Encoder
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.initialise import initialise

PRIORS = 6  # boxes a pixel


class StemFork(nn.Module):
    """The stem block, without its first convolution.  (N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2)).

    y = conv_1x1(concat(maxpool_2x2,s(x), conv_3x3,s(conv_1x1(x))))    C -> C / 2 -> C beside C -> C, each conv-norm-act
    """

    def __init__(self, in_channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        c = in_channels
        # Caffe rounds up, as the convolution beside does; torch's release cannot take an odd side.
        self.pool = nn.MaxPool2d(2, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.branch = nn.Sequential(
            ConvNormAct(c, c // 2, act="RE"), ConvNormAct(c // 2, c, 3, stride, dilation=dilation, act="RE")
        )
        self.mix = ConvNormAct(2 * c, c, act="RE")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
        return self.mix(torch.cat((self.pool(x), self.branch(x)), dim=1))


class TwoWayLayer(nn.Module):
    """Figure 1b.  (N, C, H, W) -> (N, C + k, H, W).

    a = conv_3x3(conv_1x1(x))               C -> b -> k / 2, each conv-norm-act
    b = conv_3x3(conv_3x3(conv_1x1(x)))     C -> b -> k / 2 -> k / 2: sees twice as far
    return concat(x, a, b)
    """

    def __init__(self, in_channels: int, row: "TwoWayStage") -> None:
        super().__init__()
        c, half, d = in_channels, row.growth // 2, row.dilation
        b = bottleneck(c, half, row.bottleneck)
        self.near = nn.Sequential(ConvNormAct(c, b, act="RE"), ConvNormAct(b, half, 3, dilation=d, act="RE"))
        self.far = nn.Sequential(
            ConvNormAct(c, b, act="RE"),
            ConvNormAct(b, half, 3, dilation=d, act="RE"),
            ConvNormAct(half, half, 3, dilation=d, act="RE"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + k, H, W)."""
        return torch.cat((x, self.near(x), self.far(x)), dim=1)


def bottleneck(in_channels: int, half: int, factor: int) -> int:
    """The dynamic width of a bottleneck: factor * half rounded down to 4, or C / 2 so rounded where that is less."""
    width = half * factor // 4 * 4
    return in_channels // 8 * 4 if width > in_channels / 2 else width


@dataclass(frozen=True)
class Fork(Row):
    """The stem's second half."""

    stride: int

    def width(self, in_channels: int) -> int:
        """in_channels."""
        return in_channels

    def build(self, in_channels: int) -> nn.Module:
        """StemFork."""
        return StemFork(in_channels, self.stride, self.dilation)


@dataclass(frozen=True)
class TwoWayStage(Row):
    """A pool, if there is a stride; the layers; the transition's 1 x 1 convolution, which keeps the width.

    bottleneck: of the layers, in units of half the growth.  ceil: the pool rounds up.
    """

    layers: int
    bottleneck: int
    growth: int
    stride: int
    ceil: bool = False

    def width(self, in_channels: int) -> int:
        """in_channels + layers * growth."""
        return in_channels + self.layers * self.growth

    def build(self, in_channels: int) -> nn.Module:
        """Pool, TwoWayLayers and ConvNormAct."""
        s, out = self.stride, self.width(in_channels)
        pool = nn.AvgPool2d(s, ceil_mode=self.ceil) if s > 1 else nn.Identity()
        layers = (TwoWayLayer(in_channels + i * self.growth, self) for i in range(self.layers))
        return nn.Sequential(pool, *layers, ConvNormAct(out, out, act="RE"))


class ResBlock(nn.Module):
    """The residual prediction block.  (N, C, H, W) -> (N, O, H, W).

    y = ReLU(conv_1x1(x) + conv_1x1(conv_3x3(conv_1x1(x))))    C -> O beside C -> O / 2 -> O / 2 -> O, all with norms
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        c, hidden, o = in_channels, out_channels // 2, out_channels
        self.shortcut = ConvNormAct(c, o)
        self.branch = nn.Sequential(
            ConvNormAct(c, hidden, act="RE"), ConvNormAct(hidden, hidden, 3, act="RE"), ConvNormAct(hidden, o)
        )
        self.drop_path = DropPath()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        return self.act(self.shortcut(x) + self.drop_path(self.branch(x)))


class Extra(nn.Sequential):
    """A coarser map: ReLU(conv_3x3(ReLU(conv_1x1(x)))), biased, without norms; C -> hidden -> O."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, stride: int, padding: int) -> None:
        super().__init__(
            *(nn.Conv2d(in_channels, hidden, 1), nn.ReLU()),
            *(nn.Conv2d(hidden, out_channels, 3, stride, padding), nn.ReLU()),
        )


class PeleeEncoder(Encoder):
    """PeleeNet's trunk: (N, in_chans, H, W) -> the map before every stride, and the last."""

    def __init__(self, rows: Iterable[Row], in_chans: int) -> None:
        super().__init__()
        rows = tuple(rows)
        blocks, width, reduction = [], in_chans, 1
        widths, reductions = [], []
        for row in rows:
            blocks.append(row.build(width))
            width, reduction = row.width(width), reduction * row.stride
            widths.append(width)
            reductions.append(reduction)
        self.blocks = nn.Sequential(*blocks)
        self.taps = [i for i in range(len(rows)) if reductions[i] not in reductions[i + 1 :]]
        self.channels = tuple(widths[i] for i in self.taps)
        self.reductions = tuple(reductions[i] for i in self.taps)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps, finest first."""
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        return maps


class PeleeHead(DenseHead):
    """Boxes of every size from five maps: the encoder's maps -> (N, priors, 4 + classes).

    The two coarsest maps, and three coarser ones made from the last, each pass a ResBlock.  Six levels predict, the
    first two from the finest of the five, with PRIORS boxes a pixel: 4 offsets, and a logit for every class, the
    background first.  Priors are ordered by level, row, column, box.

    sides: the least and the greatest box of each level, shares of the input's sides.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        extras: tuple[tuple[int, int, int, int], ...],
        width: int,
        kernel_size: int,
        sides: Sequence[tuple[float, float]],
    ) -> None:
        super().__init__()
        self.strides, self.sides = [extra[2:] for extra in extras], sides
        widths = list(channels)
        self.extras = nn.ModuleList()
        for hidden, out, stride, padding in extras:
            self.extras.append(Extra(widths[-1], hidden, out, stride, padding))
            widths.append(out)
        self.width, self.kernel_size, self.levels = width, kernel_size, 1 + len(widths)
        self.blocks = nn.ModuleList(ResBlock(c, width) for c in widths)
        self.boxes = nn.ModuleList(self.predictors(4))

    def predictors(self, values: int) -> list[nn.Conv2d]:
        """A convolution for each level, with so many values a box."""
        k, out = self.kernel_size, PRIORS * values
        return [nn.Conv2d(self.width, out, k, padding=k // 2) for _ in range(self.levels)]

    def reset(self, num_classes: int) -> None:
        """New convolutions for the logits, as Caffe draws them.

        Raises:
            BadInput: there is no class beside the background.
        """
        if num_classes < 2:
            raise BadInput(f"a detector cannot have {num_classes} classes; the background is one, so give at least 2")
        self.num_classes = num_classes
        self.classifier: nn.ModuleList = nn.ModuleList(self.predictors(num_classes))
        initialise(self.classifier, "caffe")

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, finest first -> (N, priors, 4 + classes)."""
        maps = maps[-2:]
        for extra in self.extras:
            maps = [*maps, extra(maps[-1])]
        maps = [block(x) for block, x in zip(self.blocks, maps, strict=True)]
        levels = [maps[0], *maps]
        boxes = [rows_of(conv(x), 4) for conv, x in zip(self.boxes, levels, strict=True)]
        logits = [rows_of(conv(x), self.num_classes) for conv, x in zip(self.classifier, levels, strict=True)]
        return torch.cat((torch.cat(boxes, dim=1), torch.cat(logits, dim=1)), dim=2)

    def decoding_on(self, maps: Sequence[tuple[int, int]], height: int, width: int) -> dict[str, Any]:
        """Six boxes a place, see `pumice.models.dense.boxes.six`, and the thresholds of the authors' test script."""
        grids = list(maps[-2:])
        for stride, padding in self.strides:
            h, w = ((side + 2 * padding - 3) // stride + 1 for side in grids[-1])
            grids.append((h, w))
        levels = [
            level(grid, six((least, least), (greatest, greatest)))
            for grid, (least, greatest) in zip([grids[0], *grids], self.sides, strict=True)
        ]
        return prior_boxes(levels)
