"""ESPNetV2: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional Neural
Network", CVPR 2019, arXiv:1811.11431.

From the paper: the EESP units, depths and widths (table 1).
From the authors' code (github.com/sacmehta/ESPNetv2, and EdgeNets, which replaces it): the dilations of each level, the
rule of the widths, groups and a PReLU of one slope a channel; the decoder and the detector are in `espnet_v2_heads.py`.
Where paper and code differ, the code runs: the strided unit at 1/32 does not see the image when it classifies (the
code has the layers, but never calls them; `image_at_32=True` does, as pytorchcv's net and the detector).
Where silent: at widths that the code cannot build, because 4 groups do not divide, levels are rounded to what divides.
Ours: the classifier starts at N(0, 0.01), the code's at N(0, 0.001).
"""

import math
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.espnet_v2_heads import DetectionHead, SegmentationHead
from pumice.models.heads import DenseHead, Head, PoolLinear
from pumice.models.sides import Sides
from pumice.models.spec import Encoder, PlainSpec, Variant
from pumice.nn.conv import ConvNormAct
from pumice.nn.eesp import EESP, StridedEESP

# Branch k sees 2 d_k + 1 pixels; what exceeds a level's limit (13, 11, 9, 7, 5 in the code) falls back to d = 1.
# fmt: off
DILATIONS = {  # level: strided unit, units after it, how many
    2: ((1, 2, 3, 4), (),           0),
    3: ((1, 2, 3, 4), (1, 2, 3, 4), 3),
    4: ((1, 2, 3, 4), (1, 1, 2, 3), 7),
    5: ((1, 1, 2, 3), (1, 1, 1, 2), 3),
}
# fmt: on
GROUPS = 4
FIRST = 32  # channels at 1/2, at most


def widths_at(width: float) -> tuple[int, ...]:
    """Channels of levels 1 to 5, and of the last convolution.

    The code: b = 32 width, rounded up to 4; levels min(32, b), 2b, 4b, 8b, 16b.  Both a unit's branches and its width
    must divide by 4, so it can only build b = 16 and multiples of 8 from 32 on; ours rounds to the nearest of those.
    Between 16 and 32, b = 24 takes 16 channels at level 1 (our choice).

    Raises:
        BadInput: a width that the code does not have either.
    """
    if not 0.5 <= width <= 2.0:
        raise BadInput(f"ESPNetV2's width must be from 0.5 to 2.0, not {width}; its groups divide no narrower maps")
    b = math.floor(FIRST * width / 8 + 0.5) * 8
    return min(FIRST, b // 16 * 16), 2 * b, 4 * b, 8 * b, 16 * b, 1024 if width <= 1.5 else 1280


def level(number: int, channels: int, hff: bool) -> nn.Sequential:
    """The units after the strided one."""
    _, dilations, repeats = DILATIONS[number]
    return nn.Sequential(*[EESP(channels, channels, dilations, hff=hff) for _ in range(repeats)])


class ESPNetV2Encoder(Encoder):
    """(N, C, H, W) -> maps at 1/2 to 1/16, or to 1/32; image i_k is the mean over 3 x 3 of i_(k-1), stride 2.

    f_1 = conv_3x3,2(i_0)
    f_k = EESPs_k(StridedEESP_k(f_(k-1), i_k))                              k = 2, 3, 4
    f_5 = conv_1x1(depthwise_3x3(EESPs_5(StridedEESP_5(f_4))))              if `deep`; it sees i_5 if `image_at_32`
    """

    def __init__(self, in_chans: int, width: float, hff: bool, *, deep: bool, image_at_32: bool = False) -> None:
        super().__init__()
        c1, c2, c3, c4, c5, last = widths_at(width)
        i = in_chans
        self.channels = (c1, c2, c3, c4, last) if deep else (c1, c2, c3, c4)
        self.reductions = (2, 4, 8, 16, 32) if deep else (2, 4, 8, 16)
        self.deep, self.image_at_32 = deep, image_at_32
        self.shrink = nn.AvgPool2d(3, 2, 1)
        self.level1 = ConvNormAct(in_chans, c1, 3, 2, act="PR")
        self.down2 = StridedEESP(c1, c2, DILATIONS[2][0], i, hff=hff)
        self.down3 = StridedEESP(c2, c3, DILATIONS[3][0], i, hff=hff)
        self.level3 = level(3, c3, hff)
        self.down4 = StridedEESP(c3, c4, DILATIONS[4][0], i, hff=hff)
        self.level4 = level(4, c4, hff)
        if deep:
            self.down5 = StridedEESP(c4, c5, DILATIONS[5][0], i if image_at_32 else 0, hff=hff)
            self.level5 = level(5, c5, hff)
            self.expand = nn.Sequential(
                ConvNormAct(c5, c5, 3, groups=c5, act="PR"), ConvNormAct(c5, last, groups=GROUPS, act="PR")
            )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> maps, finest first."""
        i2 = self.shrink(self.shrink(x))
        i3 = self.shrink(i2)
        i4 = self.shrink(i3)
        f1 = self.level1(x)
        f2 = self.down2(f1, i2)
        f3 = self.level3(self.down3(f2, i3))
        f4 = self.level4(self.down4(f3, i4))
        if not self.deep:
            return [f1, f2, f3, f4]
        f5 = self.level5(self.down5(f4, self.shrink(i4) if self.image_at_32 else None))
        return [f1, f2, f3, f4, self.expand(f5)]


@dataclass(frozen=True)
class Classification(PlainSpec):
    """Encoder to 1/32, pool, dropout, linear."""

    width: float
    hff: bool
    image_at_32: bool

    def encoder(self, in_chans: int) -> Encoder:
        """Five levels."""
        return ESPNetV2Encoder(in_chans, self.width, self.hff, deep=True, image_at_32=self.image_at_32)

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> Head:
        """PoolLinearHead."""
        return PoolLinear(drop_rate=0.2).build(channels[-1], num_classes, drop_rate)


@dataclass(frozen=True)
class Segmentation(PlainSpec):
    """Encoder to 1/16, pyramid decoder."""

    width: float
    base: int
    hff: bool
    sides: Sides = field(default=Sides(multiple=16, least=16), kw_only=True)  # the decoder doubles each map

    def encoder(self, in_chans: int) -> Encoder:
        """Four levels."""
        return ESPNetV2Encoder(in_chans, self.width, self.hff, deep=False)

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> DenseHead:
        """SegmentationHead."""
        return SegmentationHead(channels, self.base, num_classes)


@dataclass(frozen=True)
class Detection(PlainSpec):
    """Encoder to 1/32, which sees the image there, and SSD's heads on six maps."""

    width: float
    hff: bool

    def encoder(self, in_chans: int) -> Encoder:
        """Five levels."""
        return ESPNetV2Encoder(in_chans, self.width, self.hff, deep=True, image_at_32=True)

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> DenseHead:
        """DetectionHead."""
        return DetectionHead(channels, num_classes)


def classification(width: float = 1.0, hff: bool = True, image_at_32: bool = False) -> Classification:
    """Table 1.  hff: False shows gridding.  image_at_32: the strided unit at 1/32 sees the image too."""
    widths_at(width)
    return Classification(width, hff, image_at_32, init="full_fan_out")


def segmentation(width: float = 1.0, decoder_base: int = 16, hff: bool = True) -> Segmentation:
    """decoder_base: the decoder's maps are 4, 3 and 2 times as wide; 16 for Cityscapes and VOC, 32 for COCO.

    Raises:
        BadInput: a decoder of no channels.
    """
    widths_at(width)
    if decoder_base < 1:
        raise BadInput(f"decoder_base must be from 1 on, not {decoder_base}")
    return Segmentation(width, decoder_base, hff, init="full_fan_out")


def detection(width: float = 2.0, hff: bool = True) -> Detection:
    """The detector, published at width 2.0; its starting weights are Xavier's, as the code says they must."""
    widths_at(width)
    return Detection(width, hff, init="squeezenet")


PEER = (
    "the published multiply-adds leave out the linear layer, the published parameters count tensors that nothing "
    "reads; pytorchcv's net shows the image to the last strided unit too: image_at_32=True"
)
DECODER = "the decoder of the authors' EdgeNets, whose released weights fit; 20 classes of Cityscapes"
BOXES = "the detector of the authors' EdgeNets; boxes are offsets from its 11,640 priors at 300 x 300, not decoded"
cityscapes = partial(
    Variant, segmentation, input_size=(512, 1024), num_classes=20, task="segment", note=DECODER
)  # 19 classes and the rest
ssd = partial(Variant, detection, {}, input_size=300, task="detect", status="optional", note=BOXES)

VARIANTS = {
    "espnetv2_050": Variant(classification, {"width": 0.5}, published="espnetv2_s_0.5", note=PEER),
    "espnetv2_100": Variant(classification, {"width": 1.0}, published="espnetv2_s_1.0", note=PEER),
    "espnetv2_125": Variant(classification, {"width": 1.25}, published="espnetv2_s_1.25", note=PEER),
    "espnetv2_150": Variant(classification, {"width": 1.5}, published="espnetv2_s_1.5", note=PEER),
    "espnetv2_200": Variant(classification, {"width": 2.0}, published="espnetv2_s_2.0", note=PEER),
    "espnetv2_seg_050": cityscapes({"width": 0.5}, published="espnetv2_seg_s_0.5_city_512x1024"),
    "espnetv2_seg_100": cityscapes({"width": 1.0}, published="espnetv2_seg_s_1.0_city_512x1024"),
    "espnetv2_seg_150": cityscapes({"width": 1.5}, published="espnetv2_seg_s_1.5_city_512x1024"),
    "espnetv2_seg_200": cityscapes({"width": 2.0}, published="espnetv2_seg_s_2.0_city_512x1024"),
    "espnetv2_ssd_200_voc": ssd(num_classes=21, published="espnetv2_ssd_s_2.0_voc07_300"),
    "espnetv2_ssd_200_coco": ssd(num_classes=81, published="espnetv2_ssd_s_2.0_coco_300"),
}
