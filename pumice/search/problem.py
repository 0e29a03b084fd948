"""What is searched: where, for what, and how much it may cost."""

from dataclasses import dataclass, field

import numpy as np

from pumice.cost.budget import write_limit
from pumice.errors import BadInput
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost
from pumice.search.reward import Accuracy, Reward
from pumice.search.trial import Trial

TRIES = 10_000  # random choices among which one must keep the target, and changes that lead to one where none does


@dataclass(frozen=True)
class Problem:
    """cost, target: what a net may cost, in the cost's unit; both or neither.

    reward: what the searcher maximises.

    Raises:
        BadInput: no choice keeps the target, where the cost knows its least.
    """

    space: Space
    cost: Cost | None = None
    target: float | None = None
    reward: Reward = field(default_factory=Accuracy)

    def __post_init__(self) -> None:
        if self.cost is None or self.target is None:
            return
        least = self.cost.least
        if least is not None and least > self.target:
            raise BadInput(
                f"no choice of {self.space.name} is at or below {self._limit(self.target, up=False)} {self.cost.unit}; "
                f"the least is {self._limit(least)}: raise the target to that"
            )

    def feasible(self, choice: Choice) -> bool:
        """Whether the choice keeps the target."""
        return self.cost is None or self.target is None or self.cost.of(choice) <= self.target

    def random(self, rng: np.random.Generator) -> Choice:
        """A choice that keeps the target, all such equally probable; where hardly any does, one on the way down.

        Of many choices the first that keeps the target is taken.  If none does, one of them is changed, position by
        position, for less cost, until it does.

        Raises:
            BadInput: no way down reaches the target; the sentence names the least cost that was met.
        """
        for _ in range(TRIES):
            choice = self.space.random(rng)
            if self.feasible(choice):
                return choice
        assert self.cost is not None
        assert self.target is not None
        least = self.cost.of(choice)
        for _ in range(TRIES):
            other = self.space.mutated(choice, rng)
            if (cost := self.cost.of(other)) < least:
                choice, least = other, cost
            if least <= self.target:
                return choice
        raise BadInput(
            f"no choice of {self.space.name} at or below {self._limit(self.target, up=False)} {self.cost.unit} was "
            f"found; the least that was met is {self._limit(least)}: raise the target to that"
        )

    def _limit(self, value: float, *, up: bool = True) -> str:
        return write_limit(value, "" if self.cost is None else self.cost.unit, up=up)

    def judged(self, number: int, choice: Choice, accuracy: float) -> Trial:
        """The finished trial of a choice."""
        cost = None if self.cost is None else self.cost.of(choice)
        return Trial(number, choice, accuracy, cost, self.reward.of(accuracy, cost))

    def best(self, trials: list[Trial]) -> Trial | None:
        """The most accurate trial that keeps the target; the earliest of equals; None where none keeps it."""
        kept = [t for t in trials if self.target is None or t.cost is None or t.cost <= self.target]
        return max(kept, key=lambda t: (t.accuracy, -t.number), default=None)
