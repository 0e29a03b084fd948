"""The evolutionary stage: choices that a predictor likes best, found without training anything."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem

CHILDREN, GENERATIONS = 24, 100
LEAST = 1e-6


def evolve(
    problem: Problem,
    score: Callable[[Sequence[Choice]], NDArray[np.float64]],
    first: Sequence[Choice],
    rng: np.random.Generator,
) -> list[Choice]:
    """The population that `first` becomes, best first; all its choices keep the target.

    A generation has up to 24 children, mutants and crossings by turns, and the best of old and young live on.  The
    paper ends when the best score rises by less than 1e-6; here it is the mean, because a batch of choices is wanted.
    """
    population = list(dict.fromkeys(first))
    size = len(population)
    scores = score(population)
    for _ in range(GENERATIONS):
        known, children = set(population), dict[Choice, None]()
        for i in range(CHILDREN):
            one, other = (population[k] for k in rng.integers(len(population), size=2))
            child = problem.space.mutated(one, rng) if i % 2 else _crossed(one, other, rng)
            if child not in known and problem.feasible(child):
                children[child] = None
        if not children:
            continue
        population += children
        joined = np.concatenate([scores, score(list(children))])
        best = np.argsort(-joined, kind="stable")[:size]
        risen = joined[best].mean() - scores.mean()
        population, scores = [population[i] for i in best], joined[best]
        if risen < LEAST:
            break
    order = np.argsort(-scores, kind="stable")
    return [population[i] for i in order]


def _crossed(one: Choice, other: Choice, rng: np.random.Generator) -> Choice:
    """Each position of one or the other."""
    return tuple(a if first else b for a, b, first in zip(one, other, rng.random(len(one)) < 0.5, strict=True))
