"""A program run by torch, operation by operation: what the C code is compared with, and passes with each other."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pumice.native.expression import Call, Const, Expression, Read, Result
from pumice.native.ir import Collect, Conv, Linear, Map, MaxPool, Mean, Program, Resample, Spread, Taps, Weave

FUNCTIONS: dict[str, Any] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "relu": torch.relu,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "exp": torch.exp,
    "tanh": torch.tanh,
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
}


def interpret(program: Program, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, H, W) -> the answer, in float64 arithmetic."""
    planes: dict[int, Tensor] = {}

    def gathered(indices: NDArray[np.int64]) -> Tensor:
        return torch.stack([planes[plane] for plane in indices.tolist()])

    def value(expression: Expression, result: Tensor | None = None) -> Tensor:
        if isinstance(expression, Read):
            return gathered(expression.planes)
        if isinstance(expression, Const):
            number = torch.as_tensor(np.array(expression.value), dtype=torch.float64)
            return number.reshape(-1, 1, 1)
        if isinstance(expression, Call):
            return torch.as_tensor(FUNCTIONS[expression.name](*(value(one, result) for one in expression.args)))
        assert isinstance(expression, Result)
        assert result is not None
        return result

    planes.update(zip(program.inputs.tolist(), torch.from_numpy(image).double(), strict=True))
    for operation in program.operations:
        if isinstance(operation, Map):
            made = value(operation.value)
            made = made.expand(len(operation.outputs), *operation.size)
        elif isinstance(operation, Spread):
            made = gathered(operation.inputs).reshape(-1, 1, 1)
        elif isinstance(operation, Collect):
            made = gathered(operation.inputs).reshape(-1, *operation.size)
        else:
            if isinstance(operation, Conv) and operation.made is not None:
                weight = gathered(operation.made).numpy().reshape(operation.weight.shape)
                operation = dataclasses.replace(operation, weight=weight)
            made = value(operation.after, _layer(operation, gathered(operation.inputs), value))
        planes.update(zip(operation.outputs.tolist(), made, strict=True))
    return gathered(program.outputs).reshape(program.output_shape).float().numpy()


def _layer(operation: Any, x: Tensor, value: Any) -> Tensor:
    if isinstance(operation, Linear):
        weight, bias = (torch.from_numpy(np.asarray(part)).double() for part in (operation.weight, operation.bias))
        return (weight @ x.reshape(-1) + bias).reshape(-1, 1, 1)
    if isinstance(operation, Mean):
        return x.mean((1, 2), keepdim=True)
    if isinstance(operation, Resample):
        return _matrix(operation.rows, x.shape[1]) @ x @ _matrix(operation.columns, x.shape[2]).T
    if isinstance(operation, Weave):
        (down, across), (height, width) = operation.factor, operation.out_size
        parts = x.reshape(-1, down, across, *x.shape[1:]).permute(0, 3, 1, 4, 2)
        return parts.reshape(len(operation.outputs), x.shape[1] * down, -1)[:, :height, :width]
    (top, left), (height, width) = operation.padding, operation.out_size
    kernel = operation.kernel if isinstance(operation, MaxPool) else operation.weight.shape[2:]
    dilation = operation.dilation if isinstance(operation, Conv) else (1, 1)
    need = [
        (size - 1) * step + (k - 1) * d + 1
        for size, step, k, d in zip((height, width), operation.stride, kernel, dilation, strict=True)
    ]
    if isinstance(operation, Conv):
        x = value(operation.before, x)
    rows, columns = need[0] - top - x.shape[1], need[1] - left - x.shape[2]
    outside = 0.0 if isinstance(operation, Conv) else -torch.inf
    x = functional.pad(x, (left, max(columns, 0), top, max(rows, 0)), value=outside)[None, :, : need[0], : need[1]]
    if isinstance(operation, Conv):
        weight, bias = (torch.from_numpy(np.asarray(part)).double() for part in (operation.weight, operation.bias))
        return functional.conv2d(x, weight, bias, operation.stride, 0, dilation, operation.groups)[0]
    return functional.max_pool2d(x, kernel, operation.stride, 0)[0]


def _matrix(taps: Taps, length: int) -> Tensor:
    """(places of the output, places of the input)"""
    matrix = torch.zeros(len(taps.places), length, dtype=torch.float64)
    return matrix.scatter_add_(1, torch.from_numpy(taps.places), torch.from_numpy(taps.weights).double())
