"""One network that a search judged."""

from dataclasses import dataclass

from pumice.models.spaces.space import Choice


@dataclass(frozen=True)
class Trial:
    """number: its place in the search, from 0; a retried trial keeps the number.

    choice: of the space.  accuracy: of the objective, from 0 to 1, higher is better.
    cost: in the unit of the problem's cost, None where it has none.  value: the reward.
    """

    number: int
    choice: Choice
    accuracy: float
    cost: float | None
    value: float
