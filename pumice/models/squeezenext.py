"""SqueezeNext: Gholami et al., "SqueezeNext: Hardware-Aware Neural Network Design", CVPR Workshops 2018,
arXiv:1803.10615.

From the authors' prototxt (github.com/amirgholami/SqueezeNext), which exists for 1.0-23, 1.0-G-23, 1.0-23v5, 2.0-23 and
2.0-23v5: every number below; convolutions round down and the pool rounds up, as Caffe does; no bias anywhere, not even
in the classifier.  Where the paper's drawing shows one order of the separable pair, the prototxt alternates it, anew in
every stage, and runs here.  v5 is another topology as well as another depth: a 5 x 5 stem, and the first block of a
stage reads its own shortcut's output.  The width scales the stages alone: 2.0 keeps the stem of 64 and the tail of 128.
Where silent: the stages of 34 and 44 were inferred from the printed numbers of parameters; a width between the
published ones rounds to a multiple of 8.
pytorchcv's nets of these names are others: biased convolutions, a padded stem, one order of the pair, scaled ends and
v5 as a depth alone.  They are not here.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import PoolLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.sides import Sides
from pumice.models.spec import NetSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath

Layout = Literal["23", "23v5", "34", "44"]
Pair = Literal["3x1, 1x3", "1x3, 3x1"]
Entry = Literal["identity", "project", "share"]


class SqueezeNextBlock(nn.Module):
    """The SqueezeNext block.  (N, C, H, W) -> (N, O, floor((H - 1) / s) + 1, floor((W - 1) / s) + 1).

    b = x, or project_1x1,s(x) in the first block of every stage    C -> O
    y = 1x1(pair(1x1(1x1_s(x))))                                    C -> O/2 -> O/4 -> O/2, O/2 -> O
    return ReLU(b + y)

    pair is 3 x 1 then 1 x 3, or the other way round.  In v5 a first block computes y from b, without a stride.  Every
    convolution has a norm and a ReLU, the last of y as well.
    """

    def __init__(self, in_channels: int, row: "Block") -> None:
        super().__init__()
        c, o, g, d = in_channels, row.out_channels, row.groups, row.dilation
        tall, flat = ((3, 1), (1, 3)) if row.pair == "3x1, 1x3" else ((1, 3), (3, 1))
        shares = row.entry == "share"
        self.shared = shares
        self.shortcut = nn.Identity() if row.entry == "identity" else ConvNormAct(c, o, 1, row.stride, act="RE")
        self.branch = nn.Sequential(
            ConvNormAct(o if shares else c, o // 2, 1, 1 if shares else row.stride, groups=g, act="RE"),
            ConvNormAct(o // 2, o // 4, act="RE"),
            ConvNormAct(o // 4, o // 2, tall, dilation=d, groups=g, act="RE"),
            ConvNormAct(o // 2, o // 2, flat, dilation=d, groups=g, act="RE"),
            ConvNormAct(o // 2, o, act="RE"),
        )
        self.drop_path = DropPath()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        b = self.shortcut(x)
        y = self.branch(b if self.shared else x)
        return self.act(b + self.drop_path(y))


@dataclass(frozen=True)
class Stem(Row):
    """The first convolution, which pads nothing."""

    kernel_size: int
    out_channels: int = 64
    stride: int = 2

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """conv-norm-ReLU."""
        return ConvNormAct(
            *(in_channels, self.out_channels, self.kernel_size, self.stride),
            padding=0,
            dilation=self.dilation,
            act="RE",
        )


@dataclass(frozen=True)
class Block(Row):
    """One block of the prototxt.

    entry: "identity", or what the first block of a stage does: "project", "share" in v5.
    groups: of the first 1 x 1 convolution and of the pair.
    """

    out_channels: int
    stride: int
    pair: Pair
    entry: Entry
    groups: int = 1

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """SqueezeNextBlock."""
        return SqueezeNextBlock(in_channels, self)


WIDTHS = (32, 64, 128, 256)  # of the stages at 1.0
STRIDES = (1, 2, 2, 2)
PAIRS: tuple[Pair, Pair] = ("3x1, 1x3", "1x3, 3x1")
# fmt: off
DEPTHS: dict[Layout, tuple[int, ...]] = {  # blocks of the stages
    "23":   ( 6,  6,  8, 1),
    "23v5": ( 2,  4, 14, 1),
    "34":   ( 9,  9, 12, 2),  # inferred
    "44":   (12, 12, 16, 2),  # inferred
}
# fmt: on


def stage(out_channels: int, blocks: int, stride: int, first: Entry, groups: int) -> tuple[Block, ...]:
    """A block that changes the width, then blocks that keep it; the order of the pair alternates."""
    return tuple(
        Block(out_channels, 1 if i else stride, PAIRS[i % 2], "identity" if i else first, groups) for i in range(blocks)
    )


def sqnxt(width: float = 1.0, layout: Layout = "23", groups: int = 1) -> NetSpec:
    """The nets of the prototxt, and those between them.  groups: 2 is the paper's G."""
    widths = [make_divisible(c * width) for c in WIDTHS]
    if groups < 1 or any((c // 4) % groups for c in (64, *widths)):
        raise BadInput(f"groups {groups} do not divide the channels of this net; choose 1 or 2")
    v5 = layout == "23v5"
    rows = (
        Stem(5 if v5 else 7),
        MaxPool(3, 2, ceil=True),
        *(
            block
            for c, n, s in zip(widths, DEPTHS[layout], STRIDES, strict=True)
            for block in stage(c, n, s, "share" if v5 else "project", groups)
        ),
        Conv(1, 128, 1, "RE"),
    )
    # The pool's 3 x 3 window must touch the map that the stem leaves: two pixels are enough, since it rounds up.
    return NetSpec(rows, PoolLinear(bias=False), init="squeezenet", sides=Sides(least=7 if v5 else 9))


def deeper(layout: Layout, width: float, size: str) -> Variant:
    """A net of 34 or 44 layers.  size: its parameters beside the printed ones."""
    depths = ", ".join(map(str, DEPTHS[layout]))
    doubt = "; no 32 blocks that were tried fit all three printed widths" if layout == "34" else ""
    return Variant(
        sqnxt,
        {"width": width, "layout": layout},
        published=f"{width}-SqNxt-{layout}",
        input_size=227,
        status="reconstruction",
        note=f"the depths of its stages, {depths}, were inferred from the printed parameters: {size}{doubt}",
    )


VARIANTS = {
    "squeezenext_23_100": Variant(sqnxt, published="1.0-SqNxt-23", input_size=227),
    "squeezenext_g_23_100": Variant(sqnxt, {"groups": 2}, published="1.0-G-SqNxt-23", input_size=227),
    "squeezenext_23v5_100": Variant(sqnxt, {"layout": "23v5"}, published="1.0-SqNxt-23v5", input_size=227),
    "squeezenext_23_150": Variant(
        sqnxt,
        {"width": 1.5},
        published="1.5-SqNxt-23",
        input_size=227,
        status="reconstruction",
        note="no prototxt of this width was released: stages x 1.5, stem and tail as in 2.0; the printed 1.4 M agree",
    ),
    "squeezenext_23_200": Variant(sqnxt, {"width": 2.0}, published="2.0-SqNxt-23", input_size=227),
    "squeezenext_23v5_200": Variant(
        sqnxt, {"width": 2.0, "layout": "23v5"}, published="2.0-SqNxt-23v5", input_size=227
    ),
    "squeezenext_34_100": deeper("34", 1.0, "1.05 M against 1.0 M"),
    "squeezenext_34_150": deeper("34", 1.5, "2.16 M against 2.1 M"),
    "squeezenext_34_200": deeper("34", 2.0, "3.69 M against 3.8 M"),
    "squeezenext_44_100": deeper("44", 1.0, "1.24 M against 1.2 M"),
    "squeezenext_44_150": deeper("44", 1.5, "2.57 M against 2.6 M"),
    "squeezenext_44_200": deeper("44", 2.0, "4.43 M against 4.4 M"),
}
