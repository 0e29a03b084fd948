"""From accuracy and cost to the one number that a search maximises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


class Reward(ABC):
    """A function of accuracy, from 0 to 1, and cost."""

    @abstractmethod
    def of(self, accuracy: float, cost: float | None) -> float:
        """Higher is better."""


@dataclass(frozen=True)
class Accuracy(Reward):
    """Accuracy alone; a target, where there is one, is the searcher's to keep."""

    def of(self, accuracy: float, cost: float | None) -> float:
        """accuracy."""
        return accuracy


@dataclass(frozen=True)
class Weighted(Reward):
    """ACC * (COST / T)^w, w = alpha where COST <= T, else beta: equations 2 and 3 of MnasNet (arXiv:1807.11626).

    alpha = beta = -0.07 is the paper's soft form, in which T does not change which net is best; MobileNetV3-Small took
    -0.15; alpha = 0, beta = -1 is the piecewise form, for a real budget.
    """

    target: float
    alpha: float = -0.07
    beta: float = -0.07

    def of(self, accuracy: float, cost: float | None) -> float:
        """Accuracy weighted by cost."""
        assert cost is not None, "the problem has no cost"
        return accuracy * float((cost / self.target) ** (self.alpha if cost <= self.target else self.beta))


def piecewise(target: float) -> Weighted:
    """Accuracy within the target, ACC * T / COST beyond."""
    return Weighted(target, alpha=0.0, beta=-1.0)
