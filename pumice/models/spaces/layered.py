"""Spaces whose every position is one layer of a chain: what a supernet can hold all at once."""

from abc import abstractmethod

from pumice.models.rows import Row
from pumice.models.spaces.space import Space


class Layered(Space):
    """Position i is the i-th searched layer, whose candidates are rows that do not depend on other positions.

    Candidates of a layer have the same width and stride, so that any can follow any.

    before: rows of `spec` that stand before the searched layers.
    """

    before: int = 1

    @abstractmethod
    def rows(self, layer: int) -> tuple[Row, ...]:
        """The candidates of a layer, counted from 0, in the order of its position's options."""
