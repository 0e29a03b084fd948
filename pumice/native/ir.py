"""The intermediate form: a list of operations over planes.

A plane is one channel of one image, H x W numbers in a row, and has a number.  Tensors exist while a network is read,
as arrays of plane numbers; afterwards an operation lists the planes that it reads and those that it makes.  So what
only moves channels about (concatenation, split, shuffle, selection) is no operation at all: it is in the lists.
A vector is planes of one pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pumice.native.expression import Expression, Planes, Result, reads

Floats = NDArray[np.float32]
Size = tuple[int, int]


@dataclass(eq=False)
class Conv:
    """A convolution, in groups, with any kernel; also average pooling, whose weights are all the same.

    path: of the layer, for messages and profiles.
    inputs, outputs: planes, in the weights' order.
    size: (H, W) of the inputs.  out_size: of the outputs.
    weight: (O, I / groups, kh, kw).  bias: (O,).
    padding: top, left; what is missing at the bottom and on the right is zeros too.
    before: done to each input before it is padded.  after: done to each result.
    made: planes of one pixel that are the weights, in their order, where the network computes them; `weight`, of
        zeros, is then only their shape.
    """

    path: str
    inputs: Planes
    outputs: Planes
    size: Size
    out_size: Size
    weight: Floats
    bias: Floats
    groups: int = 1
    stride: Size = (1, 1)
    padding: Size = (0, 0)
    dilation: Size = (1, 1)
    before: Expression = field(default_factory=Result)
    after: Expression = field(default_factory=Result)
    made: Planes | None = None

    @property
    def per_group(self) -> tuple[int, int]:
        """Outputs and inputs of a group."""
        return len(self.weight) // self.groups, self.weight.shape[1]

    @property
    def pointwise(self) -> bool:
        """Whether it sees one pixel at a time, and every one, and nothing around the image."""
        same = self.stride == (1, 1) and self.padding == (0, 0) and self.size == self.out_size
        return self.weight.shape[2:] == (1, 1) and same


@dataclass(eq=False)
class MaxPool:
    """The largest of a window; outside the image there is nothing."""

    path: str
    inputs: Planes
    outputs: Planes
    size: Size
    out_size: Size
    kernel: Size
    stride: Size
    padding: Size
    after: Expression = field(default_factory=Result)


@dataclass(eq=False)
class Linear:
    """A fully connected layer: numbers in, numbers out.  weight: (O, I)."""

    path: str
    inputs: Planes
    outputs: Planes
    weight: Floats
    bias: Floats
    after: Expression = field(default_factory=Result)


@dataclass(eq=False)
class Mean:
    """The mean of each plane."""

    path: str
    inputs: Planes
    outputs: Planes
    size: Size
    after: Expression = field(default_factory=Result)


@dataclass(frozen=True, eq=False)
class Taps:
    """Which rows (or columns) each row of the output is a sum of.

    places, weights: (rows of the output, taps); the taps of a row are neighbours, some perhaps of weight zero.
    """

    places: NDArray[np.int64]
    weights: Floats


@dataclass(eq=False)
class Resample:
    """Pixels that are weighted sums of a few rows and columns: resizing, cutting, reflecting, uneven pooling.

    out[y, x] = sum over i, j of rows.weights[y, i] columns.weights[x, j] in[rows.places[y, i], columns.places[x, j]]
    """

    path: str
    inputs: Planes
    outputs: Planes
    size: Size
    out_size: Size
    rows: Taps
    columns: Taps
    after: Expression = field(default_factory=Result)


@dataclass(eq=False)
class Weave:
    """Planes put between each other: what an image is made of after a transposed convolution or a pixel shuffle.

    factor: (fy, fx).  Output j at (y, x) is input (j fy + y % fy) fx + x % fx at (y // fy, x // fx).
    out_size: at most `size` times the factor; what is more is left out.
    """

    path: str
    inputs: Planes
    outputs: Planes
    size: Size
    out_size: Size
    factor: Size
    after: Expression = field(default_factory=Result)


@dataclass(eq=False)
class Map:
    """Output j is the expression of the j-th planes."""

    path: str
    outputs: Planes
    size: Size
    value: Expression


@dataclass(eq=False)
class Spread:
    """Every pixel of the inputs as a plane of its own, row by row: what flattening images means."""

    path: str
    inputs: Planes
    outputs: Planes
    size: Size


@dataclass(eq=False)
class Collect:
    """The reverse: every output is a plane of numbers, row by row, each of them a plane of one pixel before."""

    path: str
    inputs: Planes
    outputs: Planes
    size: Size


Layer = Conv | MaxPool | Linear | Mean | Resample | Weave
Operation = Layer | Map | Spread | Collect


@dataclass(eq=False)
class Program:
    """What a network does with one image.

    name: of the network.
    sizes: (H, W) of every plane, by its number.
    inputs, outputs: planes of the image and of the answer.
    output_shape: of the answer of one image, as torch would give it.
    operations: in an order in which they can run.
    """

    name: str
    sizes: list[Size]
    inputs: Planes
    outputs: Planes
    output_shape: tuple[int, ...]
    operations: list[Operation]


def expressions(operation: Operation) -> Iterator[Expression]:
    """What a map computes, or what is done before and after a layer."""
    for part in ("value", "before", "after"):
        if (expression := getattr(operation, part, None)) is not None:
            yield expression


def read_by(operation: Operation) -> Iterator[Planes]:
    """The lists of planes that an operation reads."""
    if not isinstance(operation, Map):
        yield operation.inputs
    if isinstance(operation, Conv) and operation.made is not None:
        yield operation.made
    for expression in expressions(operation):
        yield from (one.planes for one in reads(expression))


def consumers(program: Program) -> dict[int, list[Operation]]:
    """Plane -> the operations that read it, each once."""
    found: dict[int, list[Operation]] = {}
    for operation in program.operations:
        planes = np.unique(np.concatenate([*read_by(operation), np.empty(0, np.int64)]))
        for plane in planes.tolist():
            found.setdefault(plane, []).append(operation)
    return found


def producers(program: Program) -> dict[int, tuple[Operation, int]]:
    """Plane -> the operation that makes it, and its place among that operation's outputs."""
    return {
        plane: (operation, place)
        for operation in program.operations
        for place, plane in enumerate(operation.outputs.tolist())
    }
