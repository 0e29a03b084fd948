"""Regularised evolution: the young breed, the old die however good they are."""

import numpy as np
import pytest

from pumice.errors import BadInput
from pumice.models.spaces.fbnet import FBNetSpace
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Choice
from pumice.search.cost import Cost
from pumice.search.evolution import Evolution
from pumice.search.objective import Called
from pumice.search.problem import Problem
from pumice.search.searcher import Random, Searcher, run

PROBLEM = Problem(MacroSpace())
BEST = (2, 1, 0, 2, 1, 0, 2, 1)


def accuracy(choice: Choice) -> float:
    return 1 - sum(abs(a - b) for a, b in zip(choice, BEST, strict=True)) / 16


def distance(one: Choice, other: Choice) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def reached(searcher: Searcher, trials: int) -> float:
    return max(trial.accuracy for trial in run(searcher, Called(accuracy), trials))


def test_a_child_is_a_mutant_of_the_best_of_the_young() -> None:
    space, rng = PROBLEM.space, np.random.default_rng(0)
    choices = list(dict.fromkeys(space.random(rng) for _ in range(30)))
    accuracies = [0.9, *(0.5 for _ in choices[1:])]  # the very best is the oldest
    accuracies[-3] = 0.8
    trials = [PROBLEM.judged(i, c, a) for i, (c, a) in enumerate(zip(choices, accuracies, strict=True))]
    everyone = Evolution(PROBLEM, 0, population=10, sample=10, changes=2)
    for number in range(30, 50):  # samples are drawn with replacement, so most see the best, none the oldest
        child = everyone.propose(number, trials)
        assert child is not None
        assert min(distance(child, c) for c in choices[-10:]) <= 2
    children = [everyone.propose(number, trials) for number in range(30, 130)]
    from_best = [distance(child, choices[-3]) == 2 for child in children if child is not None]
    assert 0.5 < np.mean(from_best) < 0.8  # 1 - 0.9 ** 10 = 0.65


def test_it_climbs_where_random_search_does_not() -> None:
    ours = np.mean([reached(Evolution(PROBLEM, seed), 120) for seed in range(5)])
    by_chance = np.mean([reached(Random(PROBLEM, seed), 120) for seed in range(5)])
    assert ours > by_chance + 0.05
    assert ours > 0.97


@pytest.mark.parametrize("settings", [{"population": 0, "sample": 0}, {"sample": 30}, {"changes": 0}])
def test_impossible_settings(settings: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="1 <= sample <= population"):
        Evolution(PROBLEM, 0, **settings)


class Digits(Cost):
    """The sum of a choice's numbers."""

    unit = "digits"

    def of(self, choice: Choice) -> float:
        return float(sum(choice))


def test_a_target_that_hardly_any_choice_keeps_is_kept() -> None:
    tight = Problem(FBNetSpace(), Digits(), 4.0)  # random choices have 88 on average
    for method in (Random, Evolution):
        choices = [trial.choice for trial in run(method(tight, 0), Called(lambda choice: choice[0] / 8), 8)]
        assert len(set(choices)) == 8
        assert max(map(sum, choices)) <= 4
    with pytest.raises(BadInput, match="the least that was met is 0: raise the target to that"):
        Random(Problem(FBNetSpace(), Digits(), -1.0), 0).propose(0, [])
