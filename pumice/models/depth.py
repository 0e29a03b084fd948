"""The depth multiplier of EfficientNet (arXiv:1905.11946), in timm's form for stages of several kinds of row."""

import math
from collections.abc import Sequence


def deepened(repeats: Sequence[int], depth: float) -> list[int]:
    """How often each kind of row stands in a stage `depth` times as deep: the stage's total rounds up.

    One kind gets ceil(repeats * depth), which is EfficientNet's rule.  Several share the total in proportion, the last
    kind first, each at least once, as timm shares it.

    >>> deepened([3], 1.2), deepened([1, 3], 1.2)
    ([4], [1, 4])
    """
    left = sum(repeats)
    target = math.ceil(left * depth)
    result: list[int] = []
    for n in reversed(repeats):
        result.insert(0, max(1, round(n / left * target)))
        left, target = left - n, target - result[0]
    return result
