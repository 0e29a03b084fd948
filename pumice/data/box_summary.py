"""What images with boxes hold: boxes of each class, boxes an image, and how large they are."""

from dataclasses import dataclass

import numpy as np

from pumice.data.boxes import BoxSet
from pumice.data.images import Splits
from pumice.data.summary import Summary, in_both

SMALL, LARGE = 32**2, 96**2  # square pixels: COCO's borders
FEW = 50  # boxes of a class below which advice is given
TINY = 0.02  # of the image's side: less than 7 pixels of an input of 320
UNEVEN = 20.0  # times as many boxes of the commonest class as of the rarest


@dataclass(frozen=True)
class BoxCounts:
    """Of one set.

    images: how many; empty: those without boxes.
    boxes: how many, without crowds; crowds: how many of those.
    per_class: boxes of each class, without crowds.
    images_per_class: images that hold a box of each class.
    per_image: least, median and greatest number of boxes of an image.
    small, medium, large: boxes below 32 x 32 pixels of the image, up to 96 x 96, and above.
    tiny: boxes a side of which is less than a fiftieth of the image's.
    """

    images: int
    empty: int
    boxes: int
    crowds: int
    per_class: dict[str, int]
    images_per_class: dict[str, int]
    per_image: tuple[int, float, int]
    small: int
    medium: int
    large: int
    tiny: int


def summary(splits: Splits[BoxSet]) -> Summary[BoxCounts]:
    """Count the boxes of an opened data set; no image is read."""
    train, val = counts(splits.train), counts(splits.val)
    shared, problems = in_both(splits.train.names, splits.val.names)
    advice: list[str] = []
    unlearnt = [name for name, n in train.per_class.items() if not n and val.per_class[name]]
    if unlearnt:
        problems.append(f"class {unlearnt[0]!r} has boxes to judge by but none to learn from; add images of it")
    known = {name: n for name, n in train.per_class.items() if n}
    few = sorted((n, name) for name, n in known.items() if n < FEW)
    advice += [f"class {name!r} has {n} boxes to learn from; add some" for n, name in few[:3]]
    if len(few) > 3:
        advice.append(f"{len(few) - 3} more classes have fewer than {FEW} boxes")
    if known and max(known.values()) >= UNEVEN * min(known.values()):
        ratio = max(known.values()) / min(known.values())
        advice.append(
            f"the commonest class has {ratio:.0f} times as many boxes as the rarest; look at AP class by class"
        )
    if train.boxes and train.tiny > train.boxes / 10:
        share = 100 * train.tiny / train.boxes
        advice.append(f"{share:.0f} % of the boxes are tiny, a fiftieth of the image or less; try a larger --img-size")
    return Summary(splits.source, train, val, splits.skipped, shared, tuple(problems), tuple(advice))


def counts(images: BoxSet) -> BoxCounts:
    """Of one set."""
    labels = [target.labels[~target.crowd] for target in images.targets]
    numbers = [len(mine) for mine in labels]
    areas = np.concatenate([np.zeros(0), *(target.areas[~target.crowd] for target in images.targets)])
    tiny = 0
    for (height, width), target in zip(images.sizes, images.targets, strict=True):
        boxes = target.boxes[~target.crowd]
        tiny += int(((boxes[:, 2:] - boxes[:, :2]) < (TINY * width, TINY * height)).any(axis=1).sum())
    many = len(images.classes)
    held = np.concatenate([np.zeros(0, np.int64), *labels])
    present = np.concatenate([np.zeros(0, np.int64), *map(np.unique, labels)])
    return BoxCounts(
        images=len(images),
        empty=numbers.count(0),
        boxes=sum(numbers),
        crowds=sum(int(target.crowd.sum()) for target in images.targets),
        per_class=dict(zip(images.classes, np.bincount(held, minlength=many).tolist(), strict=True)),
        images_per_class=dict(zip(images.classes, np.bincount(present, minlength=many).tolist(), strict=True)),
        per_image=(min(numbers), float(np.median(numbers)), max(numbers)) if numbers else (0, 0.0, 0),
        small=int((areas < SMALL).sum()),
        medium=int(((areas >= SMALL) & (areas <= LARGE)).sum()),
        large=int((areas > LARGE).sum()),
        tiny=tiny,
    )
