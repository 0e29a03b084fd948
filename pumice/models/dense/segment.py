"""What the heads of segmentation have in common: the task, their input, and how the backbone's last stage ends.

From the authors of MobileNetV2 and V3: Sandler et al., CVPR 2018, section 6.3; Howard et al., ICCV 2019, section 6.4,
and their DeepLab code (github.com/tensorflow/models, research/deeplab).
"""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from torch import nn

from pumice.errors import BadInput
from pumice.models.dense.plan import HeadPlan, Tap, nearest_map
from pumice.models.heads import PoolLinear
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Task


@dataclass(frozen=True)
class SegmentPlan(HeadPlan):
    """A head that reads the last map, at a sixteenth of the image where the user says nothing else."""

    task: ClassVar[Task] = "segment"
    input_size: ClassVar[tuple[int, int]] = (512, 1024)
    num_classes: ClassVar[int] = 19
    output_stride: ClassVar[int] = 16

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last."""
        return (len(reductions) - 1,)

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """Without the convolution before the classifier."""
        return super().taps(without_classifiers_conv(spec))


@dataclass(frozen=True)
class ReducedPlan(SegmentPlan):
    """A head of the MobileNets' papers.

    rf2: the paper's "RF2": the last stage has half as many filters.
    """

    rf2: bool = False

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        """With half the filters at the end if so asked."""
        return super().taps(halved(spec) if self.rf2 else spec)


def eighth_and_last(reductions: tuple[int, ...]) -> tuple[int, int]:
    """Of a backbone's maps the last at an eighth of the image (else the last finer one), and the last of all.

    Raises:
        BadInput: there is but one.
    """
    if len(reductions) < 2:
        raise BadInput("this head reads two maps, and the backbone has one; choose another backbone")
    return nearest_map(reductions[:-1], 8), len(reductions) - 1


def without_classifiers_conv(spec: NetSpec) -> NetSpec:
    """Less a last 1 x 1 convolution that a linear classifier reads: MobileNetV2's 1280 channels, no map of DeepLab's.

    A net whose head has a hidden layer (MobileNetV3) keeps its last convolution: it belongs to the trunk there.
    """
    last = spec.rows[-1]
    if isinstance(last, Conv) and last.kernel_size == 1 and isinstance(spec.head, PoolLinear):
        return replace(spec, rows=spec.rows[:-1])
    return spec


def halved(spec: NetSpec) -> NetSpec:
    """The rows from the last stride on with half their output channels, and half their expansion where it is a width.

    As DeepLab's code has V3-Large: 672, 960, 960 become 336, 480, 480.  Where the expansion is a ratio (MobileNetV2)
    the first of these rows keeps what its whole input gives; parameters of the paper's table fit so to 1 %.

    Raises:
        BadInput: a row has no such widths.
    """
    first = max((i for i, row in enumerate(spec.rows) if row.stride > 1), default=0)
    return replace(spec, rows=(*spec.rows[:first], *(_half(row) for row in spec.rows[first:])))


def _half(row: Row) -> Row:
    names = {f.name for f in fields(row)} & {"hidden", "out_channels"}
    if "out_channels" not in names:
        raise BadInput(f"rf2 halves output channels, which {type(row).__name__} of this backbone lacks; leave it out")
    changes: dict[str, Any] = {name: make_divisible(getattr(row, name) / 2) for name in names}
    return replace(row, **changes)


def classifier(in_channels: int, num_classes: int) -> nn.Conv2d:
    """The 1 x 1 convolution to the classes, N(0, 0.01) as DeepLab's, bias 0.

    Raises:
        BadInput: no classes.
    """
    if num_classes < 1:
        raise BadInput(f"a net to segment needs at least 1 class, not {num_classes}")
    conv = nn.Conv2d(in_channels, num_classes, 1)
    nn.init.normal_(conv.weight, 0.0, 0.01)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # which it has
    return conv
