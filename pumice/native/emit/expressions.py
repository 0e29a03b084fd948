"""Expressions as C, for a vector of pixels of one plane or for one number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pumice.native.expression import Call, Const, Expression, Planes, Read, Result
from pumice.native.ir import Size

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
MOST = 8
"""Lists that one expression can read; as in `Operands` of functions.c."""


@dataclass(frozen=True, eq=False)
class Written:
    """An expression of `x` (the result), `r` (the run), `a` (the operands), `o` (which output), `i` (which pixel).

    vector, number: the text for a vector of pixels, and for one.  tables, constants: what `a` holds.
    """

    vector: str
    number: str
    tables: tuple[Planes, ...]
    constants: tuple[NDArray[np.float32], ...]


def written(expression: Expression, sizes: list[Size], size: Size) -> Written:
    """
    Args:
        expression: for planes of `size`.
        sizes: of all planes.
    """
    tables: list[Planes] = []
    constants: list[NDArray[np.float32]] = []

    def text(one: Expression, kind: str) -> str:
        if isinstance(one, Result):
            return "x"
        if isinstance(one, Const):
            if isinstance(one.value, float):
                return f"v_set({literal(one.value)})" if kind == "v" else literal(one.value)
            constants.append(one.value)
            number = f"a->c[{len(constants) - 1}][o]"
            return f"v_set({number})" if kind == "v" else number
        if isinstance(one, Read):
            tables.append(one.planes)
            place = f"r->arena[a->t[{len(tables) - 1}][o]]"
            if sizes[int(one.planes[0])] == (1, 1) and size != (1, 1):
                return f"v_set({place})" if kind == "v" else place
            place = f"r->arena + a->t[{len(tables) - 1}][o] + i"
            return f"v_load({place})" if kind == "v" else f"({place})[0]"
        assert isinstance(one, Call)
        args = [text(argument, kind) for argument in one.args]
        if one.name in INFIX:
            return f"({args[0]} {INFIX[one.name]} {args[1]})"
        return f"{kind}_{one.name}({', '.join(args)})"

    vector = text(expression, "v")
    tables.clear()
    constants.clear()
    number = text(expression, "s")
    assert len(tables) <= MOST and len(constants) <= MOST
    return Written(vector, number, tuple(tables), tuple(constants))


def literal(number: float) -> str:
    """A float32 in C, to the last bit."""
    value = float(np.float32(number))
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f"
