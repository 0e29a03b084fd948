"""Networks drawn from what a supernet has learnt."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem
from pumice.search.searcher import Searcher, fresh
from pumice.search.trial import Trial

TRIES = 1000
WARMER = (1.0, 2.0, 4.0, 8.0)  # temperatures, where theta has become so sure that all its draws were judged before


class Sampled(Searcher):
    """Trial 0 is the most probable network, the others are drawn from softmax(theta); all keep the target.

    FBNet's last step trains six drawn networks from scratch and keeps the best.

    theta: of each position, the logits of its options.
    """

    def __init__(self, problem: Problem, theta: Sequence[Sequence[float]], seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.theta = [np.asarray(logits, np.float64) for logits in theta]

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """A network that is neither finished nor pending."""
        seen = {*(trial.choice for trial in finished), *pending}
        first = tuple(int(logits.argmax()) for logits in self.theta)
        if number == 0 and first not in seen and self.problem.feasible(first):
            return first
        rng = self.rng(number)
        for temperature in WARMER:
            shares = [_softmax(logits / temperature) for logits in self.theta]
            drawn = [rng.choice(len(share), size=TRIES, p=share).tolist() for share in shares]
            for choice in zip(*drawn, strict=True):
                if choice not in seen and self.problem.feasible(choice):
                    return choice
        return fresh(self.problem, rng, seen)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = np.exp(logits - logits.max())
    return exponents / exponents.sum()
