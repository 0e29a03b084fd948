"""Collects the parts of a source: functions, constants, and what each operation is called with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pumice.native.emit.choice import Choice
from pumice.native.emit.expressions import Written, written
from pumice.native.emit.weights import Weights
from pumice.native.expression import Expression
from pumice.native.ir import Program, Size
from pumice.native.plan import Plan


@dataclass
class Writer:
    """Collects the parts of a source."""

    program: Program
    plan: Plan
    choices: dict[int, Choice]
    weights: Weights = field(default_factory=Weights)
    kinds: dict[tuple[str, ...], str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    scratch: int = 0
    made: int = 0  # numbers of the largest kernel that the network computes; it lies behind the planes

    def kind(self, make: Callable[[str], str], prefix: str, *key: object) -> str:
        """The function of a kind of layer, written the first time that it is asked for."""
        full = (prefix, *(one.text if isinstance(one, Written) else str(one) for one in key))
        if full not in self.kinds:
            self.kinds[full] = f"{prefix}_{len(self.kinds)}"
            self.functions.append(make(self.kinds[full]))
        return self.kinds[full]

    def operands(self, name: str, one: Written, lines: list[str]) -> None:
        """Declare what an expression reads."""
        for k, planes in enumerate(one.tables):
            lines.append(table(f"{name}_t{k}", self.places(planes)))
        tables = ", ".join(f"{name}_t{k}" for k in range(len(one.tables))) or "0"
        constants = ", ".join(f"r->weights + {self.weights.add(part)}" for part in one.constants) or "0"
        lines.append(f"const Operands {name} = {{{{{tables}}}, {{{constants}}}}};")

    def places(self, planes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where planes lie in the arena."""
        found = self.plan.offsets[planes]
        assert (found >= 0).all()
        return found

    def written(self, expression: Expression, size: Size) -> Written:
        """An expression as C, for planes of a size."""
        return written(expression, self.program.sizes, size)


def table(name: str, numbers: NDArray[np.int64]) -> str:
    """A list of addresses."""
    return f"static const int32_t {name}[] = {{{', '.join(map(str, numbers.tolist()))}}};"
