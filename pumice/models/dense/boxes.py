"""What detectors with prior boxes share: the rows of their output, and the boxes as data.

An output (N, boxes, 4 + classes) has 4 offsets from a prior box, then a logit for every class, the background first.
Priors are ordered by level, row, column, box; `prior_boxes` describes them in JSON values, from which
`pumice.tasks.detect.priors` makes the boxes.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

VARIANCES = (0.1, 0.2)  # of centres and of sides: what offsets are divided by when they are learnt


def rows_of(x: Tensor, values: int) -> Tensor:
    """(N, A * values, H, W) -> (N, H * W * A, values)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


def six(least: Sequence[float], greatest: Sequence[float]) -> list[list[float]]:
    """SSD's six boxes [width, height] of a place, from a least and a greatest (width, height).

    The least, the geometric mean of both, and the least with its width 2, 1 / 2, 3 and 1 / 3 times its height.
    """
    w, h = least
    boxes = [[w, h], [math.sqrt(w * greatest[0]), math.sqrt(h * greatest[1])]]
    for aspect in (math.sqrt(2), math.sqrt(3)):
        boxes += [[w * aspect, h / aspect], [w / aspect, h * aspect]]
    return boxes


def level(
    grid: tuple[int, int], boxes: list[list[float]], step: tuple[float, float] | None = None
) -> dict[str, list[Any]]:
    """A map that predicts.  Sides are fractions of the input's.

    grid: its height and width, pixels.
    boxes: [width, height] of each box around the middle of a pixel.
    step: between the middles of neighbours, down and right; None spreads the pixels over the whole input.
    """
    down, right = (1 / grid[0], 1 / grid[1]) if step is None else step
    return {"grid": list(grid), "step": [down, right], "boxes": boxes}


def prior_boxes(
    levels: list[dict[str, list[Any]]],
    *,
    clip: bool = False,
    match: float = 0.5,
    score: float = 0.01,
    nms: float = 0.45,
    candidates: int = 400,
    keep: int = 200,
) -> dict[str, Any]:
    """`Manifest.decode` of a detector with prior boxes: the boxes, and how its authors match and choose.

    clip: no box has a side beyond the input's.
    match: IoU from which on a prior learns an object.
    score, nms: below that score, and above that IoU with a better one of its class, a detection is dropped.
    candidates: of each class, the best so many enter the suppression.  keep: the best so many of an image stay.
    """
    return {
        **{"levels": levels, "variances": list(VARIANCES), "clip": clip, "match": match},
        **{"score": score, "nms": nms, "candidates": candidates, "keep": keep},
    }
