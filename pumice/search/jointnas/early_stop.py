"""From which epoch on is the ranking of trainings that of their end?"""

from collections.abc import Sequence

from pumice.cost.rank import spearman
from pumice.errors import BadInput

THRESHOLD = 0.92  # of the paper


def stop_epoch(curves: Sequence[Sequence[float]], threshold: float = THRESHOLD) -> int:
    """The first epoch, counted from 1, whose accuracies rank the trainings almost as the last epoch's do.

    Rankings are compared by Spearman's rho.  All further trainings may end at that epoch of the same schedule.

    Args:
        curves: of each training of the first batch, the accuracy after every epoch.

    Raises:
        BadInput: fewer than two trainings, or of different lengths, or without an epoch.
    """
    lengths = {len(curve) for curve in curves}
    if len(curves) < 2 or len(lengths) != 1 or 0 in lengths:
        raise BadInput(f"{len(curves)} trainings of {sorted(lengths)} epochs show no ranking; give several, all whole")
    final = [curve[-1] for curve in curves]
    (epochs,) = lengths
    for epoch in range(1, epochs):
        if spearman([curve[epoch - 1] for curve in curves], final) >= threshold:
            return epoch
    return epochs
