"""A block as numbers, from which its time can be told when the table has no entry of its own for it."""

import math
from math import prod

import numpy as np
from numpy.typing import NDArray

from pumice.cost.lut.blocks import NEIGHBOURS, Block

_CHEAP = ("relu", "hardtanh", "clamp", "clamp_min", "leaky_relu", "relu6")
_SMOOTH = ("hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "gelu", "mish", "elu", "softplus", "exp")
_NORM = ("native_batch_norm", "native_layer_norm")
_WIDE = (4, 8, 16)
"""Channels that NEON, AVX2 and AVX-512 handle at once: runtimes have kernels for multiples of these only."""

ROW = 8  # columns of a map that kernels along rows handle at once

IMAGE_CHANNELS = 4  # at most: the first convolution, for which runtimes have kernels of their own

NAMES = (
    *("positions", "in_per_group", "out_per_group", "groups", "window", "flatness", "stride", "dilation"),
    *("madds", "read", "written", "weights", "inputs", "fragments", "resident", "ragged"),
    *(f"{side}_by_{wide}" for side in ("in", "out", "in_per_group", "out_per_group") for wide in _WIDE),
    *("cheap", "smooth", "norms", "sums", "products", "moves", "operators"),
    *(f"fed_by_{name}" for name in NEIGHBOURS),
    *(f"feeds_{name}" for name in NEIGHBOURS),
)


def features(block: Block) -> NDArray[np.float64]:
    """`NAMES` of a block: sizes as natural logarithms, tails and neighbours as counts."""
    groups = block.groups
    channels_in = (block.inputs[0][1] if block.inputs and len(block.inputs[0]) > 1 else 1) / groups
    channels_out = (block.output[1] if len(block.output) > 1 else 1) / groups
    window = block.kernel or (1,)
    tail = block.ops[1:]
    sizes = (
        prod(block.output[2:]) * block.output[0],
        channels_in,
        channels_out,
        groups,
        prod(window),
        window[0] / window[-1],
        prod(block.stride) if block.stride else 1,
        max(block.dilation, default=1),
        block.madds,
        sum(prod(shape) for shape in block.inputs),
        prod(block.output),
        block.weights,
        len(block.inputs),
        # The run of elements that lie together when channels are reordered or split.
        block.output[-1],
        block.resident,
        # What lies beyond whole vectors along a map's rows: some kernels do it one by one, a hundred times slower.
        block.madds * (block.output[-1] % ROW) / block.output[-1],
    )
    widths = (channels_in * groups, channels_out * groups, channels_in, channels_out)
    multiples = [float(width % wide == 0) for width in widths for wide in _WIDE]
    counts = (
        sum(op in _CHEAP for op in tail),
        sum(op in _SMOOTH for op in tail),
        sum(op in _NORM for op in tail),
        sum(op in ("add", "sub", "maximum", "minimum") for op in tail),
        sum(op in ("mul", "div") for op in tail),
        sum(op in ("transpose", "permute", "clone") for op in block.ops),
        len(block.ops),
    )
    before = [float(name in block.fed_by) for name in NEIGHBOURS]
    behind = [float(name in block.feeds) for name in NEIGHBOURS]
    logs = [math.log(max(value, 1e-3) if value < 1 else value) for value in sizes]
    return np.array([*logs, *multiples, *counts, *before, *behind])


def sort_of(block: Block) -> str:
    """The sort of work that shares a regression: its kind, and what else chooses another kernel in every runtime."""
    if block.kind in ("conv", "grouped", "depthwise"):
        if len(block.inputs) > 1 and block.inputs[1] != block.output:
            return f"{block.kind} generated"
        if len(block.kernel) == 3:
            # With one channel out, a runtime may have no kernel but its reference.
            return f"{block.kind} 3d" if block.output[1] > 1 else f"{block.kind} 3d single"
        if block.kind == "conv" and block.inputs[0][1] <= IMAGE_CHANNELS:
            return "conv image"
        if prod(block.output[2:]) == 1:
            return "conv vector" if block.kind == "conv" else "grouped vector"
        return f"{block.kind} 1x1" if prod(block.kernel) == 1 else f"{block.kind} window"
    if block.kind == "layout":
        chain = "shuffle" if {"transpose", "permute"} & set(block.ops) else "view" if _views(block) else block.ops[0]
        return f"layout {chain}"
    if block.kind == "pointwise":
        same = all(shape == block.output for shape in block.inputs)
        return f"pointwise {_arity(block)}{'' if same else ' broadcast'}"
    return f"pool {block.ops[0]}" if block.kind == "pool" else block.kind


def _arity(block: Block) -> str:
    head = block.ops[0]
    for name, members in (("cheap", _CHEAP), ("smooth", _SMOOTH), ("norm", _NORM), (head, ("prelu_kernel", "softmax"))):
        if head in members:
            return name
    return "binary"


def _views(block: Block) -> bool:
    return not any(
        op in ("clone", "cat", "index_select", "index", "constant_pad_nd") or "split" in op for op in block.ops
    )
