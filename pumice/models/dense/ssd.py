"""SSD and SSDLite: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, arXiv:1512.02325, on any backbone as
Sandler et al., "MobileNetV2", CVPR 2018, arXiv:1801.04381 (6.2) and Howard et al., "Searching for MobileNetV3",
ICCV 2019, arXiv:1905.02244 (6.3) have it.

From the papers: C4 is the expansion of the first block at stride 32, C5 the last map; SSDLite's depthwise heads and
extra layers; halved last stages ("reduced", the '+' of MobileNetV3's table 6).
From the authors' code (TensorFlow's object detection): widths and form of the extra layers, which scale as int(d * m)
and never below 16; three boxes a place on the first map; scales; ReLU6; weights from N(0, 0.03).
Where silent: other backbones.  One whose stride-32 stage does not begin with an expansion gives its last map before it.
The thresholds of decoding are SSD's for the plain head, torchvision's for SSDLite.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.boxes import level, prior_boxes, rows_of, six
from pumice.models.dense.plan import HeadPlan, Tap
from pumice.models.heads import DenseHead
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Task
from pumice.nn.conv import ConvNormAct
from pumice.nn.inverted_residual import InvertedResidual

EXTRAS = (512, 256, 256, 128)  # widths of the maps after the backbone's two
LEAST_WIDTH = 16
LAST_SCALE = 0.95  # of the last map's boxes, shares of the input's sides
NO_TAIL = "reduced halves the last blocks of a chain of inverted residuals, which this backbone is not; leave it out"
UNSCALED = 1280  # MobileNetV2's and MnasNet's last convolution, which classifiers leave as wide in narrow nets


class Extra(nn.Sequential):
    """A map of half the size.  (N, C, H, W) -> (N, O, ceil(H / 2), ceil(W / 2)), each conv-norm-ReLU6.

    lite:  conv_1x1(depthwise_3x3,2(conv_1x1(x)))    C -> O / 2 -> O / 2 -> O
    else:  conv_3x3,2(conv_1x1(x))                   C -> O / 2 -> O
    """

    def __init__(self, in_channels: int, out_channels: int, lite: bool) -> None:
        c, half, o = in_channels, out_channels // 2, out_channels
        layers = [ConvNormAct(c, half, act="R6")]
        if lite:
            layers += [ConvNormAct(half, half, 3, 2, groups=half, act="R6"), ConvNormAct(half, o, act="R6")]
        else:
            layers += [ConvNormAct(half, o, 3, 2, act="R6")]
        super().__init__(*layers)


class SSDHead(DenseHead):
    """Six maps that predict, two of the backbone and four extra ones -> (N, boxes, 4 + classes).

    boxes: at each place of each map.
    lite: predictors are conv_1x1(ReLU6(norm(depthwise_3x3(x)))), not conv_kxk(x); both have a bias.
    kernel_size: k.
    first_scale: of the first map's boxes.
    """

    classifier: nn.ModuleList

    def __init__(
        self,
        channels: tuple[int, int],
        extras: tuple[int, ...],
        boxes: tuple[int, ...],
        num_classes: int,
        *,
        lite: bool,
        kernel_size: int = 3,
        first_scale: float = 0.2,
    ) -> None:
        super().__init__()
        self.first_scale = first_scale
        self.widths, self.each, self.lite, self.kernel_size = (*channels, *extras), boxes, lite, kernel_size
        pairs = zip(self.widths[1:], extras, strict=False)
        self.extras = nn.ModuleList(Extra(before, out, lite) for before, out in pairs)
        self.boxes = self.predictors(4)
        start(self.extras)
        self.reset(num_classes)

    def predictors(self, values: int) -> nn.ModuleList:
        """A predictor for each map, of so many values a box."""
        made: list[nn.Module] = []
        for c, boxes in zip(self.widths, self.each, strict=True):
            if self.lite:
                made.append(nn.Sequential(ConvNormAct(c, c, 3, groups=c, act="R6"), nn.Conv2d(c, boxes * values, 1)))
            else:
                k = self.kernel_size
                made.append(nn.Conv2d(c, boxes * values, k, padding=k // 2))
        predictors = nn.ModuleList(made)
        start(predictors)
        return predictors

    def reset(self, num_classes: int) -> None:
        """New predictors of the logits.

        Raises:
            BadInput: there is no class beside the background.
        """
        if num_classes < 2:
            raise BadInput(f"a detector cannot have {num_classes} classes; the background is one, so give at least 2")
        self.num_classes = num_classes
        self.classifier = self.predictors(num_classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """C4 and C5 -> (N, boxes, 4 + classes)."""
        maps = list(maps)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        boxes = [rows_of(conv(x), 4) for conv, x in zip(self.boxes, maps, strict=True)]
        logits = [rows_of(conv(x), self.num_classes) for conv, x in zip(self.classifier, maps, strict=True)]
        return torch.cat((torch.cat(boxes, dim=1), torch.cat(logits, dim=1)), dim=2)

    def decoding_on(self, maps: Sequence[tuple[int, int]], height: int, width: int) -> dict[str, Any]:
        """The scales rise evenly from map to map; above a map's own stands the geometric mean with the next."""
        grids = list(maps)
        for _ in self.extras:
            grids.append((math.ceil(grids[-1][0] / 2), math.ceil(grids[-1][1] / 2)))
        step = (LAST_SCALE - self.first_scale) / (len(grids) - 1)
        scales = [self.first_scale + step * i for i in range(len(grids))] + [1.0]
        levels = []
        for grid, scale, following, count in zip(grids, scales[:-1], scales[1:], self.each, strict=True):
            boxes = six((scale, scale), (following, following)) if count == 6 else three(scale)
            levels.append(level(grid, boxes))
        chosen: dict[str, Any] = {"score": 0.001, "nms": 0.55, "candidates": 300, "keep": 300} if self.lite else {}
        return prior_boxes(levels, clip=True, **chosen)


def three(scale: float) -> list[list[float]]:
    """Of the finest map: a square of half the scale, and twice as wide as high, and as high as wide, of the scale."""
    aspect = math.sqrt(2)
    return [[scale / 2, scale / 2], [scale * aspect, scale / aspect], [scale / aspect, scale * aspect]]


def start(layers: nn.Module) -> None:
    """Convolutions N(0, 0.03), biases 0; norms have started as torch starts them."""
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.03)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@dataclass(frozen=True)
class SSDLite(HeadPlan):
    """Depthwise separable convolutions.

    reduced: halve the outputs of the stage at stride 32 and of the last convolution (MobileNetV3's '+').
    multiplier: of the extra layers' widths, and of a last convolution of 1280; the papers give it the backbone's width
        below 1.
    first_boxes: at each place of the first map; the papers' 3, or 6, which torchvision has.
    first_scale: of the first map's boxes, a share of the input's sides; less than the papers' 0.2 for small objects,
        then with 6 boxes, so that no gap opens before the next map's.
    """

    reduced: bool = False
    multiplier: float = 1.0
    first_boxes: Literal[3, 6] = 3
    first_scale: float = 0.2

    task: ClassVar[Task] = "detect"
    input_size: ClassVar[tuple[int, int]] = (320, 320)
    num_classes: ClassVar[int] = 91  # COCO's 90 numbers and the background

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last two maps."""
        if self.reduced:
            raise BadInput(NO_TAIL)
        if len(reductions) < 2:
            raise BadInput("a detector needs two maps of its backbone, which has one; choose another backbone")
        return len(reductions) - 2, len(reductions) - 1

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """C4 and C5; the rows changed as the options say."""
        reductions = spec.reductions()
        last = len(spec.rows) - 1
        first = next(i for i in range(len(spec.rows)) if reductions[i] == reductions[last])
        if first == 0:
            raise BadInput("a detector needs two maps of its backbone, which has one; choose another backbone")
        rows = list(spec.rows)
        if self.reduced:
            rows[first:] = halved(rows[first:])
        if self.multiplier < 1 and isinstance(end := rows[last], Conv) and end.out_channels == UNSCALED:
            rows[last] = replace(end, out_channels=make_divisible(UNSCALED * self.multiplier))
        c4 = Tap(first, "expand") if expands(rows, first) else Tap(first - 1)
        return replace(spec, rows=tuple(rows)), (c4, Tap(last))

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """SSDHead; it has no dropout."""
        return self.predicting(channels, num_classes, lite=True)

    def predicting(self, channels: tuple[int, ...], num_classes: int, **form: Any) -> SSDHead:
        """The head on C4 and C5; `form` as SSDHead takes it.

        Raises:
            BadInput: another number of boxes, or a scale beyond the last map's.
        """
        if self.first_boxes not in (3, 6):
            raise BadInput(f"first_boxes must be 3 or 6, not {self.first_boxes}")
        if self.first_scale >= LAST_SCALE:
            raise BadInput(f"first_scale must be below {LAST_SCALE}, not {self.first_scale}")
        extras = tuple(max(LEAST_WIDTH, int(d * self.multiplier)) for d in EXTRAS)
        boxes = (self.first_boxes, *[6] * (1 + len(extras)))
        form["first_scale"] = self.first_scale
        return SSDHead((channels[0], channels[1]), extras, boxes, num_classes, **form)


@dataclass(frozen=True)
class SSD(SSDLite):
    """Plain convolutions.

    kernel_size: of those that predict: SSD's 3, or 1, which the net of MobileNetV1's table 13 has.
    """

    kernel_size: Literal[1, 3] = 3

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """SSDHead; it has no dropout."""
        if self.kernel_size not in (1, 3):
            raise BadInput(f"kernel_size must be 1 or 3, not {self.kernel_size}")
        return self.predicting(channels, num_classes, lite=False, kernel_size=self.kernel_size)


def expands(rows: Sequence[Row], index: int) -> bool:
    """Whether this row is an inverted residual with an expansion."""
    width = 3
    for row in rows[:index]:
        width = row.width(width)
    with torch.device("meta"):
        block = rows[index].build(width)
    return isinstance(block, InvertedResidual) and isinstance(block.expand, ConvNormAct)


def halved(rows: Sequence[Row]) -> list[Row]:
    """Half the outputs of a stage; its first block keeps its expansion, the later ones follow the narrower maps.

    Raises:
        BadInput: a row is neither an inverted residual nor a plain convolution.
    """
    result: list[Row] = []
    for i, row in enumerate(rows):
        names = {field.name for field in fields(row)}
        if not (isinstance(row, Conv) or ("out_channels" in names and names & {"hidden", "expand"})):
            raise BadInput(NO_TAIL)
        narrowed = ["out_channels", *(["hidden"] if i and "hidden" in names else [])]
        result.append(replace(row, **{name: make_divisible(getattr(row, name) / 2) for name in narrowed}))
    return result
