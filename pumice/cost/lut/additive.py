"""Latency of a search-space point as a sum: one term for each (position, choice), and a constant.

This is the lookup table of FBNet (Wu et al., CVPR 2019, arXiv:1812.03443, section 3.2), with terms that are either
given or fitted to whole networks by least squares.  A query is a sum over the positions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput

Array = NDArray[np.float64]
Choices = NDArray[np.int64]


@dataclass(frozen=True)
class Additive:
    """terms: ms, (positions, choices).  constant: ms."""

    terms: Array
    constant: float = 0.0

    def predict(self, choices: Choices) -> Array:
        """Choices (..., positions) -> ms (...).

        Raises:
            BadInput: the number of positions, or a choice, is not the table's.
        """
        positions, count = self.terms.shape
        if choices.shape[-1] != positions or choices.min(initial=0) < 0 or choices.max(initial=0) >= count:
            raise BadInput(f"this table has {positions} positions of choices 0 to {count - 1}; other choices are given")
        return self.constant + self.terms[np.arange(positions), choices].sum(-1)


def fit_additive(choices: Choices, ms: Array) -> Additive:
    """Least squares on whole networks.

    A term and the constant can be traded against each other, and what was never chosen is not known: of all that fit
    equally well, the smallest terms about the mean of `ms` are taken, so that an unseen choice counts like an average
    one.

    Args:
        choices: (networks, positions).
        ms: (networks,).
    """
    networks, positions = choices.shape
    count = int(choices.max()) + 1
    shown = np.zeros((networks, positions * count))
    shown[np.arange(networks)[:, None], np.arange(positions) * count + choices] = 1.0
    mean = float(ms.mean())
    # The columns are centred, so that the minimum-norm solution leaves the mean to the constant.
    centre = shown.mean(0)
    terms, *_ = np.linalg.lstsq(shown - centre, ms - mean, rcond=None)
    return Additive(terms.reshape(positions, count), mean - float(centre @ terms))


def r_squared(measured: Array, predicted: Array) -> float:
    """Share of the variance that is explained: 1 - sum (y - f)^2 / sum (y - mean y)^2."""
    return 1.0 - float(((measured - predicted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())
