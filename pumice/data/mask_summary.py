"""What images with masks hold: the share of the pixels that each class has, and how many images it is in."""

from dataclasses import dataclass

import numpy as np

from pumice.data.images import Splits
from pumice.data.masks import MaskSet, count_pixels
from pumice.data.summary import Summary, in_both

FEW = 20  # images with a class below which advice is given
RARE = 0.005  # share of the pixels
MUCH_VOID = 0.5  # share of the pixels


@dataclass(frozen=True)
class MaskCounts:
    """Of one set.

    images: how many.
    void: share of the pixels that are void.
    all_void: images without any other pixel.
    shares: of each class, of the pixels that are not void.
    images_per_class: images that hold a pixel of each class.
    """

    images: int
    void: float
    all_void: int
    shares: dict[str, float]
    images_per_class: dict[str, int]


def summary(splits: Splits[MaskSet]) -> Summary[MaskCounts]:
    """Count the pixels of an opened data set; masks are read only where they have not been counted."""
    train, val = counts(splits.train), counts(splits.val)
    shared, problems = in_both(splits.train.names, splits.val.names)
    advice: list[str] = []
    for name, n in train.images_per_class.items():
        if not n and val.images_per_class[name]:
            problems.append(f"class {name!r} has pixels to judge by but none to learn from; add images of it")
        elif not n:
            advice.append(f"no mask has class {name!r}; remove it from the class list, or add images of it")
    known = {name: n for name, n in train.images_per_class.items() if n}
    few = sorted((n, name) for name, n in known.items() if n < FEW)
    advice += [f"class {name!r} is in {n} image{'' if n == 1 else 's'} to learn from; add some" for n, name in few[:3]]
    if len(few) > 3:
        advice.append(f"{len(few) - 3} more classes are in fewer than {FEW} images")
    rare = [name for name in known if train.shares[name] < RARE]
    if rare:
        advice.append(
            f"class {rare[0]!r} has {100 * train.shares[rare[0]]:.2f} % of the pixels; "
            "try --set task.weights=enet, and look at IoU class by class"
        )
    if train.void > MUCH_VOID:
        advice.append(f"{100 * train.void:.0f} % of the pixels are void, from which nothing is learnt")
    if train.all_void:
        advice.append(f"{train.all_void} images to learn from are void all over; leave them out")
    return Summary(splits.source, train, val, splits.skipped, shared, tuple(problems), tuple(advice))


def counts(samples: MaskSet) -> MaskCounts:
    """Of one set."""
    pixels = count_pixels(samples)
    learnt, every = pixels[:, :-1], max(1, int(pixels.sum()))
    total = max(1, int(learnt.sum()))
    return MaskCounts(
        images=len(samples),
        void=int(pixels[:, -1].sum()) / every,
        all_void=int((learnt.sum(axis=1) == 0).sum()),
        shares=dict(zip(samples.classes, (learnt.sum(axis=0) / total).tolist(), strict=True)),
        images_per_class=dict(zip(samples.classes, np.count_nonzero(learnt, axis=0).tolist(), strict=True)),
    )
