"""What every search method is, and the loop that runs one without storage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from pumice.models.spaces.space import Choice
from pumice.search.objective import Objective
from pumice.search.problem import Problem
from pumice.search.trial import Trial


class Searcher(ABC):
    """Proposes what to judge next: a function of its settings, the seed and the finished trials in order of number.

    So whoever resumes a search replays it: a controller's weights or a population need no storage of their own.  A
    searcher may remember what it worked out for trials that it was shown, if it notices that others are shown.
    """

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem, self.seed = problem, seed

    @abstractmethod
    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """The choice of trial `number`; never one of a finished or pending trial.

        Args:
            finished: in order of number.
            pending: choices that others are judging now.

        Returns:
            None where nothing is left to propose.
        """

    def rng(self, number: int) -> np.random.Generator:
        """Randomness of one trial."""
        return np.random.default_rng((self.seed, number))


class Random(Searcher):
    """Feasible random search, every choice at most once."""

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """A choice that keeps the target."""
        return fresh(self.problem, self.rng(number), {*(t.choice for t in finished), *pending})


def fresh(problem: Problem, rng: np.random.Generator, seen: Collection[Choice], tries: int = 10_000) -> Choice | None:
    """A random feasible choice that is not among `seen`; None where none of many tries is new."""
    for _ in range(tries if len(seen) < problem.space.size else 0):
        choice = problem.random(rng)
        if choice not in seen:
            return choice
    return None


def run(searcher: Searcher, objective: Objective, trials: int, finished: Sequence[Trial] = ()) -> Iterator[Trial]:
    """Judge choices one after the other, in this process, keeping nothing, until there are so many with those finished.

    finished: in order of number, from 0 on, without gaps.
    """
    finished = list(finished)
    for number in range(len(finished), trials):
        choice = searcher.propose(number, finished)
        if choice is None:
            return
        finished.append(searcher.problem.judged(number, choice, objective.accuracy(choice, lambda *_: False)))
        yield finished[-1]
