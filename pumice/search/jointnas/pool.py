"""The candidates among which the first stage looks."""

import numpy as np

from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem

ROUNDS = 8  # draws as long as the pool, in search of choices that keep the target


def sobol_pool(problem: Problem, size: int, seed: int) -> list[Choice]:
    """Up to so many different choices that keep the target, in the order of a scrambled Sobol sequence.

    Raises:
        BadInput: none was found.
    """
    from torch.quasirandom import SobolEngine

    options = np.array([len(position.options) for position in problem.space.positions])
    size = min(size, problem.space.size)
    engine = SobolEngine(len(options), scramble=True, seed=seed)
    found: dict[Choice, None] = {}
    for _ in range(ROUNDS):
        points = engine.draw(size).numpy()
        for row in np.minimum((points * options).astype(int), options - 1).tolist():
            choice = tuple(row)
            if choice not in found and problem.feasible(choice):
                found[choice] = None
                if len(found) == size:
                    return list(found)
    return list(found) or [problem.random(np.random.default_rng((seed, 0)))]
