"""Averages over large maps, in two steps: windows first, then the windows' averages.

XNNPACK and ncnn add up a map number by number, and a sum of n numbers in single precision is off by up to n roundings:
over 300 x 300 pixels 2e-6 to 1e-5 of the average, which the layers of a deep network multiply.  In two steps of the
square root each it is a tenth of that, in the same time (docs/log.md).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pumice.deploy.instead import Instead

LARGE = 1024
"""Pixels from which on a map is averaged in two steps; below, what is gained is not more than one rounding."""


class InSteps(Instead):
    """What runs inside averages large maps in two steps; everything else is computed as it is written."""

    def __init__(self) -> None:
        super().__init__(AVERAGES)


def _adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor | None:
    if output_size not in (1, (1, 1), [1, 1]):
        return None
    windows = _windows(x)
    return None if windows is None else F.adaptive_avg_pool2d(windows, 1)


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor | None:
    if kwargs or not isinstance(dim, tuple | list) or x.ndim != 4 or sorted(d % 4 for d in dim) != [2, 3]:
        return None
    windows = _windows(x)
    return None if windows is None else torch.mean(windows, dim, keepdim)


def _windows(x: Tensor) -> Tensor | None:
    """Averages of equal windows; None where the map is small or has none."""
    if x.ndim not in (3, 4):
        return None
    height, width = (int(side) for side in x.shape[-2:])
    window = (_divisor(height), _divisor(width))
    if height * width < LARGE or window == (1, 1):
        return None
    return F.avg_pool2d(x, window)


def _divisor(side: int) -> int:
    """The largest divisor that is not above the square root."""
    return max(d for d in range(1, math.isqrt(side) + 1) if side % d == 0)


AVERAGES: dict[Any, Callable[..., Tensor | None]] = {
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    torch.mean: _mean,
    Tensor.mean: _mean,
}
"""What averages -> the same in two steps, or None where it stays as it is."""
