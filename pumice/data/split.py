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
    kept = kept_for_validation(images.labels, images.names, val_fraction=val_fraction, seed=seed)
    everyone = range(len(images))
    return images.subset(i for i in everyone if i not in kept), images.subset(i for i in everyone if i in kept)


def kept_for_validation(
    groups: Sequence[int], names: Sequence[str], *, val_fraction: float, seed: int
) -> frozenset[int]:
    """Indices that `split_set` keeps, of samples with these groups (in its case classes) and names.

    Raises:
        BadInput: the fraction is not between 0 and 1.
    """
    if not 0 < val_fraction < 1:
        raise BadInput(f"a validation fraction of {val_fraction} is impossible; give one between 0 and 1, such as 0.2")
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return frozenset(index for indices in members.values() for index in _drawn(indices, names, val_fraction, seed))


def _drawn(indices: list[int], names: Sequence[str], fraction: float, seed: int) -> list[int]:
    if len(indices) < 2:
        return []
    count = min(max(round(len(indices) * fraction), 1), len(indices) - 1)
    # Names drawn by their digest: a random order that needs no generator, so no library's version can change it.
    return sorted(indices, key=lambda i: sha256(f"{seed}/{names[i]}".encode(errors="surrogateescape")).digest())[:count]
