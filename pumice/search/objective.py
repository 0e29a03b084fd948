"""How good a choice is."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice

Report = Callable[[int, float], bool]
"""Told (epoch, accuracy so far) while a network trains; answers whether to stop, because others were better by then."""


class Objective(ABC):
    """Judges choices, each by itself and the same whoever asks: choice and seed of the search decide all randomness."""

    @abstractmethod
    def accuracy(self, choice: Choice, report: Report) -> float:
        """From 0 to 1, higher is better.

        Raises:
            BadInput: the choice cannot be judged.
        """


class Called(Objective):
    """Any function of a choice."""

    def __init__(self, function: Callable[[Choice], float]) -> None:
        self.function = function

    def accuracy(self, choice: Choice, report: Report) -> float:
        """What the function says."""
        return self.function(choice)


class Looked(Objective):
    """Accuracies that somebody measured.

    accuracies: every choice that may be asked for -> from 0 to 1.
    """

    def __init__(self, accuracies: Mapping[Choice, float]) -> None:
        self.accuracies = accuracies

    def accuracy(self, choice: Choice, report: Report) -> float:
        """
        Raises:
            BadInput: the table does not have the choice.
        """
        if choice not in self.accuracies:
            raise BadInput(f"the table of accuracies does not have the choice {list(choice)}")
        return self.accuracies[choice]


def read_column(path: str | Path, choice: str, column: str, *, scale: float = 1.0) -> dict[Choice, float]:
    """One column of a CSV table of networks, as `Looked` and `Listed` take it.

    Args:
        choice: the column of the choices, written as digits ("01220").
        column: of the numbers, which `scale` multiplies.

    Raises:
        BadInput: no file, or no such column, or a line that cannot be read.
    """
    if not Path(path).is_file():
        raise BadInput(f"no table {path}")
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        for wanted in (choice, column):
            if wanted not in (rows.fieldnames or ()):
                raise BadInput(f"{path} has no column {wanted!r}; it has {', '.join(rows.fieldnames or ())}")
        try:
            return {tuple(map(int, row[choice])): scale * float(row[column]) for row in rows}
        except (TypeError, ValueError) as error:
            raise BadInput(f"{path}, line {rows.line_num}: {error}") from error
