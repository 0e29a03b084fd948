"""Regularised evolution: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
arXiv:1802.01548: the oldest die, not the worst."""

from collections.abc import Collection, Sequence

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem
from pumice.search.searcher import Searcher, fresh
from pumice.search.trial import Trial

PATIENCE = 20  # mutants in vain, all judged before or beyond the target, before one more position is changed


class Evolution(Searcher):
    """The first `population` choices are random; each later one is a mutant of the best of a random sample.

    The population is the youngest `population` finished trials: whoever resumes or works beside others needs no other
    record of it.  All choices keep the target.

    Args:
        population, sample: P and S of the paper, which took 100 and 25 for 20,000 trials; the defaults are for some
            hundreds.
        changes: positions in which a mutant differs from its parent.

    Raises:
        BadInput: sample is not from 1 to population, or changes is less than 1.
    """

    def __init__(
        self, problem: Problem, seed: int = 0, *, population: int = 20, sample: int = 10, changes: int = 1
    ) -> None:
        super().__init__(problem, seed)
        if not 1 <= sample <= population or changes < 1:
            raise BadInput(
                f"evolution cannot sample {sample} of a population of {population} and make {changes} changes; "
                f"give 1 <= sample <= population and changes >= 1"
            )
        self.population, self.sample, self.changes = population, sample, changes

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """A random choice, then mutants."""
        space, rng = self.problem.space, self.rng(number)
        seen = {*(trial.choice for trial in finished), *pending}
        alive = finished[-self.population :]
        if number >= self.population and alive:
            for attempt in range(PATIENCE * len(space.positions)):
                drawn = [alive[i] for i in rng.integers(len(alive), size=self.sample)]
                parent = max(drawn, key=lambda trial: (trial.value, trial.number))
                child = space.mutated(parent.choice, rng, self.changes + attempt // PATIENCE)
                if child not in seen and self.problem.feasible(child):
                    return child
        return fresh(self.problem, rng, seen)
