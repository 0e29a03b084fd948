"""In which order the channels of each tensor lie: classes of tensors whose orders go together, and what limits them.

A *label* of a tensor is the number that a channel has in the network as written.  Where its channels really lie is
free, as far as whoever makes and reads the tensor allows.  Tensors that are tied (the input and output of an
activation, the two terms of a sum) are one class with one order.  A limit says in which block of positions each label
must lie: a grouped convolution wants each group's channels in the group's block, in any order; what nobody understands
wants every channel at its own place.
"""

from collections.abc import Sequence

Bounds = list[tuple[int, int]]  # for each label the block of positions, first and end, in which it must lie


def anywhere(channels: int) -> Bounds:
    """No limit."""
    return [(0, channels)] * channels


def blocks(channels: int, count: int) -> Bounds:
    """Each of `count` equal groups in its own block; as many groups as channels is the order as written."""
    each = channels // count
    return [(i // each * each, i // each * each + each) for i in range(channels)]


class Orders:
    """Tensors by number, from 0 on.  Every method that returns bool changes nothing where it returns False."""

    def __init__(self) -> None:
        self.class_of: list[int] = []
        self.place: list[list[int]] = []  # tensor -> its label -> the label of its class
        self.bounds: dict[int, Bounds] = {}
        self.members: dict[int, list[int]] = {}

    def new(self, channels: int, bounds: Bounds | None = None) -> int:
        """A tensor that is tied to none."""
        number = len(self.class_of)
        self.class_of.append(number)
        self.place.append(list(range(channels)))
        self.bounds[number] = bounds or anywhere(channels)
        self.members[number] = [number]
        return number

    def channels(self, tensor: int) -> int:
        """How many it has."""
        return len(self.place[tensor])

    def limit(self, tensor: int, bounds: Bounds) -> bool:
        """Whether the labels can lie in those blocks as well; from now on they must."""
        own = self.class_of[tensor]
        by_class: Bounds = [(0, 0)] * len(bounds)
        for label, at in enumerate(self.place[tensor]):
            by_class[at] = bounds[label]
        both = _both(self.bounds[own], by_class)
        if both is None:
            return False
        self.bounds[own] = both
        return True

    def tie(self, one: int, other: int, labels: Sequence[int]) -> bool:
        """Whether label i of `one` can lie where label labels[i] of `other` lies; from now on it does."""
        a, b = self.class_of[one], self.class_of[other]
        pairs = [(self.place[one][i], self.place[other][label]) for i, label in enumerate(labels)]
        if a == b:
            return all(x == y for x, y in pairs)
        if len(self.members[a]) > len(self.members[b]):
            a, b, pairs = b, a, [(y, x) for x, y in pairs]
        onto = dict(pairs)
        moved: Bounds = [(0, 0)] * len(pairs)
        for at, bound in enumerate(self.bounds[a]):
            moved[onto[at]] = bound
        both = _both(self.bounds[b], moved)
        if both is None:
            return False
        self.bounds[b] = both
        for member in self.members.pop(a):
            self.class_of[member] = b
            self.place[member] = [onto[at] for at in self.place[member]]
            self.members[b].append(member)
        del self.bounds[a]
        return True

    def bound(self, tensor: int, label: int) -> tuple[int, int]:
        """The block in which a label must lie."""
        return self.bounds[self.class_of[tensor]][self.place[tensor][label]]


def _both(one: Bounds, other: Bounds) -> Bounds | None:
    """Both limits at once; None where no order obeys both."""
    both = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other, strict=True)]
    count: dict[tuple[int, int], int] = {}
    for block in both:
        count[block] = count.get(block, 0) + 1
    return both if all(end - start == count[start, end] for start, end in count) else None
