"""Costs that are a sum over the positions of a choice, as a supernet needs them."""

import numpy as np

from pumice.cost.lut.additive import Additive
from pumice.errors import BadInput
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost

CHECKED = 20  # random choices on which the sum must be right


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
    first = (0,) * len(space.positions)
    constant = cost.of(first)
    terms = np.zeros((len(space.positions), max(len(position.options) for position in space.positions)))
    for i, position in enumerate(space.positions):
        for option in range(1, len(position.options)):
            terms[i, option] = cost.of((*first[:i], option, *first[i + 1 :])) - constant
    table, rng = Additive(terms / scale, constant / scale), np.random.default_rng(0)
    for _ in range(CHECKED):
        choice = space.random(rng)
        true, summed = cost.of(choice), scale * float(table.predict(np.asarray(choice)))
        if abs(summed - true) > tolerance * abs(true):
            raise BadInput(
                f"this cost of {space.name} is no sum over its positions ({summed:g} {cost.unit} for {true:g}); "
                f"a supernet needs one that is: multiply-adds, parameters or a lookup table"
            )
    return table


def least(table: Additive, space: Space) -> float:
    """The lowest cost of all choices."""
    options = [len(position.options) for position in space.positions]
    return table.constant + sum(float(row[:count].min()) for row, count in zip(table.terms, options, strict=True))
