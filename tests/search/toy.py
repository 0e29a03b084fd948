"""A space of 81 choices with a known objective, and one worker on it: `python toy.py URL NAME TRIALS SECONDS GRACE`.

SECONDS are those of its first trial, its second and so on, with commas; the last ones repeat.
"""

import sys
import time

from pumice.models.spaces.space import Choice, Position, Space
from pumice.search.cost import Listed
from pumice.search.objective import Called
from pumice.search.problem import Problem
from pumice.search.reward import piecewise
from pumice.search.searcher import Random
from pumice.search.study.study import open_study
from pumice.search.study.work import work


class Toy(Space):
    name = "toy"
    positions = tuple(Position(f"layer {i}", ("none", "small", "large")) for i in range(4))

    def spec(self, choice: Choice) -> None:
        raise NotImplementedError


def accuracy(choice: Choice) -> float:
    """No two choices have the same."""
    return sum((i + 1) * 3**i * option for i, option in enumerate(choice)) / 300


def problem(target: float | None = 5.0) -> Problem:
    space = Toy()
    costs = {(a, b, c, d): float(a + b + c + d) for a in range(3) for b in range(3) for c in range(3) for d in range(3)}
    return Problem(space, Listed(costs, "ms"), target, piecewise(target or 5.0))


def main(url: str, name: str, trials: str, seconds: str, grace: str) -> None:
    naps = [float(one) for one in seconds.split(",")]

    def judge(choice: Choice) -> float:
        print("judges", *choice, flush=True)
        time.sleep(naps.pop(0) if len(naps) > 1 else naps[0])
        return accuracy(choice)

    study = open_study(problem(), url, name, {"seed": 0}, beat_s=1, grace_s=int(grace))
    print("ready", flush=True)
    sys.stdin.readline()
    for judged in work(study, Random(study.problem, 0), Called(judge), int(trials)):
        print("finished", judged.trial.number, flush=True)
    study.storage.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
