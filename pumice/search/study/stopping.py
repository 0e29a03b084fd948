"""The median rule: a training ends early where most before it were better by the same epoch."""

from collections.abc import Mapping, Sequence
from statistics import median

Rewards = Mapping[int, float]
"""Epoch -> reward of the accuracy then."""


def falls_behind(rewards: Rewards, finished: Sequence[Rewards], least: int = 5) -> bool:
    """Whether the best so far is below the median of the finished trials at the same epoch (Golovin et al., KDD 2017).

    Args:
        rewards: of the trial that trains, the last epoch being now.
        finished: of trials of lower number, so that a search of one worker stops alike when it is replayed.
        least: how many of them must have come as far.
    """
    now = max(rewards)
    others = [one[now] for one in finished if now in one]
    return len(others) >= least and max(rewards.values()) < median(others)
