"""Costs that are a sum over the positions of a choice, as a supernet needs them."""

import numpy as np

from pumice.cost.lut.additive import Additive
from pumice.errors import BadInput
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost

HALVES, CHECKED = 3, 20  # random choices on which the sum of two halves, and the whole table, must be right


class Summed(Cost):
    """A table of terms as a cost.

    table: of every position's options; those that a position does not have are not read.
    """

    def __init__(self, table: Additive, unit: str) -> None:
        self.table, self.unit = table, unit

    def of(self, choice: Choice) -> float:
        """The sum of a choice."""
        return float(self.table.predict(np.asarray(choice)))


def additive(cost: Cost, space: Space, *, scale: float = 1.0, tolerance: float = 1e-3) -> Additive:
    """The table of a cost: the first option of every position, and what each other option adds to it.

    Args:
        scale: what one unit of the table is, in units of the cost.
        tolerance: by how much, as a share, the sum may miss the cost of whole choices.

    Raises:
        BadInput: the cost of a choice is not the sum of its options'.
    """
    if isinstance(cost, Summed):
        return Additive(cost.table.terms / scale, cost.table.constant / scale)
    first, rng = (0,) * len(space.positions), np.random.default_rng(0)
    constant = cost.of(first)
    half = len(first) // 2
    for _ in range(HALVES):  # before the many questions of the table, which take hours of a cost that is measured
        choice = space.random(rng)
        parts = cost.of((*choice[:half], *first[half:])), cost.of((*first[:half], *choice[half:]))
        _agree(sum(parts) - constant, cost.of(choice), cost, space, tolerance)
    terms = np.zeros((len(space.positions), max(len(position.options) for position in space.positions)))
    for i, position in enumerate(space.positions):
        for option in range(1, len(position.options)):
            terms[i, option] = cost.of((*first[:i], option, *first[i + 1 :])) - constant
    table = Additive(terms, constant)
    for _ in range(CHECKED):
        choice = space.random(rng)
        _agree(float(table.predict(np.asarray(choice))), cost.of(choice), cost, space, tolerance)
    return Additive(terms / scale, constant / scale)


def _agree(summed: float, true: float, cost: Cost, space: Space, tolerance: float) -> None:
    if abs(summed - true) > tolerance * abs(true):
        raise BadInput(
            f"this cost of {space.name} is no sum over its positions ({summed:g} {cost.unit} for {true:g}); a supernet "
            f"needs one that is: multiply-adds, parameters or a lookup table"
        )


def least(table: Additive, space: Space) -> float:
    """The lowest cost of all choices."""
    options = [len(position.options) for position in space.positions]
    return table.constant + sum(float(row[:count].min()) for row, count in zip(table.terms, options, strict=True))
