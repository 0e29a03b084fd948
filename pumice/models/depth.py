"""The depth multiplier of EfficientNet (arXiv:1905.11946), in timm's form for stages of several kinds of row; for the
families that have none of their own too."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch

from pumice.errors import BadInput
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.spec import NetSpec


def deepened(repeats: Sequence[int], depth: float) -> list[int]:
    """How often each kind of row stands in a stage `depth` times as deep: the stage's total rounds up.

    One kind gets ceil(repeats * depth), which is EfficientNet's rule.  Several share the total in proportion, the last
    kind first, each at least once, as timm shares it.

    >>> deepened([3], 1.2), deepened([1, 3], 1.2)
    ([4], [1, 4])
    """
    left = sum(repeats)
    target = math.ceil(left * depth)
    result: list[int] = []
    for n in reversed(repeats):
        result.insert(0, max(1, round(n / left * target)))
        left, target = left - n, target - result[0]
    return result


def deeper(spec: NetSpec, depth: float) -> NetSpec:
    """A chain whose stages are `depth` times as deep.

    A stage is a row that changes width or resolution, and the rows behind it that do neither; plain convolutions and
    pools, such as stem and last layer, are in none.  The row that changes the resolution does so once.

    Of the kinds of row in a stage, one that stands alone where the shape changes stays alone; others share the rest.

    Raises:
        BadInput: no row can stand twice, as where a row is a whole dense stage.
    """
    stages: list[list[Row]] = []
    widths: list[int] = []  # of each stage
    width = 0  # of the image, whose channels no row of a stage sees
    for row in spec.rows:
        before, width = width, row.width(width)
        joins = row.stride == 1 and width == before and bool(stages) and _repeats(stages[-1][-1], width)
        if not joins or not _repeats(row, width):
            stages.append([])
            widths.append(width)
        stages[-1].append(row)
    rows: list[Row] = []
    deep = False
    for stage, width in zip(stages, widths, strict=True):
        if not _repeats(stage[0], width):
            rows += stage
            continue
        deep = True
        kinds = [list(same) for _, same in groupby(stage, key=lambda row: row.dilated(row.dilation, stride=1))]
        total = math.ceil(len(stage) * depth)
        if len(kinds) > 1 and len(kinds[0]) == 1:  # a row of its own that changes the shape, often one that only can
            rows += kinds.pop(0)
            total -= 1
        counts = [len(kind) for kind in kinds]
        for kind, count in zip(kinds, deepened(counts, total / sum(counts)), strict=True):
            rows += [kind[0], *[kind[0].dilated(kind[0].dilation, stride=1)] * (count - 1)]
    if not deep:
        raise BadInput("this net has no rows that can stand twice, so it has no depth; scale its width and its input")
    return replace(spec, rows=tuple(rows))


def _repeats(row: Row, width: int) -> bool:
    """Whether the row, without its stride, may follow itself at that width: one that names it, and can be built so."""
    again = row.dilated(row.dilation, stride=1)
    if isinstance(row, Conv | MaxPool) or not hasattr(row, "out_channels") or again.width(width) != width:
        return False
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            again.build(width)
    except (ValueError, RuntimeError, IndexError):  # of group numbers that do not divide it, say
        return False
    return True
