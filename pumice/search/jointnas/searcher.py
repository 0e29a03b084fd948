"""JointNAS as a searcher: a random batch, batches that the predictor ranks first, then its evolutionary stage."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pumice.cost.rank import kendall
from pumice.errors import BadInput
from pumice.models.spaces.space import Choice
from pumice.search.cost import Cost
from pumice.search.jointnas.evolve import evolve
from pumice.search.jointnas.pool import sobol_pool
from pumice.search.jointnas.predictor import Predictor
from pumice.search.problem import Problem
from pumice.search.searcher import Searcher, fresh
from pumice.search.trial import Trial

ELITE, STRANGERS = 50, 50  # where the evolutionary stage begins: the best judged, random ones


@dataclass(frozen=True)
class Round:
    """How well the predictor ranked a batch, by Kendall's tau: before it knew the accuracies, and after.

    first: number of the batch's first trial.
    """

    first: int
    before: float
    after: float


class JointNAS(Searcher):
    """Batches of trials, each ranked by a predictor that was fitted to all trials before the batch.

    The first batch is the beginning of a pool of choices that keep the target; batches 2 to `rounds` are those of the
    pool that the predictor ranks first, all later ones the best of pool and evolutionary stage.  A recipe is part of a
    choice (`pumice.models.spaces.recipe`).  What counts is the problem's reward of the predicted accuracy.

    Args:
        statistics: what the predictor learns first, of architectures: costs that take no training.  None takes the
            problem's own cost.
        batch, rounds: m and T of the paper, which took 48 and 4; the default is for a search of hundreds of trials.
        pool: choices in it.
        pretrained: False leaves the statistics out.

    Raises:
        BadInput: batch is less than 2, rounds or pool less than 1.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int = 0,
        *,
        statistics: Sequence[Cost] | None = None,
        batch: int = 12,
        rounds: int = 4,
        pool: int = 20_000,
        pretrained: bool = True,
    ) -> None:
        super().__init__(problem, seed)
        if batch < 2 or rounds < 1 or pool < 1:
            raise BadInput(f"batch={batch} must be 2 or more, rounds={rounds} and pool={pool} 1 or more")
        own = () if problem.cost is None else (problem.cost,)
        self.statistics = own if statistics is None else tuple(statistics)
        self.batch, self.rounds, self.size, self.pretrained = batch, rounds, pool, pretrained
        self._ranked: tuple[object, list[Choice]] = (None, [])

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """The first of the batch's ranking that nobody has judged or judges now."""
        seen = {*(trial.choice for trial in finished), *pending}
        batch = number // self.batch
        known = [trial for trial in finished if trial.number < batch * self.batch]
        for choice in self._ranking(batch, known):
            if choice not in seen:
                return choice
        return fresh(self.problem, self.rng(number), seen)

    def first_batch(self) -> list[Choice]:
        """The choices of the first batch, which no result decides."""
        return self._pool[: self.batch]

    def predicted(self, known: Sequence[Trial], choices: Sequence[Choice]) -> NDArray[np.float64]:
        """Accuracies of choices, predicted from these trials."""
        self._predictor.fit([trial.choice for trial in known], [trial.accuracy for trial in known])
        return self._predictor.predict(choices)

    def records(self, finished: Sequence[Trial]) -> list[Round]:
        """Of every whole batch after the first."""
        rounds = []
        for first in range(self.batch, len(finished) - self.batch + 1, self.batch):
            known, batch = finished[:first], finished[first : first + self.batch]
            choices, measured = [trial.choice for trial in batch], [trial.accuracy for trial in batch]
            before, after = (self.predicted(t, choices).tolist() for t in (known, [*known, *batch]))
            rounds.append(Round(first, kendall(before, measured), kendall(after, measured)))
        return rounds

    @cached_property
    def _pool(self) -> list[Choice]:
        return sobol_pool(self.problem, self.size, self.seed)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.problem.space, self.statistics, self.seed, pretrained=self.pretrained)

    def _ranking(self, batch: int, known: Sequence[Trial]) -> list[Choice]:
        """Candidates of a batch, best first; worked out once for the same batch and trials."""
        if batch == 0 or len(known) < 2:
            return self._pool
        key = (batch, tuple(known))
        if self._ranked[0] != key:
            self._ranked = (key, self._rank(batch, known))
        return self._ranked[1]

    def _rank(self, batch: int, known: Sequence[Trial]) -> list[Choice]:
        self._predictor.fit([trial.choice for trial in known], [trial.accuracy for trial in known])
        candidates = self._pool
        if batch >= self.rounds:
            rng = np.random.default_rng((self.seed, batch, 1))
            kept = [trial for trial in known if self.problem.feasible(trial.choice)]
            best = sorted(kept, key=lambda trial: (-trial.value, trial.number))[:ELITE]
            strangers = [self._pool[i] for i in rng.integers(len(self._pool), size=STRANGERS)]
            evolved = evolve(self.problem, self._scores, [*(trial.choice for trial in best), *strangers], rng)
            candidates = list(dict.fromkeys([*evolved, *self._pool]))
        order = np.argsort(-self._scores(candidates), kind="stable")
        return [candidates[i] for i in order]

    def _scores(self, choices: Sequence[Choice]) -> NDArray[np.float64]:
        """Rewards of the predicted accuracies."""
        accuracies, cost = self._predictor.predict(choices), self.problem.cost
        costs = [None if cost is None else cost.of(choice) for choice in choices]
        return np.array([self.problem.reward.of(a, c) for a, c in zip(accuracies.tolist(), costs, strict=True)])
