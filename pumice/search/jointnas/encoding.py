"""A choice as numbers: architecture and recipe apart, the same in pre-training and in search."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pumice.models.spaces.recipe import PREFIX
from pumice.models.spaces.space import Choice, Position, Space

Rows = NDArray[np.float32]


FEW = 8  # options; numbers that are not more are words too, because what is best among few is seldom at an end


class Encoding:
    """Options are one-hot; more than eight that are numbers are one value, from 0 for the first to 1 for the last.

    Grids may be of equal steps or of equal ratios: whoever made the space laid them out evenly, so places count, not
    values.
    """

    def __init__(self, space: Space) -> None:
        self.tables = [_table(position) for position in space.positions]
        recipe = [position.name.startswith(PREFIX) for position in space.positions]
        self.of_net = [i for i, of_recipe in enumerate(recipe) if not of_recipe]
        self.of_recipe = [i for i, of_recipe in enumerate(recipe) if of_recipe]

    def nets(self, choices: Sequence[Choice]) -> Rows:
        """(choices, numbers of the architecture)."""
        return self._rows(choices, self.of_net)

    def recipes(self, choices: Sequence[Choice]) -> Rows:
        """(choices, numbers of the recipe); no columns in a space of architectures alone."""
        return self._rows(choices, self.of_recipe)

    def _rows(self, choices: Sequence[Choice], positions: Sequence[int]) -> Rows:
        taken = np.asarray(choices, dtype=np.intp).reshape(len(choices), len(self.tables))
        columns = [self.tables[i][taken[:, i]] for i in positions]
        return np.concatenate([np.zeros((len(choices), 0), np.float32), *columns], axis=1)


def _table(position: Position) -> Rows:
    """(options, numbers)."""
    options = len(position.options)
    if options > FEW and all(_is_number(option) for option in position.options):
        return np.linspace(0, 1, options, dtype=np.float32)[:, None]
    return np.eye(options, dtype=np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
