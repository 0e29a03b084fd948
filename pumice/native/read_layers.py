"""Operators with weights, pooling and means."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Call, Const, Planes, Read
from pumice.native.ir import Conv, Linear, Map, MaxPool, Mean, Size
from pumice.native.read import Reader, Value
from pumice.native.read_channels import reduced
from pumice.native.read_moves import reshaped
from pumice.native.read_resamples import adaptive, averaged, pooled
from pumice.native.read_transposed import transposed

Given = dict[str, Any]


def _pair(value: int | Sequence[int], default: int | None = None) -> Size:
    numbers = [value] if isinstance(value, int) else list(value)
    if not numbers and default is not None:
        numbers = [default]
    return (numbers[0], numbers[-1])


def _image(reader: Reader, node: fx.Node, x: Value) -> tuple[Planes, Size]:
    """The planes of an image and their size; numbers that once were pixels cannot become an image again."""
    if x.size is None and x.shape[-2:] != (1, 1):
        raise reader.refuse(node, "of numbers that are not planes")
    return x.planes.ravel(), x.size or (1, 1)


def _conv(reader: Reader, node: fx.Node, given: Given) -> Value:
    x, weight, bias = given["input"], given["weight"], given.get("bias")
    made: Planes | None = None
    if isinstance(bias, Value):
        raise reader.refuse(node, "whose bias is computed")
    if isinstance(weight, Value) and not given.get("transposed"):
        if weight.size is not None:
            raise reader.refuse(node, "whose weights are images")
        made, weight = weight.planes.ravel(), np.zeros(weight.shape, np.float32)
    if not isinstance(x, Value):
        raise reader.refuse(node, "of a constant")
    if given.get("transposed"):
        return transposed(reader, node, given)
    stride, dilation = _pair(given["stride"]), _pair(given["dilation"])
    padding = given["padding"]
    kernel: Size = (weight.shape[2], weight.shape[3])
    out_size: Size = tuple(node.meta["shape"][-2:])
    if padding == "valid":
        padding = 0
    elif padding == "same":  # torch puts what is odd at the end
        padding = [dilation[i] * (kernel[i] - 1) // 2 for i in range(2)]
    return _convolved(
        reader,
        node,
        x,
        weight,
        np.zeros(len(weight), np.float32) if bias is None else bias,
        groups=given["groups"],
        stride=stride,
        padding=_pair(padding),
        dilation=dilation,
        out_size=out_size,
        made=made,
    )


def _convolved(reader: Reader, node: fx.Node, x: Value, weight: Any, bias: Any, *, out_size: Size, **how: Any) -> Value:
    planes, size = _image(reader, node, x)
    pad, dilation = how["padding"], how["dilation"]
    if (
        x.size is None
        and how["made"] is None
        and size == out_size
        and how["stride"] == (1, 1)
        and not (pad[0] % dilation[0] or pad[1] % dilation[1])
    ):
        # Of one pixel, a kernel sees its middle; the rest is padding.
        row, column = pad[0] // dilation[0], pad[1] // dilation[1]
        middle = weight[:, :, row : row + 1, column : column + 1]
        if how["groups"] == 1:
            out = reader.fresh(len(weight), (1, 1))
            flat = np.ascontiguousarray(middle.reshape(len(weight), -1))
            reader.operations.append(Linear(path_of(node), planes, out, flat, bias))
            return Value(out.reshape(node.meta["shape"]))
        weight, how["padding"], how["dilation"] = middle, (0, 0), (1, 1)
    out = reader.fresh(len(weight), out_size)
    reader.operations.append(Conv(path_of(node), planes, out, size, out_size, weight, bias, **how))
    return Value(out[None], out_size) if math.prod(out_size) > 1 else Value(out.reshape(node.meta["shape"]))


def _linear(reader: Reader, node: fx.Node, given: Given) -> Value:
    x, weight, bias = given["input"], given["weight"], given.get("bias")
    if not isinstance(x, Value) or not isinstance(weight, np.ndarray):
        raise reader.refuse(node, "whose weights are computed")
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    if x.behind == 1 and x.size is not None and x.planes.size == weight.shape[1]:
        out = reader.fresh(len(weight), x.size)
        kernel = weight[:, :, None, None]
        reader.operations.append(Conv(path_of(node), x.planes.ravel(), out, x.size, x.size, kernel, bias))
        return Value(out.reshape(*x.planes.shape[:-1], -1), x.size, 1)
    if x.size is not None or x.planes.size != weight.shape[1]:
        raise reader.refuse(node, "over rows")
    out = reader.fresh(len(weight), (1, 1))
    reader.operations.append(Linear(path_of(node), x.planes.ravel(), out, weight, bias))
    return Value(out.reshape(node.meta["shape"]))


def _batch_norm(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["input"]
    mean, var = given["running_mean"], given["running_var"]
    if mean is None:
        raise reader.refuse(node, "without statistics")
    if x.planes.size != len(mean):
        raise reader.refuse(node, "over rows")
    weight, bias = given["weight"], given["bias"]
    scale = np.float64(1) / np.sqrt(var.astype(np.float64) + given["eps"])
    scale = scale * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    planes = x.planes.ravel()
    value = Call("add", (Call("mul", (Read(planes), Const(scale.astype(np.float32)))), Const(shift.astype(np.float32))))
    out = reader.fresh(planes.size, x.size or (1, 1))
    reader.operations.append(Map(path_of(node), out, x.size or (1, 1), value))
    return Value(out.reshape(x.planes.shape), x.size)


def _native_batch_norm(reader: Reader, node: fx.Node, given: Given) -> tuple[Value, None, None]:
    return _batch_norm(reader, node, given), None, None


def _max_pool(reader: Reader, node: fx.Node, given: Given) -> Value:
    planes, size = _image(reader, node, given["self"])
    if _pair(given["dilation"]) != (1, 1):
        raise reader.refuse(node, "dilated")
    if max(_pair(given["padding"])) > 16:  # more than lies before the first plane
        raise reader.refuse(node, "with more than 16 rows or columns around an image")
    kernel = _pair(given["kernel_size"])
    stride = _pair(given["stride"] or kernel)
    out_size: Size = tuple(node.meta["shape"][-2:])
    out = reader.fresh(planes.size, out_size)
    reader.operations.append(
        MaxPool(
            path_of(node),
            planes,
            out,
            size,
            out_size,
            kernel,
            stride,
            _pair(given["padding"]),
        )
    )
    return _pooled(out, node, out_size)


def _avg_pool(reader: Reader, node: fx.Node, given: Given) -> Value:
    planes, size = _image(reader, node, given["self"])
    kernel, padding = _pair(given["kernel_size"]), _pair(given["padding"])
    stride = _pair(given["stride"] or kernel)
    out_size: Size = tuple(node.meta["shape"][-2:])
    area = given.get("divisor_override") or math.prod(kernel)
    whole = all((out_size[i] - 1) * stride[i] + kernel[i] <= size[i] + 2 * padding[i] for i in range(2))
    if not whole or (padding != (0, 0) and not given["count_include_pad"] and not given.get("divisor_override")):
        if given.get("divisor_override") or given["self"].size is None:
            raise reader.refuse(node, "whose windows are divided by different counts")
        return pooled(reader, node, given["self"], given)
    return window_means(reader, node, planes, size, kernel, stride, padding, area, out_size)


def window_means(
    reader: Reader,
    node: fx.Node,
    planes: Planes,
    size: Size,
    kernel: Size,
    stride: Size,
    padding: Size,
    area: float,
    out_size: Size,
) -> Value:
    """The sum of each window divided by its area: a convolution of each plane."""
    count = planes.size
    weight = np.full((count, 1, *kernel), 1 / area, np.float32)
    out = reader.fresh(count, out_size)
    zeros = np.zeros(count, np.float32)
    reader.operations.append(Conv(path_of(node), planes, out, size, out_size, weight, zeros, count, stride, padding))
    return _pooled(out, node, out_size)


def _pooled(out: Any, node: fx.Node, out_size: Size) -> Value:
    if math.prod(out_size) == 1:
        return Value(out.reshape(node.meta["shape"]))
    return Value(out.reshape(node.meta["shape"][:-2]), out_size)


def _adaptive(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    planes, size = _image(reader, node, x)
    wanted: Size = tuple(node.meta["shape"][-2:])
    if size == wanted:
        return x
    if wanted == (1, 1):
        return _global(reader, node, x)
    if x.size is not None and any(size[i] % wanted[i] for i in range(2)):
        return adaptive(reader, node, x, wanted)
    kernel: Size = (size[0] // wanted[0], size[1] // wanted[1])
    return window_means(reader, node, planes, size, kernel, kernel, (0, 0), math.prod(kernel), wanted)


def _global(reader: Reader, node: fx.Node, x: Value) -> Value:
    assert x.size is not None
    out = reader.fresh(x.planes.size, (1, 1))
    reader.operations.append(Mean(path_of(node), x.planes.ravel(), out, x.size))
    return Value(out.reshape(node.meta["shape"]))


def _mean(reader: Reader, node: fx.Node, given: Given) -> Value:
    x: Value = given["self"]
    dims = sorted(dim % len(x.shape) for dim in given.get("dim") or ())
    pixels = [len(x.shape) - 2, len(x.shape) - 1]
    if x.size is not None and not x.behind and len(dims) > 2 and dims[-2:] == pixels:
        means = reader.fresh(x.planes.size, (1, 1))
        reader.operations.append(Mean(path_of(node), x.planes.ravel(), means, x.size))
        return reduced(reader, node, Value(means.reshape(x.planes.shape)), dims[:-2], "mean")
    if x.size is not None and not x.behind and len(dims) == 1 and dims[0] >= len(x.shape) - 2:
        made = averaged(reader, node, x, dims[0] - len(x.shape))
        return made if given["keepdim"] else reshaped(reader, node, made, tuple(node.meta["shape"]))
    of_channels = dims[-1:] < [x.planes.ndim] if x.size else dims != pixels or x.shape[-2:] != (1, 1)
    if dims and not x.behind and of_channels:
        return reduced(reader, node, x, dims, "mean")
    if x.behind and x.size is not None:
        if dims != [x.planes.ndim - x.behind, x.planes.ndim - x.behind + 1]:
            raise reader.refuse(node, "of channels that lie behind the pixels")
        return _global(reader, node, x)
    if dims != pixels or (x.size is None and x.shape[-2:] != (1, 1)):
        raise reader.refuse(node, "over anything but rows and columns, or channels")
    if x.size is None:
        return Value(x.planes.reshape(node.meta["shape"]))
    return _global(reader, node, x)


def _channelwise(reader: Reader, node: fx.Node, given: Given) -> Value:
    """A convolution along channels, too: each result is a group of its own, which reads the planes under its window."""
    x, weight, bias = given["input"], given["weight"], given.get("bias")
    if not isinstance(x, Value) or not isinstance(weight, np.ndarray) or x.size is None or x.planes.ndim != 3:
        raise reader.refuse(node, "whose weights are computed, or of no image")
    if given["groups"] != 1 or given["padding"][0] or given["dilation"][0] != 1 or len(x.planes) != 1:
        raise reader.refuse(node, "in groups, padded or dilated along channels")
    features, _, depth = weight.shape[:3]
    shape = tuple(node.meta["shape"])
    out_size: Size = shape[-2:]
    first = np.arange(shape[2]) * given["stride"][0]
    under = x.planes[0][:, first[:, None] + np.arange(depth)]  # (features in, results, depth)
    each = under.swapaxes(0, 1).reshape(shape[2], -1)
    count = features * shape[2]
    out = reader.fresh(count, out_size)
    taps = np.repeat(weight.reshape(features, 1, -1, *weight.shape[3:]), shape[2], 1)
    biases = np.zeros(features, np.float32) if bias is None else bias
    reader.operations.append(
        Conv(
            path_of(node),
            np.tile(each, (features, 1)).ravel(),
            out,
            x.size,
            out_size,
            taps.reshape(count, -1, *weight.shape[3:]),
            np.repeat(biases, shape[2]),
            count,
            _pair(given["stride"][1:]),
            _pair(given["padding"][1:]),
            _pair(given["dilation"][1:]),
        )
    )
    return _pooled(out, node, out_size) if math.prod(out_size) == 1 else Value(out.reshape(shape[:-2]), out_size)


def path_of(node: fx.Node) -> str:
    """Of the layer, or a name where none is known."""
    return str(node.meta.get("path", "") or node.name)


LAYERS = {
    **dict.fromkeys(("conv2d", "convolution"), _conv),
    "conv3d": _channelwise,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _native_batch_norm,
    **dict.fromkeys(("max_pool2d",), _max_pool),
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
}
