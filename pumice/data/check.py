"""Is a data set fit to learn from: damaged files, images on both sides of the split, contradicting labels, balance."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pumice.data.alike import close_pairs, looks_same
from pumice.data.images import ImageSet, Skipped, Splits
from pumice.data.inspect import Seen, inspect

# Near duplicates: the bits of 64 in which their hashes differ at most, and the correlation of their small copies.  On
# CIFAR-10 that finds 120 pairs of training and test images, all of them the same picture to the eye; 4 bits find 51.
NEAR_BITS, NEAR_BITS_OF_MANY = 8, 4
MANY = 200_000  # images from which on comparing hashes that differ in 8 bits takes minutes
ALIKE = 0.95
FLAT = 8.0  # standard deviation of grey below which an image has too little in it to be recognised
TINY = 16  # pixels a side below which images of one class look alike by nature
FEW = 20  # images of a class below which advice is given
UNEVEN = 10.0  # times as many images in the largest class as in the smallest
TINY_SET = 100  # validation images below which an accuracy says little


@dataclass(frozen=True)
class Pair:
    """Two images that are the same.

    first, second: their names, as `ImageSet.names` has them.
    where: the split of each.
    labels: the class of each.
    bits: in which their hashes differ; None where their files are equal byte by byte.
    """

    first: str
    second: str
    where: tuple[str, str]
    labels: tuple[str, str]
    bits: int | None

    @property
    def leaks(self) -> bool:
        """Whether one is learnt from and the other judged by."""
        return self.where[0] != self.where[1]

    @property
    def contradicts(self) -> bool:
        """Whether they are of different classes."""
        return self.labels[0] != self.labels[1]


@dataclass(frozen=True)
class DataReport:
    """What was found.

    source: what the user called the data.
    classes: name, training and validation images of each class.
    damaged: images that cannot be read, with the reason.
    left_out: other files that are not used, with the reason.
    leaks: pairs of a training and a validation image that are the same, equal ones first.
    contradictions: pairs of different classes that are the same.
    repeated: training images that equal another one of their class byte by byte.
    sizes: "width", "height" and "aspect" -> least, median and greatest.
    shapes: width and height of each image, in the order of `names`.
    modes, formats: how many images of each kind of pixels and of file.
    turned: images that EXIF says to turn.
    problems: what would hurt, in sentences; the data are fit to learn from if there are none.
    advice: what else to think of, in sentences.
    """

    source: str
    classes: tuple[tuple[str, int, int], ...]
    damaged: tuple[Skipped, ...]
    left_out: tuple[Skipped, ...]
    leaks: tuple[Pair, ...]
    contradictions: tuple[Pair, ...]
    repeated: int
    sizes: dict[str, tuple[float, float, float]]
    shapes: tuple[tuple[int, int], ...]
    modes: dict[str, int]
    formats: dict[str, int]
    turned: int
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would hurt."""
        return not self.problems

    @property
    def ratio(self) -> float:
        """Training images of the largest class over those of the smallest, classes without any left out."""
        counts = [train for _, train, _ in self.classes if train]
        return max(counts) / min(counts) if counts else 1.0

    @property
    def evenness(self) -> float:
        """Entropy of the classes of training images as a share of its greatest value: 1 where all are equally many."""
        counts = np.array([train for _, train, _ in self.classes if train], np.float64)
        if len(counts) < 2:
            return 1.0
        shares = counts / counts.sum()
        return float(-(shares * np.log(shares)).sum() / np.log(len(self.classes)))

    def to_json(self) -> dict[str, Any]:
        """JSON values, without the shapes of single images."""
        record = {k: v for k, v in asdict(self).items() if k not in ("shapes", "classes")}
        record["classes"] = [{"name": n, "train": train, "val": val} for n, train, val in self.classes]
        record["images"] = {"train": sum(c[1] for c in self.classes), "val": sum(c[2] for c in self.classes)}
        every: dict[str, Any] = {"ok": self.ok, **record, "ratio": self.ratio, "evenness": self.evenness}
        return dict(json.loads(json.dumps(every)))  # tuples as lists


def check(splits: Splits) -> DataReport:
    """Look at every image of an opened data set, each read and decoded once."""
    parts: list[tuple[str, ImageSet]] = [("train", splits.train), ("val", splits.val)]
    seen = [one for _, images in parts for one in inspect(images)]
    where = [split for split, images in parts for _ in range(len(images))]
    names = [name for _, images in parts for name in images.names]
    labels = [splits.classes[label] for _, images in parts for label in images.labels]
    good = [i for i, one in enumerate(seen) if not one.fault]
    pairs, repeated = pairs_of(seen, good, where, names, labels)
    late = [Skipped(names[i], one.fault, damaged=True) for i, one in enumerate(seen) if one.fault]
    shapes = [seen[i].header.size for i in good]
    counts = {split: Counter(images.labels) for split, images in parts}
    report = DataReport(
        source=splits.source,
        classes=tuple((name, counts["train"][i], counts["val"][i]) for i, name in enumerate(splits.classes)),
        damaged=(*(one for one in splits.skipped if one.damaged), *late),
        left_out=tuple(one for one in splits.skipped if not one.damaged),
        leaks=tuple(pair for pair in pairs if pair.leaks),
        contradictions=tuple(pair for pair in pairs if pair.contradicts),
        repeated=repeated,
        sizes=_sizes(shapes),
        shapes=tuple(shapes),
        modes=dict(Counter(seen[i].header.mode for i in good).most_common()),
        formats=dict(Counter(seen[i].header.kind for i in good if seen[i].header.kind).most_common()),
        turned=sum(seen[i].header.turned for i in good),
    )
    return replace(report, problems=tuple(_problems(report)), advice=tuple(_advice(report)))


def pairs_of(
    seen: Sequence[Seen], good: Sequence[int], where: Sequence[str], names: Sequence[str], labels: Sequence[str]
) -> tuple[list[Pair], int]:
    """Pairs that leak or contradict, equal ones first, and how many images repeat another one harmlessly."""

    def pair(i: int, j: int, bits: int | None) -> Pair:
        return Pair(names[i], names[j], (where[i], where[j]), (labels[i], labels[j]), bits)

    equal: dict[bytes, list[int]] = defaultdict(list)
    for i in good:
        equal[seen[i].digest].append(i)
    found, repeated = [], 0
    for group in equal.values():
        for place, j in enumerate(group[1:], start=1):
            # Each is named once, beside one with which it is a fault if there is such a one.
            other = pair(min(group[:place], key=lambda i: (where[i], labels[i]) == (where[j], labels[j])), j, None)
            if other.leaks or other.contradicts:
                found.append(other)
            elif where[j] == "train":
                repeated += 1
    found += [
        near
        for i, j, bits in _near([group[0] for group in equal.values()], seen)
        if (near := pair(i, j, bits)).leaks or near.contradicts
    ]
    return found, repeated


def _near(unique: Sequence[int], seen: Sequence[Seen]) -> list[tuple[int, int, int]]:
    """Near duplicates among images of which no two are equal: indices i < j, and the bits in which they differ."""
    rows = [i for i in sorted(unique) if min(seen[i].header.size) >= TINY and _copy(seen[i]).std() >= FLAT]
    if not rows:
        return []
    hashes = np.array([seen[i].hash for i in rows], np.uint64)
    pairs = close_pairs(hashes, NEAR_BITS if len(hashes) < MANY else NEAR_BITS_OF_MANY)
    pairs = pairs[looks_same(np.stack([_copy(seen[i]) for i in rows]), pairs, ALIKE)]
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    return [(rows[i], rows[j], int(b)) for (i, j), b in zip(pairs.tolist(), bits, strict=True)]


def _copy(one: Seen) -> Any:
    assert one.copy is not None
    return one.copy


def _sizes(shapes: Sequence[tuple[int, int]]) -> dict[str, tuple[float, float, float]]:
    if not shapes:
        return {}
    wide, high = np.array(shapes, np.float64).T
    values = {"width": wide, "height": high, "aspect": wide / high}
    return {name: (float(v.min()), float(np.median(v)), float(v.max())) for name, v in values.items()}


def _problems(report: DataReport) -> list[str]:
    found = []
    if report.damaged:
        first = report.damaged[0]
        found.append(
            f"{_many(len(report.damaged), 'image')} cannot be read and will be left out "
            f"({first.path}: {first.reason}); remove or mend them"
        )
    if report.leaks:
        equal = sum(pair.bits is None for pair in report.leaks)
        one = report.leaks[0]
        found.append(
            f"{_many(len({p.second for p in report.leaks}), 'validation image')} also to be learnt from "
            f"({_many(equal, 'equal pair')}, {_many(len(report.leaks) - equal, 'near duplicate')}; {one.first} and "
            f"{one.second}); remove one of each, or the accuracy will be too good"
        )
    clear = [pair for pair in report.contradictions if pair.bits is None]
    if clear:
        one = clear[0]
        found.append(
            f"{_many(len(clear), 'pair')} of equal images with different labels ({one.first} is {one.labels[0]!r}, "
            f"{one.second} {one.labels[1]!r}); decide which is right"
        )
    return found


def _advice(report: DataReport) -> list[str]:
    said = []
    few = sorted((train, name) for name, train, _ in report.classes if train < FEW)
    for train, name in few[:3]:
        said.append(f"class {name!r} has {_many(train, 'image')} to learn from; add some, or merge it with another")
    if len(few) > 3:
        said.append(f"{len(few) - 3} more classes have fewer than {FEW} images")
    unjudged = [name for name, _, val in report.classes if not val]
    if unjudged:
        named = f"{_many(len(unjudged), 'class', 'classes')} without a validation image ({unjudged[0]!r})"
        said.append(f"{named}; add one, to see whether it is learnt")
    if report.ratio >= UNEVEN:
        said.append(
            f"the largest class has {report.ratio:.0f} times as many images as the smallest; try --set "
            "data.balanced=true, and look at the balanced accuracy"
        )
    judged = sum(val for _, _, val in report.classes)
    if judged < TINY_SET:
        said.append(f"{_many(judged, 'validation image')}: each moves the accuracy by {100 / max(1, judged):.1f} %")
    near = [pair for pair in report.contradictions if pair.bits is not None]
    if near:
        said.append(f"{_many(len(near), 'pair')} of nearly equal images of different classes; look at them")
    if report.repeated:
        said.append(f"{_many(report.repeated, 'training image')} equal to another of the same class; one is enough")
    if report.sizes and report.sizes["width"][2] * report.sizes["height"][2] > 4e6:
        said.append(
            "some images have more than 4 million pixels, of which a network sees few; smaller files load faster"
        )
    if report.turned:
        said.append(f"{_many(report.turned, 'image')} to turn by EXIF; Pumice does so, other programs may not")
    if report.left_out:
        first = report.left_out[0]
        said.append(f"{_many(len(report.left_out), 'file')} not used ({first.path}: {first.reason})")
    return said


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {more or one + 's'}"
