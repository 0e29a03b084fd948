"""Ten units of four families (ShuffleNetV2, arXiv:1807.11164, appendix, table 1b), at equal multiply-adds.

From the paper: the sizes, the widths of ShuffleNetV2's unit and all figures.
Where the paper is silent: the widths of the other units.  They cannot be the same (MobileNetV2's would then do 22 times
the work in 1.3 times the time), so here each has the width whose multiply-adds are nearest to those of ShuffleNetV2's;
MobileNetV2's expands 6 times, ShuffleNetV1's has 3 groups, and Xception's is that with one group and no shuffle, which
ShuffleNetV1's paper calls Xception-like.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from pumice.cost.guidelines.experiment import Case, Column, Experiment, Widths, against_first
from pumice.cost.guidelines.stack import nearest_width, stack
from pumice.models import shufflenet_v1, shufflenet_v2_units
from pumice.nn.inverted_residual import InvertedResidual

CHANNELS = (64, 128, 256)
# fmt: off
FIGURES = {  # side -> unit -> GPU in batches/s and ARM in images/s at 64, 128, 256 channels of ShuffleNetV2's unit
    56: {
        "ShuffleNetV2": ((216, 142,  81), (34.8, 12.3, 3.9)),
        "ShuffleNetV1": ((127,  73,  45), (24.3,  9.4, 3.0)),
        "MobileNetV2":  (( 89, 125,  69), (25.8, 10.0, 3.0)),
        "Xception":     ((185,  52,  68), (27.0,  9.7, 3.1)),
    },
    28: {
        "ShuffleNetV2": ((407, 313, 237), (174.5, 53.4, 16.6)),
        "ShuffleNetV1": ((298, 222,  60), (139.7, 43.9, 13.2)),
        "MobileNetV2":  ((381, 286, 189), (118.3, 46.2, 13.3)),
        "Xception":     ((254, 238, 169), (117.0, 45.8, 14.0)),
    },
}
# fmt: on


def _shufflenet_v2(c: int) -> nn.Module:
    return shufflenet_v2_units.Unit(c, c // 2, 1, down=False).build(c)


def _shufflenet_v1(c: int, groups: int) -> nn.Module:
    return shufflenet_v1.Unit(c, 1, groups, groups, False, False, groups > 1, "official").build(c)


def _mobilenet_v2(c: int) -> nn.Module:
    return InvertedResidual(c, 6 * c, c, 3, act="R6")


@dataclass(frozen=True)
class Kind:
    """A unit of any width.  madds: of one pixel, given the width.  step: what its width is a multiple of."""

    build: Callable[[int], nn.Module]
    madds: Callable[[int], float]
    step: int


KINDS = {
    "ShuffleNetV2": Kind(_shufflenet_v2, lambda c: 2 * (c / 2) ** 2 + 9 * c / 2, 2),
    "ShuffleNetV1": Kind(partial(_shufflenet_v1, groups=3), lambda c: c * c / 2 / 3 + 9 * c / 4, 12),
    "MobileNetV2": Kind(_mobilenet_v2, lambda c: 12 * c * c + 54 * c, 1),
    "Xception": Kind(partial(_shufflenet_v1, groups=1), lambda c: c * c / 2 + 9 * c / 4, 4),
}


def _column(side: int, index: int) -> Column:
    target = KINDS["ShuffleNetV2"].madds(CHANNELS[index])
    widths = {name: nearest_width(kind.madds, target, kind.step) for name, kind in KINDS.items()}
    cases = tuple(
        Case(name, f"{c}", partial(stack, partial(KINDS[name].build, c)), {"GPU": gpu[index], "ARM": arm[index]})
        for (name, (gpu, arm)), c in zip(FIGURES[side].items(), widths.values(), strict=True)
    )
    sizes = tuple((c, side, side) for c in widths.values())
    return Column(f"c = {CHANNELS[index]}, {side}x{side}", cases, sizes, against_first(cases))


def _columns(widths: Widths) -> tuple[Column, ...]:
    return tuple(_column(side, index) for side in FIGURES for index in range(len(CHANNELS)))


UNITS = Experiment(
    "units",
    "Units of four families",
    "At equal multiply-adds, ten units of ShuffleNetV2 are faster than ten of ShuffleNetV1, MobileNetV2 or Xception.",
    "ShuffleNetV2, arXiv:1807.11164, appendix, table 1b",
    {"GPU": "batches/s", "ARM": "images/s"},
    _columns,
)
