"""What a choice costs.  Far more choices are asked for than trained, so a cost is exact or predicted, and quick."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice


class Cost(ABC):
    """unit: what the numbers are ("multiply-adds", "ms", ...)."""

    unit: str

    @property
    def least(self) -> float | None:
        """The lowest of all choices; None where nobody knows it without asking for very many."""
        return None

    @abstractmethod
    def of(self, choice: Choice) -> float:
        """What the network of a choice costs; the same number whenever it is asked."""


class Listed(Cost):
    """Costs that somebody wrote down.

    costs: every choice that may be asked for -> its cost.
    """

    def __init__(self, costs: Mapping[Choice, float], unit: str) -> None:
        self.costs, self.unit = costs, unit

    def of(self, choice: Choice) -> float:
        """
        Raises:
            BadInput: the table does not have the choice.
        """
        if choice not in self.costs:
            raise BadInput(f"the table of {self.unit} does not have the choice {list(choice)}")
        return self.costs[choice]

    @cached_property
    def least(self) -> float:  # worked out once
        """The lowest of all."""
        return min(self.costs.values())
