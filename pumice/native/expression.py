"""Point-by-point arithmetic: what a map computes, or what is done to a layer's result before it is stored.

An expression is made for n output planes at once; output j reads the j-th plane of every `Read` and the j-th number of
every `Const`.  A plane of one pixel is the same number for all pixels of the output.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Read:
    """The j-th plane for output j."""

    planes: Planes


@dataclass(frozen=True, eq=False)
class Const:
    """One number for all outputs, or the j-th for output j."""

    value: float | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Result:
    """What the layer computed, in an expression that follows it; what the layer reads, in one before it."""


@dataclass(frozen=True, eq=False)
class Call:
    """A function of `FUNCTIONS`, by name."""

    name: str
    args: tuple["Expression", ...]


Expression = Read | Const | Result | Call

FUNCTIONS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "max", "min"), 2),
    **dict.fromkeys(("relu", "hardsigmoid", "hardswish", "sigmoid", "silu", "exp", "tanh", "neg", "abs"), 1),
    **dict.fromkeys(RARER := ("sqrt", "gelu", "softplus"), 1),
}
"""Name -> number of arguments.  Each is written in C in `emit/functions.c`, or if it is rarer in `emit/rarer.c`."""

TABLES, CONSTANTS = 8, 16
"""Lists of planes that one expression can read, and constants; as in `Operands` of `emit/functions.c`."""


def reads(expression: Expression) -> Iterator[Read]:
    """Every `Read`, from left to right."""
    if isinstance(expression, Read):
        yield expression
    elif isinstance(expression, Call):
        for argument in expression.args:
            yield from reads(argument)


def calls(expression: Expression) -> Iterator[str]:
    """The name of every function in an expression."""
    if isinstance(expression, Call):
        yield expression.name
        for argument in expression.args:
            yield from calls(argument)


def fits(expression: Expression) -> bool:
    """Whether C code has room for the lists that it reads: planes and constants."""
    lists = sum(1 for _ in reads(expression))
    return lists <= TABLES and _constants(expression) <= CONSTANTS


def _constants(expression: Expression) -> int:
    if isinstance(expression, Call):
        return sum(_constants(argument) for argument in expression.args)
    return int(isinstance(expression, Const))


def replaced(expression: Expression, new: Callable[[Any], "Expression | None"]) -> Expression:
    """The expression with every leaf for which `new` returns something in its place."""
    if isinstance(expression, Call):
        return Call(expression.name, tuple(replaced(argument, new) for argument in expression.args))
    found = new(expression)
    return expression if found is None else found


def selected(expression: Expression, indices: NDArray[np.int64]) -> Expression:
    """The expression of some of its outputs, in another order, or more than once."""

    def leaf(one: Any) -> Expression | None:
        if isinstance(one, Read):
            return Read(one.planes[indices])
        if isinstance(one, Const) and not isinstance(one.value, float):
            return Const(one.value[indices])
        return None

    return replaced(expression, leaf)
