"""Decoded images kept in memory within a limit, so that a small set is decoded once and not every epoch."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar, final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.images import Load
from pumice.progress import track

GIB = 2**30
_kept: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
Set = TypeVar("Set", bound="Loaded")


class Loaded(Protocol):
    """A frozen dataclass of samples with a function per sample that gives its image."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def loaders(self) -> tuple[Load, ...]:
        """A function per sample; samples of one image share theirs."""


def keep_decoded(images: Set, limit_bytes: int = GIB) -> Set:
    """The same set, whose images stay in memory once read, until `limit_bytes` are used up; the rest is read anew.

    Whole images are kept, so results do not change.  Asking again for the same set gives the same answer, so that all
    the candidates of a `fit` share it.
    """
    if images not in _kept:
        allowance = Allowance(limit_bytes)
        kept = {id(load): Kept(load, allowance) for load in images.loaders}
        _kept[images] = replace(images, loaders=tuple(kept[id(load)] for load in images.loaders))
    found: Set = _kept[images]
    return found


def fill(images: Loaded) -> None:
    """Read what `keep_decoded` will keep, on all cores; worker processes forked afterwards share it.

    Raises:
        BadImage: a file has been removed or damaged since the set was opened.
    """
    empty = list({id(load): load for load in images.loaders if isinstance(load, Kept) and not load.full}.values())
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    chunks = [empty[start : start + 32] for start in range(0, len(empty), 32)]
    try:
        for _ in track(pool.map(_fill, chunks), "Reading images", len(chunks)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(loaders: Iterable["Kept"]) -> None:
    for load in loaders:
        if load.allowance.left > 0:
            load()


class Allowance:
    """Bytes that the images of a set may use together.

    Threads may take at once: the limit is kept to within an image a thread, which needs no lock.
    """

    def __init__(self, limit: int) -> None:
        self.left = limit

    def take(self, size: int) -> bool:
        """Whether `size` bytes were left; they are now used."""
        if size > self.left:
            return False
        self.left -= size
        return True


@final
class Kept:
    """A loader that remembers what it read, 3 bytes a pixel."""

    __slots__ = ("_pixels", "allowance", "load")

    def __init__(self, load: Load, allowance: Allowance) -> None:
        self.load = load
        self.allowance = allowance
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def full(self) -> bool:
        """Whether the image is in memory."""
        return self._pixels is not None

    def __call__(self) -> Image.Image:
        """The image, RGB, the caller's to change."""
        if self._pixels is not None:
            return Image.fromarray(self._pixels)
        image = self.load()
        pixels = np.asarray(image)
        if self.allowance.take(pixels.nbytes):
            self._pixels = pixels
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        # Processes that are not forked start empty: sending a gigabyte to each costs more than reading it.
        return Kept, (self.load, self.allowance)
