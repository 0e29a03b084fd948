"""One operation at several resolutions, on maps of one size: FBNetV2 (arXiv:2004.05565, section 3.2).

A lower resolution reads a subset of the pixels and writes its results to a subset, with zeros between, so that every
value stays at its place in the image.  Maps are square.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def places(side: int, full: int, device: torch.device | None = None) -> Tensor:
    """Which of `full` rows a map of `side` rows has: floor(i * full / side)."""
    return torch.arange(side, device=device) * full // side


def subsampled(x: Tensor, side: int) -> Tensor:
    """The nearest pixels: (N, C, H, H) -> (N, C, side, side)."""
    full = x.shape[-1]
    if side == full:
        return x
    kept = places(side, full, x.device)
    return x.index_select(2, kept).index_select(3, kept)


def dispersed(y: Tensor, full: int) -> Tensor:
    """The pixels at their places, zeros between: (N, C, h, h) -> (N, C, full, full)."""
    side = y.shape[-1]
    if side == full:
        return y
    kept = places(side, full, y.device)
    out = y.new_zeros(*y.shape[:2], full, full)
    out[:, :, kept[:, None], kept] = y
    return out


def at_sides(op: Callable[[Tensor], Tensor], x: Tensor, gates: Tensor, sides: Sequence[int], stride: int) -> Tensor:
    """sum_i g_i disperse(op(subsample(x, side_i))): (N, C, H, H) -> (N, O, H / stride, H / stride).

    The operation pads each map at its own border, and squeeze-and-excitation averages its own pixels.

    Args:
        sides: what each option's map measures here, at most H.
    """
    full = -(-x.shape[-1] // stride)
    parts = [gate * dispersed(op(subsampled(x, side)), full) for gate, side in zip(gates, sides, strict=True)]
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
