"""What a data set is, small enough for every run folder: counts, and a digest that tells whether it has changed."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pumice.data.boxes import BoxSet
from pumice.data.images import ImageSet, Splits
from pumice.data.masks import MaskSet
from pumice.data.poses import PoseSet


def description(splits: Splits[Any]) -> dict[str, Any]:
    """JSON values: what the user called the data, images per class and split, files skipped, digest of the names.

    Of dense tasks: samples per split, and what there is of each class, see `of_class`.
    """
    sides = {"train": splits.train, "val": splits.val}
    if isinstance(splits.train, ImageSet):
        counts: dict[str, Any] = {"images": {side: per_class(images) for side, images in sides.items()}}
    else:
        counts = {
            "samples": {side: len(samples) for side, samples in sides.items()},
            "of_class": {side: of_class(samples) for side, samples in sides.items()},
        }
    return {
        "source": splits.source,
        "classes": list(splits.classes),
        **counts,
        "skipped": len(splits.skipped),
        "names_sha256": names_digest(splits),
    }


def per_class(images: ImageSet) -> dict[str, int]:
    """How many images each class has, in order of the classes."""
    counts = [0] * len(images.classes)
    for label in images.labels:
        counts[label] += 1
    return dict(zip(images.classes, counts, strict=True))


def of_class(samples: BoxSet | MaskSet | PoseSet) -> dict[str, int]:
    """Boxes of each class, pixels of each class where they have been counted, labelled joints of each kind."""
    counts = [0] * len(samples.classes)
    if isinstance(samples, BoxSet):
        for target in samples.targets:
            for label in target.labels.tolist():
                counts[label] += 1
    elif isinstance(samples, PoseSet):
        counts = [sum(int(pose.joints[i, 2] > 0) for pose in samples.poses) for i in range(len(counts))]
    elif samples.pixels is not None:
        counts = samples.pixels.sum(axis=0)[:-1].tolist()
    else:
        return {}
    return dict(zip(samples.classes, counts, strict=True))


def names_digest(splits: Splits[Any]) -> str:
    """SHA-256 over split, name and truth of every sample, in order.  No pixel is read, and so no mask."""
    digest = sha256()
    for word, samples in (("train", splits.train), ("val", splits.val)):
        truth = _truth(samples)
        for index, name in enumerate(samples.names):
            line = "\0".join((word, truth(index), name))
            digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _truth(samples: ImageSet | BoxSet | MaskSet | PoseSet) -> Callable[[int], str]:
    """What a sample is labelled with, in words."""
    if isinstance(samples, ImageSet):
        return lambda index: samples.classes[samples.labels[index]]
    if isinstance(samples, BoxSet):
        return lambda index: repr(
            [samples.targets[index].boxes.tolist(), [samples.classes[i] for i in samples.targets[index].labels]]
        )
    if isinstance(samples, PoseSet):
        return lambda index: repr([samples.poses[index].box, samples.poses[index].joints.tolist()])
    return lambda index: "/".join(samples.classes)
