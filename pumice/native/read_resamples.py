"""Operators that make rows of rows and columns of columns: resizing, cutting, reflecting, uneven pooling.

Each is linear, and does the same to all columns and to all rows.  So torch is asked what it makes of every single row
that is one where all others are zero, and the answer is the matrix of the rows; likewise of the columns.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.nn import functional

from pumice.native.ir import Resample, Size, Taps
from pumice.native.read import Reader, Value

Given = dict[str, Any]
Matrix = NDArray[np.float64]
"""(places of the output, places of the input)"""


def taps_of(matrix: Matrix) -> Taps:
    """Of each row what is not zero, as many neighbours in all rows."""
    used = matrix != 0
    first = used.argmax(1)
    last = matrix.shape[1] - used[:, ::-1].argmax(1)
    count = max(int(np.where(used.any(1), last - first, 1).max()), 1)
    places = np.minimum(first, matrix.shape[1] - count)[:, None] + np.arange(count)
    return Taps(places, np.take_along_axis(matrix, places, 1).astype(np.float32))


def resample(reader: Reader, node: fx.Node, x: Value, rows: Matrix, columns: Matrix) -> Value:
    """A tensor of pixels with new rows and columns."""
    same = all(len(part) == part.shape[1] and (part == np.eye(len(part))).all() for part in (rows, columns))
    return x if same else _made(reader, node, x, taps_of(rows), taps_of(columns))


def _made(reader: Reader, node: fx.Node, x: Value, rows: Taps, columns: Taps) -> Value:
    assert x.size is not None
    out_size: Size = (len(rows.places), len(columns.places))
    out = reader.fresh(x.planes.size, out_size)
    path = str(node.meta.get("path", "") or node.name)
    reader.operations.append(Resample(path, x.planes.ravel(), out, x.size, out_size, rows, columns))
    if out_size == (1, 1):
        return Value(out.reshape(*x.planes.shape, 1, 1))
    return Value(out.reshape(x.planes.shape), out_size)


def matrix_of(length: int, does: Callable[[Tensor], Tensor]) -> Matrix:
    """What is made of each row: `does` is given images (1, length, length, 1) in which channel i is one in row i."""
    made = does(torch.eye(length, dtype=torch.float64)[None, :, :, None])
    return np.ascontiguousarray(made[0, :, :, 0].numpy().T)


def pooled(reader: Reader, node: fx.Node, x: Value, given: Given) -> Value:
    """Average pooling whose windows are divided by different counts."""
    assert x.size is not None
    how = {key: given[key] for key in ("ceil_mode", "count_include_pad")}

    def of(length: int, kernel: int, stride: int, padding: int) -> Matrix:
        return matrix_of(length, lambda eye: functional.avg_pool2d(eye, (kernel, 1), (stride, 1), (padding, 0), **how))

    kernel, padding = _two(given["kernel_size"]), _two(given["padding"])
    stride = _two(given["stride"] or kernel)
    rows, columns = (of(x.size[i], kernel[i], stride[i], padding[i]) for i in range(2))
    return resample(reader, node, x, rows, columns)


def adaptive(reader: Reader, node: fx.Node, x: Value, wanted: Size) -> Value:
    """Average pooling to a size that does not divide the image's."""
    assert x.size is not None

    def of(length: int, size: int) -> Matrix:
        return matrix_of(length, lambda eye: functional.adaptive_avg_pool2d(eye, (size, 1)))

    rows, columns = map(of, x.size, wanted)
    return resample(reader, node, x, rows, columns)


def cut(reader: Reader, node: fx.Node, x: Value, dim: int, which: slice) -> Value:
    """Some rows (dim -2) or columns (dim -1)."""
    assert x.size is not None
    last = reader.operations[-1] if reader.operations else None
    if isinstance(last, Resample) and np.array_equal(last.outputs, x.planes.ravel()):
        # Of rows that were just made: they are made alone.  The operation before is dropped if nobody else reads it.
        taps, size = [last.rows, last.columns], last.size
        taps[dim] = Taps(taps[dim].places[which], taps[dim].weights[which])
        return _made(reader, node, Value(last.inputs.reshape(x.planes.shape), size), taps[0], taps[1])
    eyes = [np.eye(length) for length in x.size]
    eyes[dim] = eyes[dim][which]
    return resample(reader, node, x, eyes[0], eyes[1])


def around(reader: Reader, node: fx.Node, x: Value, pads: Sequence[int], mode: str) -> Value:
    """More rows and columns around the image, of zeros or of its own, or fewer.  pads: left, right, top, bottom."""
    assert x.size is not None

    def of(length: int, two: Sequence[int]) -> Matrix:
        return matrix_of(length, lambda eye: functional.pad(eye, (0, 0, *two), mode=mode))

    rows, columns = map(of, x.size, (pads[2:4], pads[:2]))
    return resample(reader, node, x, rows, columns)


def repeated(reader: Reader, node: fx.Node, x: Value, size: Size) -> Value:
    """One row, or one column, again and again."""
    assert x.size is not None
    if any(have not in (1, want) for have, want in zip(x.size, size, strict=True)):
        raise reader.refuse(node, "of images of different sizes")
    rows, columns = (
        np.eye(have) if have == want else np.ones((want, 1)) for have, want in zip(x.size, size, strict=True)
    )
    return resample(reader, node, x, rows, columns)


def averaged(reader: Reader, node: fx.Node, x: Value, dim: int) -> Value:
    """The mean of all rows (dim -2), as one row, or of all columns."""
    assert x.size is not None
    eyes = [np.eye(length) for length in x.size]
    eyes[dim] = np.full((1, x.size[dim]), 1 / x.size[dim])
    return resample(reader, node, x, eyes[0], eyes[1])


def _resize(reader: Reader, node: fx.Node, given: Given) -> Value:
    plain = {key: value for key, value in given.items() if key not in ("input", "self")}
    x: Value = given["input" if "input" in given else "self"]
    size: Size = tuple(node.meta["shape"][-2:])
    if x.size is None:
        if x.shape[-2:] != (1, 1):
            raise reader.refuse(node, "of numbers that are not planes")
        return _enlarged(reader, node, x, size)
    target: Any = node.target
    scales = [given.get("scales_h"), given.get("scales_w")]
    if given.get("scale_factors") is not None:
        scales = list(given["scale_factors"])

    def of(i: int) -> Matrix:
        assert x.size is not None
        how: Given = dict(plain)
        if "scale_factors" in how:
            how["scale_factors"] = None if how["scale_factors"] is None else [scales[i], 1.0]
        else:
            how["scales_h"], how["scales_w"] = scales[i], None
        if how.get("output_size") is not None:
            how["output_size"] = [size[i], 1]
        return matrix_of(x.size[i], lambda eye: target(eye, **how))

    return resample(reader, node, x, of(0), of(1))


def _enlarged(reader: Reader, node: fx.Node, x: Value, size: Size) -> Value:
    """Of one pixel, every way of resizing makes copies."""
    from pumice.native.read_moves import spread_over

    if math.prod(size) == 1:
        return x
    return spread_over(reader, node, x, size)


def _two(value: int | Sequence[int]) -> Size:
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])


RESAMPLES = dict.fromkeys(
    (
        *("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d", "upsample_bicubic2d"),
        *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    ),
    _resize,
)
