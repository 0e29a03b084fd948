"""What a data set is, small enough for every run folder: counts, and a digest that tells whether it has changed."""

from hashlib import sha256
from typing import Any

from pumice.data.images import ImageSet, Splits


def description(splits: Splits) -> dict[str, Any]:
    """JSON values: what the user called the data, images per class and split, files skipped, digest of the names."""
    return {
        "source": splits.source,
        "classes": list(splits.classes),
        "images": {"train": per_class(splits.train), "val": per_class(splits.val)},
        "skipped": len(splits.skipped),
        "names_sha256": names_digest(splits),
    }


def per_class(images: ImageSet) -> dict[str, int]:
    """How many images each class has, in order of the classes."""
    counts = [0] * len(images.classes)
    for label in images.labels:
        counts[label] += 1
    return dict(zip(images.classes, counts, strict=True))


def names_digest(splits: Splits) -> str:
    """SHA-256 over split, class and name of every image, in order.  No pixel is read."""
    digest = sha256()
    for word, images in (("train", splits.train), ("val", splits.val)):
        for label, name in zip(images.labels, images.names, strict=True):
            line = "\0".join((word, images.classes[label], name))
            digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()
