"""Small programs over planes, written by hand or drawn: what passes, plan and kernels are tried on."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pumice.native.expression import Call, Expression, Read, Result
from pumice.native.ir import (
    Conv,
    Floats,
    Linear,
    Map,
    MaxPool,
    Mean,
    Operation,
    Program,
    Resample,
    Size,
    Spread,
    Taps,
    Weave,
)

Planes = NDArray[np.int64]
RESULT = Result()


@dataclass
class Draft:
    """A program that grows: every method adds an operation and returns the planes that it makes."""

    channels: int
    size: Size
    seed: int = 0
    sizes: list[Size] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.image = self.fresh(self.channels, self.size)

    def fresh(self, count: int, size: Size) -> Planes:
        first = len(self.sizes)
        self.sizes += [size] * count
        return np.arange(first, first + count, dtype=np.int64)

    def normal(self, *shape: int) -> Floats:
        return self.random.standard_normal(shape).astype(np.float32)

    def size_of(self, planes: Planes) -> Size:
        return self.sizes[int(planes[0])]

    def conv(
        self,
        inputs: Planes,
        outputs: int,
        kernel: Size = (1, 1),
        *,
        groups: int = 1,
        stride: Size = (1, 1),
        padding: Size = (0, 0),
        dilation: Size = (1, 1),
        more: Size = (0, 0),
        out_size: Size | None = None,
        before: Expression = RESULT,
        after: Callable[[Size], Expression] | Expression = RESULT,
    ) -> Planes:
        """padding: at the top and on the left.  more: at the bottom and on the right, beside as much again.
        out_size: to make less than there is.  after: may need to know for how large an image.
        """
        size = self.size_of(inputs)
        whole = [
            (size[i] + 2 * padding[i] + more[i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i in range(2)
        ]
        made = out_size or (whole[0], whole[1])
        out = self.fresh(outputs, made)
        weight = self.normal(outputs, len(inputs) // groups, *kernel) / np.float32(
            weight_scale(len(inputs) // groups, kernel)
        )
        bias = self.normal(outputs)
        then = after(made) if callable(after) else after
        how = (groups, stride, padding, dilation, before, then)
        self.operations.append(Conv("conv", inputs, out, size, made, weight, bias, *how))
        return out

    def pad(self, inputs: Planes, top: int, left: int, bottom: int, right: int) -> Planes:
        """As `read` writes it: a depthwise convolution with one tap."""
        height, width = self.size_of(inputs)
        size = (height + top + bottom, width + left + right)
        out, count = self.fresh(len(inputs), size), len(inputs)
        ones, zeros = np.ones((count, 1, 1, 1), np.float32), np.zeros(count, np.float32)
        self.operations.append(Conv("pad", inputs, out, (height, width), size, ones, zeros, count, padding=(top, left)))
        return out

    def max_pool(
        self,
        inputs: Planes,
        kernel: Size,
        stride: Size,
        padding: Size = (0, 0),
        after: Callable[[Size], Expression] | Expression = RESULT,
    ) -> Planes:
        size = self.size_of(inputs)
        whole = [(size[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2)]
        out = self.fresh(len(inputs), (whole[0], whole[1]))
        then = after((whole[0], whole[1])) if callable(after) else after
        how = (kernel, stride, padding, then)
        self.operations.append(MaxPool("max", inputs, out, size, (whole[0], whole[1]), *how))
        return out

    def linear(self, inputs: Planes, outputs: int, after: Expression = RESULT) -> Planes:
        out = self.fresh(outputs, (1, 1))
        weight = self.normal(outputs, len(inputs)) / np.float32(len(inputs) ** 0.5)
        self.operations.append(Linear("linear", inputs, out, weight, self.normal(outputs), after))
        return out

    def mean(self, inputs: Planes, after: Expression = RESULT) -> Planes:
        out = self.fresh(len(inputs), (1, 1))
        self.operations.append(Mean("mean", inputs, out, self.size_of(inputs), after))
        return out

    def resample(
        self, inputs: Planes, rows: Taps, columns: Taps, after: Callable[[Size], Expression] | Expression = RESULT
    ) -> Planes:
        made = (len(rows.places), len(columns.places))
        out = self.fresh(len(inputs), made)
        then = after(made) if callable(after) else after
        self.operations.append(Resample("resample", inputs, out, self.size_of(inputs), made, rows, columns, then))
        return out

    def weave(
        self,
        inputs: Planes,
        factor: Size,
        made: Size,
        after: Callable[[Size], Expression] | Expression = RESULT,
    ) -> Planes:
        out = self.fresh(len(inputs) // (factor[0] * factor[1]), made)
        then = after(made) if callable(after) else after
        self.operations.append(Weave("weave", inputs, out, self.size_of(inputs), made, factor, then))
        return out

    def map(self, value: Expression, count: int, size: Size) -> Planes:
        out = self.fresh(count, size)
        self.operations.append(Map("map", out, size, value))
        return out

    def relu(self, inputs: Planes) -> Planes:
        return self.map(Call("relu", (Read(inputs),)), len(inputs), self.size_of(inputs))

    def add(self, left: Planes, right: Planes) -> Planes:
        return self.map(Call("add", (Read(left), Read(right))), len(left), self.size_of(left))

    def spread(self, inputs: Planes) -> Planes:
        height, width = self.size_of(inputs)
        out = self.fresh(len(inputs) * height * width, (1, 1))
        self.operations.append(Spread("spread", inputs, out, (height, width)))
        return out

    def program(self, outputs: Planes) -> Program:
        """That answers these planes, all of one size."""
        shape = (len(outputs), *self.size_of(outputs))
        return Program("drawn", self.sizes, self.image, outputs, shape, self.operations)


def weight_scale(inputs: int, kernel: Size) -> float:
    """What keeps results about as large as what they are made of."""
    return float((inputs * kernel[0] * kernel[1]) ** 0.5)
