"""What a search space is: positions, each with options, and the network that a choice of them is."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from pumice.errors import BadInput
from pumice.models.spec import NetSpec

Choice = tuple[int, ...]
"""The option taken at each position, counted from 0."""


@dataclass(frozen=True)
class Position:
    """One decision.

    name: what is decided ("layer 3", "block 2 kernel", "recipe lr").
    options: what may be taken, in words of the paper's table.
    """

    name: str
    options: tuple[str, ...]


class Space(ABC):
    """Positions, and the network of every choice.

    Arguments of the constructor are the options of `space:NAME`; all have defaults, and are kept as attributes.

    name: what `--space` and `space:NAME` call it.
    positions: in the order of a choice.
    image: (height, width) that its networks are made for.
    num_classes: that they have where none are named.
    """

    name: str
    positions: tuple[Position, ...]
    image: tuple[int, int] = (224, 224)
    num_classes: int = 1000

    @abstractmethod
    def spec(self, choice: Choice) -> NetSpec:
        """The network of a choice that `check` has passed."""

    def recipe(self, choice: Choice) -> dict[str, Any]:
        """Fields of `TrainConfig` that the choice sets; {} in spaces of architectures alone."""
        return {}

    def image_of(self, choice: Choice) -> tuple[int, int]:
        """(height, width) that the network of a choice is made for."""
        return self.image

    @property
    def options(self) -> dict[str, Any]:
        """What `space:NAME` takes for this space beside the choice: constructor arguments that are not the default."""
        parameters = inspect.signature(type(self)).parameters.values()
        return {p.name: value for p in parameters if (value := getattr(self, p.name)) != p.default}

    @property
    def size(self) -> int:
        """How many choices there are."""
        return prod(len(position.options) for position in self.positions)

    def check(self, choice: Sequence[int]) -> Choice:
        """The choice as a tuple.

        Raises:
            BadInput: it has another number of positions, or an option that its position does not have.
        """
        if len(choice) != len(self.positions):
            raise BadInput(f"a choice of {self.name} has {len(self.positions)} numbers, not {len(choice)}")
        for position, option in zip(self.positions, choice, strict=True):
            if not 0 <= option < len(position.options):
                raise BadInput(
                    f"{self.name}: {position.name} has the options 0 to {len(position.options) - 1}, not {option}"
                )
        return tuple(int(option) for option in choice)

    def random(self, rng: np.random.Generator) -> Choice:
        """A choice, all equally probable."""
        return tuple(int(rng.integers(len(position.options))) for position in self.positions)

    def mutated(self, choice: Choice, rng: np.random.Generator, changes: int = 1) -> Choice:
        """The choice with so many of its positions, those with several options, set to another option."""
        free = [i for i, position in enumerate(self.positions) if len(position.options) > 1]
        changed = list(choice)
        for i in rng.choice(free, size=min(changes, len(free)), replace=False):
            other = int(rng.integers(len(self.positions[i].options) - 1))
            changed[i] = other + (other >= choice[i])
        return tuple(changed)

    def words(self, choice: Choice) -> dict[str, str]:
        """Name of each position -> the option taken."""
        return {position.name: position.options[i] for position, i in zip(self.positions, choice, strict=True)}
