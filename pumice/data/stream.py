"""Labelled images that come in shards, each read from front to back, because nothing can be indexed beforehand."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from pumice.data.image import BadImage, ImageBytes, ImageFile, check_image
from pumice.data.images import ImageSet, Skipped
from pumice.data.labels import Label, classes_of, indexer
from pumice.errors import BadInput
from pumice.progress import track


class Encoded(NamedTuple):
    """An image as a shard holds it, with its label."""

    file: ImageBytes
    label: Label


Shard = Callable[[], Iterator[Encoded]]


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Images to learn from that are streamed.

    classes: names of the classes, in order.
    images: how many make an epoch.
    shards: a function per shard that reads it anew; every process must be able to call it.
    buffer: images that shuffling chooses from.
    strict: whether an image that cannot be read ends the training; it is left out otherwise.
    """

    classes: tuple[str, ...]
    images: int
    shards: tuple[Shard, ...] = field(repr=False)
    buffer: int = 1000
    strict: bool = False

    def __len__(self) -> int:
        return self.images


def count(shards: Sequence[Shard], source: str) -> tuple[int, list[Label]]:
    """How many images the shards hold and their different labels, by reading all of them once, which it says.

    Raises:
        BadInput: a shard cannot be read, or there are no labelled images.
    """
    print(
        f"counting images and classes in a first pass over {len(shards)} shards of {source}; "
        "data.epoch_images and class names beside the shards would save it",
        file=sys.stderr,
    )
    total, labels = 0, set()
    for shard in track(shards, "Counting"):
        for encoded in shard():
            total += 1
            labels.add(encoded.label)
    if not total:
        raise BadInput(f"there are no labelled images in {source}")
    return total, list(labels)


def make_stream(
    shards: Sequence[Shard],
    names: tuple[str, ...] | None,
    images: int | None,
    source: str,
    *,
    buffer: int,
    strict: bool,
) -> ImageStream:
    """A stream whose classes and length are given, or else counted.

    Raises:
        BadInput: see `count` and `classes_of`.
    """
    labels: list[Label] = []
    if names is None or images is None:
        total, labels = count(shards, source)
        images = total if images is None else images
    return ImageStream(classes_of(labels, names, source), images, tuple(shards), buffer, strict)


def first_images(
    shards: Sequence[Shard], limit: int, classes: tuple[str, ...], source: str, *, strict: bool
) -> tuple[ImageSet, list[Skipped]]:
    """The first images of the shards, encoded in memory, as a set to judge by.

    Raises:
        BadInput: there are none, their labels are unknown, or, if strict, one cannot be read.
    """
    index_of = indexer(classes, source)
    labels: list[int] = []
    files: list[ImageBytes] = []
    skipped: list[Skipped] = []
    every = (encoded for shard in shards for encoded in shard())
    for encoded in track(islice(every, limit), "Fetching validation images", limit):
        try:
            check_image(encoded.file)
        except BadImage as error:
            if strict:
                raise
            skipped.append(Skipped(error.name, error.reason, damaged=True))
            continue
        labels.append(index_of(encoded.label))
        files.append(encoded.file)
    if not files:
        raise BadInput(f"there are no images to validate by in {source}; name others with --set data.val=PATTERN")
    names = tuple(file.name for file in files)
    loaders = tuple(ImageFile(partial(ImageBytes, file.getvalue(), file.name)) for file in files)
    return ImageSet(classes, tuple(labels), names, loaders), skipped
