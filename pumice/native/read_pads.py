"""Padding: around the image with zeros, any number or the image itself, and along channels."""

import math
from typing import Any

import numpy as np
from torch import fx

from pumice.native.expression import Call, Const, Read
from pumice.native.ir import Map
from pumice.native.read import Reader, Value
from pumice.native.read_layers import path_of, window_means
from pumice.native.read_resamples import around

Given = dict[str, Any]


def _pad(reader: Reader, node: fx.Node, given: Given) -> Value:
    """A depthwise convolution with one tap; `passes.pads` puts it into the layer that reads it."""
    x: Value = given["self"]
    pads = [*given["pad"], 0, 0, 0, 0][: max(4, len(given["pad"]))]
    zeros = not given.get("value") and given.get("mode", "constant") == "constant"
    if len(pads) == 6 and not any(pads[:4]) and min(pads) >= 0 and zeros:
        return _channel_pad(reader, x, pads[4], pads[5])
    mode = given.get("mode", "constant")
    if x.size is None or any(pads[4:]):
        raise reader.refuse(node, "of anything but rows and columns")
    if mode == "constant" and given.get("value"):
        return _pad_with(reader, node, x, pads[:4], float(given["value"]))
    if min(pads) < 0 or mode != "constant":
        return around(reader, node, x, pads, mode)
    left, right, top, bottom = pads[:4]
    out_size = (x.size[0] + top + bottom, x.size[1] + left + right)
    return window_means(reader, node, x.planes.ravel(), x.size, (1, 1), (1, 1), (top, left), 1.0, out_size)


def _pad_with(reader: Reader, node: fx.Node, x: Value, pads: list[int], number: float) -> Value:
    """The image with zeros around it, and beside it a plane of the number with zeros in its place."""
    assert x.size is not None
    inside = reader.fresh(1, x.size)
    reader.operations.append(Map(path_of(node), inside, x.size, Const(1.0)))
    padded, there = (around(reader, node, one, pads, "constant") for one in (x, Value(inside, x.size)))
    if padded.size is None or there.size is None:
        raise reader.refuse(node, "to one pixel")
    limit = float(np.finfo(np.float32).max)
    number = min(max(number, -limit), limit)  # what is infinite would not be a number times zero
    outside = Call("mul", (Call("sub", (Const(1.0), Read(np.repeat(there.planes, x.planes.size)))), Const(number)))
    out = reader.fresh(x.planes.size, padded.size)
    reader.operations.append(Map(path_of(node), out, padded.size, Call("add", (Read(padded.planes.ravel()), outside))))
    return Value(out.reshape(x.planes.shape), padded.size)


def _channel_pad(reader: Reader, x: Value, before: int, after: int) -> Value:
    """Planes of zeros in front of the last dimension of channels, and behind it."""
    lead, size = x.planes.shape[:-1], x.size or (1, 1)
    zeros = reader.fresh(math.prod(lead) * (before + after), size)
    reader.operations.append(Map("zeros", zeros, size, Const(0.0)))
    made = zeros.reshape(*lead, before + after)
    return Value(np.concatenate([made[..., :before], x.planes, made[..., before:]], -1), x.size)


PADS = dict.fromkeys(("pad", "constant_pad_nd"), _pad)
