"""Accuracy that a file loses against the float network, judged on the same images, so that most chance cancels.

Only images that one of the two gets right and the other wrong say anything of the drop.  The interval is Agresti and
Min's adjusted one for the difference of paired proportions ("Simple improved confidence intervals for comparing matched
proportions", Statistics in Medicine 24, 2005): half an image is added to each of the four cells, so that it does not
shrink to nothing where no answer differs.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH = 2000
"""Images from which the point estimate decides.

Half of such an interval is then about 0.4 points where 1 % of the answers change."""
Z = 1.959964


@dataclass(frozen=True)
class Drop:
    """Points of top-1 that are lost, negative where some are gained.

    points: lost, of 100.  low, high: the paired 95 % interval of that.
    lost, gained: images that only the float network, and only the file gets right.
    images: judged.  agreement: share of them with the same answer.
    """

    points: float
    low: float
    high: float
    lost: int
    gained: int
    images: int
    agreement: float

    def within(self, most: float) -> bool:
        """Whether at most `most` points are lost: by the estimate, or by the interval's end of fewer than ENOUGH."""
        return (self.points if self.images >= ENOUGH else self.high) <= most

    def unsure(self, most: float) -> bool:
        """Whether it is only for want of images that nobody can say so."""
        return not self.within(most) and self.points <= most

    def sentence(self) -> str:
        """ "-0.3 points (-0.9 to +0.3)": what happened to top-1."""
        return f"{-self.points:+.2f} points ({-self.high:+.2f} to {-self.low:+.2f})"

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "method": "Agresti-Min, paired, 95 %"}


def drop_between(before: NDArray[Any], after: NDArray[Any], labels: NDArray[Any]) -> Drop:
    """The drop from the answers (N,) of one network to those of another; labels (N,) are the right ones."""
    was, now = before == labels, after == labels
    lost, gained, images = int((was & ~now).sum()), int((~was & now).sum()), len(labels)
    low, high = interval(lost, gained, images)
    agreement = float(np.mean(before == after))
    return Drop(100 * (lost - gained) / images, 100 * low, 100 * high, lost, gained, images, agreement)


def interval(lost: int, gained: int, images: int) -> tuple[float, float]:
    """95 % interval of (lost - gained) / images, both of the same images."""
    total, difference = images + 2, lost - gained
    half = Z * math.sqrt(lost + gained + 1 - difference**2 / total) / total
    middle = difference / total
    return middle - half, middle + half
