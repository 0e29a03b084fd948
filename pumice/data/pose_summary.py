"""What images with persons hold: persons, and how often each joint is labelled."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pumice.data.images import Skipped, Splits
from pumice.data.poses import PoseSet

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


@dataclass(frozen=True)
class PoseSummary:
    """What a data set holds.

    source: what the user called the data.
    train, val: counts.
    skipped: what could not be used.
    shared: names of images that occur in both sets.
    problems: what would hurt, in sentences.
    advice: what else to think of, in sentences.
    """

    source: str
    train: PoseCounts
    val: PoseCounts
    skipped: tuple[Skipped, ...]
    shared: tuple[str, ...]
    problems: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would hurt."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        record = asdict(self)
        for side in ("train", "val"):
            record[side]["height"] = list(record[side]["height"])
        return {"ok": self.ok, **{k: list(v) if isinstance(v, tuple) else v for k, v in record.items()}}


def summary(splits: Splits[PoseSet]) -> PoseSummary:
    """Count the persons and joints of an opened data set; no image is read."""
    train, val = counts(splits.train), counts(splits.val)
    sides = ({pose.image for pose in side.poses} for side in (splits.train, splits.val))
    shared = tuple(sorted(set.intersection(*sides)))
    problems, advice = [], []
    if shared:
        problems.append(
            f"{len(shared)} images are to be learnt from and to be judged by ({shared[0]}); remove them once"
        )
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
    return PoseSummary(splits.source, train, val, splits.skipped, shared, tuple(problems), tuple(advice))


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
