"""What every searcher promises, whatever its method: a proposal is a function of the seed and the trials, each choice
is proposed once, and the target is kept.

A method joins by a line in METHODS, with settings that bring it past its random beginning within 30 trials.
"""

import itertools
import pickle
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.cost import Listed
from pumice.search.evolution import Evolution
from pumice.search.jointnas import predictor
from pumice.search.jointnas.searcher import JointNAS
from pumice.search.mnasnet import Mnasnet
from pumice.search.objective import Called
from pumice.search.problem import Problem
from pumice.search.searcher import Random, Searcher, run
from pumice.search.supernet.sampled import Sampled
from pumice.search.trial import Trial

Make = Callable[[Problem, int], Searcher]
POSITIONS = (
    Position("layer 1", ("skip", "k3", "k5")),
    Position("layer 2", ("k3", "k5")),
    Position("stem", ("16",)),
    Position("width", ("8", "16", "24", "32")),
    Position("recipe lr", ("0.1", "0.2", "0.4")),
)
THETA = [[0.5 * i for i in range(len(position.options))] for position in POSITIONS]  # prefers what comes late
METHODS: dict[str, Make] = {
    "random": Random,
    "evolution": lambda problem, seed: Evolution(problem, seed, population=8, sample=3),
    "jointnas": lambda problem, seed: JointNAS(problem, seed, batch=5, rounds=3),
    "mnasnet": lambda problem, seed: Mnasnet(problem, seed, batch=5, patience=20),
    "sampled": lambda problem, seed: Sampled(
        problem, [[0.5 * i for i in range(len(p.options))] for p in POSITIONS], seed
    ),
}


class Joint(Space):
    """Words, numbers, one position without a choice and one about training."""

    name = "joint"
    positions = POSITIONS

    def spec(self, choice: Choice) -> NetSpec:
        raise NotImplementedError


SPACE = Joint()
CHOICES = list(itertools.product(*(range(len(position.options)) for position in SPACE.positions)))
COSTS = Listed({choice: float(1 + sum(choice[:4])) for choice in CHOICES}, "units")
TARGET = 4.0
TRIALS = 30


def accuracy(choice: Choice) -> float:
    """Higher for dear nets, best at the middle rate."""
    return 0.5 + 0.05 * sum(choice[:4]) + 0.03 * choice[0] * choice[1] - 0.04 * abs(choice[4] - 1)


def trials_of(searcher: Searcher, count: int = TRIALS) -> list[Trial]:
    return list(run(searcher, Called(accuracy), count))


def crowd(searcher: Searcher, workers: int, trials: int) -> Iterator[tuple[int, list[Trial], list[Choice], Choice]]:
    """Several workers, who end in any order: (number, finished, pending, what was proposed), number by number."""
    rng = np.random.default_rng(0)
    finished: list[Trial] = []
    pending: dict[int, Choice] = {}
    for number in range(trials):
        while len(pending) >= workers:
            ended = int(rng.choice(list(pending)))
            choice = pending.pop(ended)
            finished.append(searcher.problem.judged(ended, choice, accuracy(choice)))
            finished.sort(key=lambda trial: trial.number)
        proposed = searcher.propose(number, list(finished), list(pending.values()))
        assert proposed is not None
        yield number, list(finished), list(pending.values()), proposed
        pending[number] = proposed


@pytest.fixture(params=METHODS)
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(predictor, "PRETRAINING", (40, 0.005))  # steps, rate: nothing here depends on its quality
    return METHODS[request.param]


def test_choices_are_of_the_space_and_new(make: Make) -> None:
    trials = trials_of(make(Problem(SPACE), 0))
    assert len({SPACE.check(trial.choice) for trial in trials}) == TRIALS
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(type(option) is int for trial in trials for option in trial.choice)  # JSON values


def test_none_is_proposed_that_another_worker_judges(make: Make) -> None:
    for _, finished, pending, proposed in crowd(make(Problem(SPACE, COSTS, 5.0), 1), workers=4, trials=24):
        assert proposed not in {*pending, *(trial.choice for trial in finished)}
        assert COSTS.of(proposed) <= 5.0


def test_a_function_of_seed_and_trials(make: Make) -> None:
    problem = Problem(SPACE)
    used = make(problem, 3)
    seen = list(crowd(used, workers=3, trials=TRIALS))
    for number, finished, pending, proposed in seen[::6]:
        assert make(problem, 3).propose(number, finished, pending) == proposed  # one that remembers nothing
        assert used.propose(number, finished, pending) == proposed  # one that has seen what came after


def test_other_trials_are_noticed(make: Make) -> None:
    """The same choices with other accuracies, shown to a searcher that remembers the first."""
    problem = Problem(SPACE)
    used = make(problem, 0)
    trials = trials_of(used)
    other = [problem.judged(t.number, t.choice, 1 - t.accuracy) for t in trials]
    assert used.propose(TRIALS, other) == make(problem, 0).propose(TRIALS, other)
    assert used.propose(TRIALS, trials) == make(problem, 0).propose(TRIALS, trials)


def test_resuming_is_replaying(make: Make) -> None:
    whole = trials_of(make(Problem(SPACE), 5))
    for cut in (1, 7, 23):
        resumed = make(Problem(SPACE), 5)
        finished = whole[:cut]
        for number in range(cut, TRIALS):
            choice = resumed.propose(number, finished)
            assert choice is not None
            finished = [*finished, resumed.problem.judged(number, choice, accuracy(choice))]
        assert finished == whole


def test_seeds_differ(make: Make) -> None:
    assert len({tuple(t.choice for t in trials_of(make(Problem(SPACE), seed), 8)) for seed in range(4)}) == 4


def test_the_target_is_kept(make: Make) -> None:
    trials = trials_of(make(Problem(SPACE, COSTS, TARGET), 0), 20)
    assert len(trials) == 20
    assert max(trial.cost or 0 for trial in trials) <= TARGET


def test_what_is_left_is_found_and_then_nothing(make: Make) -> None:
    kept = {choice for choice in CHOICES if COSTS.of(choice) <= 2}
    assert {trial.choice for trial in trials_of(make(Problem(SPACE, COSTS, 2.0), 0), len(kept) + 1)} == kept


def test_the_last_ones_are_pending(make: Make) -> None:
    problem = Problem(SPACE)
    trials = [problem.judged(i, choice, accuracy(choice)) for i, choice in enumerate(CHOICES[:-2])]
    proposed = make(problem, 0).propose(len(trials), trials, [CHOICES[-1]])
    assert proposed == CHOICES[-2]
    assert make(problem, 0).propose(len(CHOICES), trials, CHOICES[-2:]) is None


def test_a_target_that_no_choice_keeps(make: Make) -> None:
    with pytest.raises(BadInput, match=r"the least .* 1: raise the target to that"):
        trials_of(make(Problem(SPACE, COSTS, 0.5), 0))


def test_randomness_is_its_own(make: Make) -> None:
    def states() -> bytes:
        state = (random.getstate(), np.random.get_state(), torch.get_rng_state().tolist())  # noqa: NPY002
        return pickle.dumps(state)

    before = states()
    first = trials_of(make(Problem(SPACE), 0))
    assert states() == before
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert trials_of(make(Problem(SPACE), 0)) == first
