"""Expressions as C, for a vector of pixels of one plane or for one number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pumice.native.expression import CONSTANTS, TABLES, Call, Const, Expression, Planes, Read, Result
from pumice.native.ir import Size

FIXED = ("relu", "hardsigmoid", "hardswish", "sigmoid", "silu", "exp", "tanh", "gelu", "softplus")
"""Functions of vectors with numbers of their own, which lie in the run."""
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@dataclass(frozen=True, eq=False)
class Written:
    """An expression of `x` (the result), `r` (the run), `a` (the operands), `o` (which output), `i` (which pixel).

    vector, number: the text for a vector of pixels, and for one.
    ahead: statements before either, which are the same for all pixels of an output.
    tables, constants: what `a` holds.
    """

    vector: str
    number: str
    ahead: str
    tables: tuple[Planes, ...]
    constants: tuple[NDArray[np.float32], ...]

    @property
    def text(self) -> str:
        """All of the C; two expressions of one text differ in what their operands hold, and no more."""
        return f"{self.ahead} {self.vector}"


def written(expression: Expression, sizes: list[Size], size: Size) -> Written:
    """
    Args:
        expression: for planes of `size`.
        sizes: of all planes.
    """
    tables: list[Planes] = []
    constants: list[NDArray[np.float32]] = []

    ahead: list[str] = []

    def single(one: Expression) -> str:
        """The text of one number, the same for all pixels."""
        if isinstance(one, Const):
            if isinstance(one.value, float):
                return literal(one.value)
            constants.append(one.value)
            return f"a->c[{len(constants) - 1}][o]"
        if isinstance(one, Read):
            tables.append(one.planes)
            return f"r->arena[a->t[{len(tables) - 1}][o]]"
        assert isinstance(one, Call)
        return _call(one.name, "s", [single(argument) for argument in one.args])

    def text(one: Expression) -> tuple[str, str]:
        if isinstance(one, Result):
            return "x", "x"
        if _same_for_all(one, sizes, size):
            if isinstance(one, Const) and isinstance(one.value, float):
                constants.append(np.array([one.value], np.float32))
                number = f"a->c[{len(constants) - 1}][0]"
            else:
                number = single(one)
            if "[" in number:
                ahead.append(f"const float h{len(ahead)} = {number};")
                number = f"h{len(ahead) - 1}"
            return f"v_set({number})", number
        if isinstance(one, Read):
            tables.append(one.planes)
            # A pointer ahead: behind every store a compiler must expect the lists themselves to have changed.
            pointer = f"p{len(tables) - 1}"
            ahead.append(f"const float *{pointer} = r->arena + a->t[{len(tables) - 1}][o];")
            return f"v_load({pointer} + i)", f"{pointer}[i]"
        assert isinstance(one, Call)
        args = [text(argument) for argument in one.args]
        return _call(one.name, "v", [vector for vector, _ in args]), _call(
            one.name, "s", [number for _, number in args]
        )

    vector, number = text(expression)
    assert len(tables) <= TABLES
    assert len(constants) <= CONSTANTS
    return Written(vector, number, " ".join(ahead), tuple(tables), tuple(constants))


def _call(name: str, kind: str, args: list[str]) -> str:
    if name in INFIX:
        return f"({args[0]} {INFIX[name]} {args[1]})"
    run = ["r"] if kind == "v" and name in FIXED else []
    return f"{kind}_{name}({', '.join([*run, *args])})"


def _same_for_all(one: Expression, sizes: list[Size], size: Size) -> bool:
    """Whether an expression is one number for all pixels of an output."""
    if isinstance(one, Call):
        return all(_same_for_all(argument, sizes, size) for argument in one.args)
    return isinstance(one, Const) or (isinstance(one, Read) and sizes[int(one.planes[0])] == (1, 1))


def literal(number: float) -> str:
    """A float32 in C, to the last bit."""
    value = float(np.float32(number))
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f"
