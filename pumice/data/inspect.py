"""What can be said of each image of a set: its file's kind and size, and two fingerprints."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pumice.data.alike import dhash, small_copy
from pumice.data.image import BadImage, Header, ImageBytes, ImageFile, read_header, read_small
from pumice.data.images import ImageSet, Load
from pumice.progress import track

NOTHING = Header((0, 0), "", "", turned=False)
SMALL = 64  # pixels a side that the fingerprints are made from, at least


@dataclass(frozen=True, slots=True)
class Seen:
    """One image.

    header: of its file; for images that are no files, of the decoded image.
    digest: of the file's bytes, else of the pixels.
    hash: see `dhash`.
    copy: see `small_copy`.
    fault: why it cannot be read, as the end of a sentence; then the rest is empty.
    """

    header: Header = NOTHING
    digest: bytes = b""
    hash: int = 0
    copy: NDArray[np.uint8] | None = None
    fault: str = ""


def inspect(images: ImageSet) -> list[Seen]:
    """Read and decode every image once, on all cores."""
    chunks = [images.loaders[start : start + 32] for start in range(0, len(images), 32)]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        return [one for part in track(pool.map(_look, chunks), "Looking at images", len(chunks)) for one in part]
    finally:
        pool.shutdown(cancel_futures=True)


def _look(loaders: Sequence[Load]) -> list[Seen]:
    found = []
    for load in loaders:
        try:
            found.append(_seen(load))
        except BadImage as error:
            found.append(Seen(fault=error.reason))
    return found


def _seen(load: Load) -> Seen:
    if not isinstance(load, ImageFile):
        image = load()
        digest = blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).digest()
        return Seen(Header(image.size, image.mode, "", turned=False), digest, dhash(image), small_copy(image))
    file = load.opened()
    if isinstance(file, str):
        try:
            with open(file, "rb") as handle:
                file = ImageBytes(handle.read(), file)
        except OSError as error:
            raise BadImage(str(file), error.strerror or str(error)) from error
    header = read_header(file)
    file.seek(0)
    image = read_small(file, SMALL)
    return Seen(header, blake2b(file.getbuffer(), digest_size=16).digest(), dhash(image), small_copy(image))
