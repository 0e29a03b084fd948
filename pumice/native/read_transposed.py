"""Transposed convolutions, as one convolution for each place of an output pixel between input pixels; pixel shuffles.

With stride s, the rows y, y + s, y + 2 s, .. of the output see the same rows of the kernel: those k for which
y + padding - k dilation is a multiple of s, which is then s times the row of the input that goes with k.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx

from pumice.native.ir import Conv, Floats, Size, Weave
from pumice.native.read import Reader, Value

Given = dict[str, Any]


@dataclass(frozen=True)
class Phase:
    """One dimension of the convolution that makes every s-th row, from the first on.

    taps: which row of the kernel goes with each row of the window; None: none does.
    padding: zeros before the image.
    """

    taps: tuple[int | None, ...]
    padding: int


def phase(first: int, kernel: int, stride: int, padding: int, dilation: int) -> Phase:
    """Of the rows first, first + stride, first + 2 stride, .. of the output."""
    sees = {
        (first + padding - k * dilation) // stride: k
        for k in range(kernel)
        if (first + padding - k * dilation) % stride == 0
    }
    if not sees:
        return Phase((None,), 0)
    begin = min(*sees, 0)  # a window that begins behind the pixel has rows of zeros, for padding cannot be negative
    return Phase(tuple(sees.get(place) for place in range(begin, max(sees) + 1)), -begin)


def transposed(reader: Reader, node: fx.Node, given: Given) -> Value:
    """A transposed convolution, whose weights are (inputs, outputs / groups, rows, columns)."""
    x, weight, bias = given["input"], given["weight"], given["bias"]
    if not isinstance(x, Value) or not isinstance(weight, np.ndarray):
        raise reader.refuse(node, "whose weights are computed")
    if x.size is None and x.shape[-2:] != (1, 1):
        raise reader.refuse(node, "of numbers that are not planes")
    groups: int = given["groups"]
    stride, padding, dilation = (_two(given[key]) for key in ("stride", "padding", "dilation"))
    size, out_size = x.size or (1, 1), tuple(node.meta["shape"][-2:])
    # (inputs, outputs / groups, ..) -> (outputs, inputs / groups, ..)
    grouped = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    weight = np.ascontiguousarray(grouped).reshape(-1, weight.shape[0] // groups, *weight.shape[2:])
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    made_size: Size = (-(-out_size[0] // stride[0]), -(-out_size[1] // stride[1]))
    phases = [
        [phase(first, weight.shape[2 + i], stride[i], padding[i], dilation[i]) for first in range(stride[i])]
        for i in range(2)
    ]
    path, parts = str(node.meta.get("path", "") or node.name), []
    for rows in phases[0]:
        for columns in phases[1]:
            parts.append(reader.fresh(len(weight), made_size))
            around = (rows.padding, columns.padding)
            part = _part(_part(weight, rows.taps, 2), columns.taps, 3)
            planes = x.planes.ravel()
            made = Conv(path, planes, parts[-1], size, made_size, part, bias, groups, padding=around)
            reader.operations.append(made)
    return _woven(reader, node, np.stack(parts, 1).ravel(), made_size, stride)


def _part(weight: Floats, taps: Sequence[int | None], axis: int) -> Floats:
    """Some rows (axis 2) or columns (axis 3) of a kernel, zeros between them."""
    whole = np.concatenate([weight, np.zeros_like(np.take(weight, [0], axis))], axis)
    return np.ascontiguousarray(np.take(whole, [weight.shape[axis] if tap is None else tap for tap in taps], axis))


def _woven(reader: Reader, node: fx.Node, planes: Any, size: Size, factor: Size) -> Value:
    shape = tuple(node.meta["shape"])
    out_size: Size = (shape[-2], shape[-1])
    if factor == (1, 1) and size == out_size:
        out = planes
    else:
        out = reader.fresh(math.prod(shape[:-2]), out_size)
        path = str(node.meta.get("path", "") or node.name)
        reader.operations.append(Weave(path, planes, out, size, out_size, factor))
    return Value(out.reshape(shape)) if out_size == (1, 1) else Value(out.reshape(shape[:-2]), out_size)


def _pixel_shuffle(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    by: int = given["upscale_factor"]
    if x.size is None:
        if x.shape[-2:] != (1, 1):
            raise reader.refuse(node, "of numbers that are not planes")
        x = Value(x.planes[..., 0, 0], (1, 1))
    assert x.size is not None
    return _woven(reader, node, x.planes.ravel(), x.size, (by, by))


def _pixel_unshuffle(reader: Reader, node: fx.Node, given: Given) -> Value:
    """A convolution with as many outputs of each plane as its window has pixels, each of which sees one."""
    x: Value = given["self"]
    by: int = given["downscale_factor"]
    if x.size is None:
        raise reader.refuse(node, "of numbers that are not planes")
    shape, count = tuple(node.meta["shape"]), x.planes.size
    out_size: Size = (shape[-2], shape[-1])
    out = reader.fresh(count * by * by, out_size)
    weight = np.tile(np.eye(by * by, dtype=np.float32), (count, 1)).reshape(-1, 1, by, by)
    bias = np.zeros(len(weight), np.float32)
    path = str(node.meta.get("path", "") or node.name)
    made = Conv(path, x.planes.ravel(), out, x.size, out_size, weight, bias, count, (by, by))
    reader.operations.append(made)
    return Value(out.reshape(shape)) if out_size == (1, 1) else Value(out.reshape(shape[:-2]), out_size)


def _two(value: int | Sequence[int]) -> Size:
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])


TRANSPOSED = {
    "conv_transpose2d": transposed,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
}
