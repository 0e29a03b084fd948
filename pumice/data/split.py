"""Which images of a set are kept for validation: the same ones every time, of every class."""

from collections.abc import Sequence
from hashlib import sha256

from pumice.data.images import ImageSet
from pumice.errors import BadInput


def split_set(images: ImageSet, *, val_fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """A training and a validation set, each in the order of `images`.

    Stratified: of n images of a class, round(n * val_fraction) are kept for validation, but at least one for each
    side where n >= 2.  Which ones is a function of the seed and the images' names alone, so that it is the same on
    every machine, and an image more or less moves no other class.

    Raises:
        BadInput: the fraction is not between 0 and 1.
    """
    if not 0 < val_fraction < 1:
        raise BadInput(f"a validation fraction of {val_fraction} is impossible; give one between 0 and 1, such as 0.2")
    members: list[list[int]] = [[] for _ in images.classes]
    for index, label in enumerate(images.labels):
        members[label].append(index)
    kept: set[int] = set()
    for indices in members:
        kept.update(drawn(indices, images.names, val_fraction, seed))
    everyone = range(len(images))
    return images.subset(i for i in everyone if i not in kept), images.subset(i for i in everyone if i in kept)


def drawn(indices: list[int], names: Sequence[str], fraction: float, seed: int) -> list[int]:
    """Those of the indices that are kept for validation: none of a single one, else at least one and not all."""
    if len(indices) < 2:
        return []
    count = min(max(round(len(indices) * fraction), 1), len(indices) - 1)
    # Names drawn by their digest: a random order that needs no generator, so no library's version can change it.
    return sorted(indices, key=lambda i: sha256(f"{seed}/{names[i]}".encode(errors="surrogateescape")).digest())[:count]
