"""PeleeNet: Wang et al., "Pelee: A Real-Time Object Detection System on Mobile Devices", NeurIPS 2018,
arXiv:1804.06882.

From the paper and the authors' code (github.com/Robert-JunWang/PeleeNet, commit 05e928a, and .../Pelee, commit
96979b3): every number in STAGES, EXTRAS and the boxes.  Where they differ the code runs: its bottlenecks are 1, 2, 4, 4
times half the growth, where figure 1 draws one width.  The stem joins pool before convolution.
The detectors are SSD's on PeleeNet's last two maps and three more, as the released prototxt has them: their pools round
up, as Caffe's do (19 x 19 becomes 10 x 10), the maps of 5, 3 and 1 pixels come from convolutions without norms.  Boxes
grow with the input.  Caffe's weights want norms with eps 1e-3 (`bn_eps=1e-3`).
Where silent: odd sides.  The stem's pool always rounds up, as its convolution does; a classifier's other pools round
down, as in torch's release.
"""

from dataclasses import dataclass
from typing import Literal

from pumice.errors import BadInput
from pumice.models.heads import DenseHead, Head, PoolLinear
from pumice.models.peleenet_blocks import Fork, PeleeEncoder, PeleeHead, TwoWayStage
from pumice.models.rows import Conv, Row
from pumice.models.sides import Sides
from pumice.models.spec import Encoder, NetSpec, PlainSpec, Variant

# fmt: off
STAGES = (  # table 1: layers, bottleneck (of the code), stride of the pool before
    (3, 1, 1),
    (4, 2, 2),
    (8, 4, 2),
    (6, 4, 2),
)
EXTRAS = (  # hidden, out, stride, padding: 10 x 10 -> 5 x 5 -> 3 x 3 -> 1 x 1
    (256, 256, 2, 1),
    (128, 256, 1, 0),
    (128, 256, 1, 0),
)
SIZE = 304
# The least and the greatest box of each level, pixels of a 304 x 304 image.  Each pixel of a level has six boxes around
# its middle: a square of the least side, one of sqrt(least * greatest), and four of the least area whose width is 2,
# 1 / 2, 3 and 1 / 3 times their height.
BOXES = {
    "voc":  ((30.40,  60.80), (60.80, 112.48), (112.48, 164.16), (164.16, 215.84), (215.84, 267.52), (267.52, 319.20)),
    "coco": ((21.28,  45.60), (45.60, 100.32), (100.32, 155.04), (155.04, 209.76), (209.76, 264.48), (264.48, 319.20)),
}
# fmt: on


def trunk(growth: int, stem: int, ceil: bool) -> tuple[Row, ...]:
    """The rows of table 1.

    Raises:
        BadInput: growth or stem cannot be halved, or leave no bottleneck.
    """
    for name, value in (("growth", growth), ("stem", stem)):
        if value < 8 or value % 2:
            raise BadInput(f"{name} {value} cannot be had; choose an even number from 8 on")
    stages = (TwoWayStage(layers, bottleneck, growth, stride, ceil) for layers, bottleneck, stride in STAGES)
    return Conv(3, stem, 2, "RE"), Fork(2), *stages


def peleenet(growth: int = 32, stem: int = 32) -> NetSpec:
    """Table 1: channels that a layer adds, and the width of the stem."""
    return NetSpec(trunk(growth, stem, ceil=False), PoolLinear(drop_rate=0.05))


@dataclass(frozen=True)
class Pelee(PlainSpec):
    """A detector.

    kernel_size: of the convolutions that predict.
    boxes: see BOXES; what the output is decoded with.
    """

    rows: tuple[Row, ...]
    extras: tuple[tuple[int, int, int, int], ...]
    width: int
    kernel_size: int
    boxes: tuple[tuple[float, float], ...]

    def encoder(self, in_chans: int) -> Encoder:
        """PeleeEncoder."""
        return PeleeEncoder(self.rows, in_chans)

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> Head | DenseHead:
        """PeleeHead; it has no dropout."""
        sides = [(least / SIZE, greatest / SIZE) for least, greatest in self.boxes]
        head = PeleeHead((channels[-2], channels[-1]), self.extras, self.width, self.kernel_size, sides)
        head.reset(num_classes)
        return head


def pelee(boxes: Literal["voc", "coco"] = "voc", kernel_size: int = 1) -> PlainSpec:
    """Section 3 of the paper: which table of boxes, and the kernel of the predictions (1 is the paper's, 3 slower).

    Raises:
        BadInput: the kernel has no middle.
    """
    if kernel_size % 2 == 0:
        raise BadInput(f"kernel_size {kernel_size} cannot be had; choose an odd number")
    return Pelee(
        trunk(32, 32, ceil=True),
        EXTRAS,
        width=256,
        kernel_size=kernel_size,
        boxes=BOXES[boxes],
        init="caffe",
        bn_momentum=0.001,
        sides=Sides(least=257),  # 9 x 9 pixels of the last stage become 5 x 5, 3 x 3, 1 x 1
    )


VARIANTS = {
    "peleenet": Variant(peleenet, published="peleenet"),
    "pelee_voc": Variant(
        pelee,
        published="pelee_voc_304",
        input_size=SIZE,
        num_classes=21,
        task="detect",
        note="20 classes and background",
    ),
    "pelee_coco": Variant(
        pelee,
        {"boxes": "coco"},
        published="pelee_coco_304",
        input_size=SIZE,
        num_classes=81,
        task="detect",
        note="80 classes and background; no prototxt of it was released, its widths follow from the authors' builder",
    ),
}
