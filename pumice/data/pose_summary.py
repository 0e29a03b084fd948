"""What images with persons hold: persons, and how often each joint is labelled."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pumice.data.images import Splits
from pumice.data.poses import PoseSet
from pumice.data.summary import Summary, in_both

FEW = 100  # labels of a joint below which advice is given
SMALL = 32  # pixels: persons not as high are hardly recognised


@dataclass(frozen=True)
class PoseCounts:
    """Of one set.

    images: how many hold a person; persons: how many samples there are.
    others: who is annotated beside them: crowds, persons without labelled joints.
    per_class: labels of each joint; hidden: how many of them are of a joint that is not seen.
    height: least, median and greatest height of a person's box, pixels.
    small: persons less than 32 pixels high.
    """

    images: int
    persons: int
    others: int
    per_class: dict[str, int]
    hidden: dict[str, int]
    height: tuple[float, float, float]
    small: int


def summary(splits: Splits[PoseSet]) -> Summary[PoseCounts]:
    """Count the persons and joints of an opened data set; no image is read."""
    train, val = counts(splits.train), counts(splits.val)
    learnt, judged = ((pose.image for pose in side.poses) for side in (splits.train, splits.val))
    shared, problems = in_both(learnt, judged)
    advice: list[str] = []
    unlearnt = [name for name, n in train.per_class.items() if not n and val.per_class[name]]
    if unlearnt:
        problems.append(f"joint {unlearnt[0]!r} is labelled to judge by and never to learn from; add images of it")
    few = sorted((n, name) for name, n in train.per_class.items() if n < FEW)
    advice += [f"joint {name!r} is labelled {n} times to learn from; add some" for n, name in few[:3]]
    if len(few) > 3:
        advice.append(f"{len(few) - 3} more joints are labelled fewer than {FEW} times")
    if not splits.train.skeleton.measured:
        advice.append("the file gives no sigmas for all joints, so OKS AP is by a guess; look at PCK")
    if train.small > train.persons / 10:
        advice.append(f"{train.small} persons to learn from are less than {SMALL} pixels high")
    return Summary(splits.source, train, val, splits.skipped, shared, tuple(problems), tuple(advice))


def counts(samples: PoseSet) -> PoseCounts:
    """Of one set."""
    seen = np.zeros((len(samples.classes), 3), np.int64)
    for pose in samples.poses:
        for i, visibility in enumerate(pose.joints[:, 2].astype(int).tolist()):
            seen[i, visibility] += 1
    heights = [pose.box[3] - pose.box[1] for pose in samples.poses]
    return PoseCounts(
        images=len(Counter(pose.image for pose in samples.poses)),
        persons=len(samples),
        others=len(samples.others),
        per_class=dict(zip(samples.classes, seen[:, 1:].sum(axis=1).tolist(), strict=True)),
        hidden=dict(zip(samples.classes, seen[:, 1].tolist(), strict=True)),
        height=(min(heights), float(np.median(heights)), max(heights)) if heights else (0.0, 0.0, 0.0),
        small=sum(height < SMALL for height in heights),
    )
