"""Which of many images are nearly the same: a hash of 64 bits an image, and the pairs whose hashes are close.

The hash is the difference hash (N. Krawetz, "Kind of like that", hackerfactor.com, 2013): the image as 9 x 8 grey
pixels, a bit for each that is darker than its right neighbour.  Size, compression and brightness hardly change it.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 64
SIDE = 16  # of the small copy by which a pair is looked at again


def small_copy(image: Image.Image) -> NDArray[np.uint8]:
    """The image as 16 x 16 grey pixels."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def dhash(image: Image.Image) -> int:
    """The hash, as an unsigned number of 64 bits."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def close_pairs(hashes: NDArray[np.uint64], within: int) -> NDArray[np.int64]:
    """Every pair i < j whose hashes differ in at most `within` bits: (pairs, 2), sorted.

    Cut into `within` + 1 bands, such hashes agree in at least one band.  So the hashes are sorted by each band in turn,
    and only those of one band's value are compared: first neighbours, then second neighbours, and so on.
    """
    edges = np.linspace(0, BITS, within + 2).astype(int)
    found = []
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        of, kept = hashes[order], band[order]
        first = np.arange(len(hashes))
        step = 1
        while len(first := first[first + step < len(hashes)]):
            first = first[kept[first] == kept[first + step]]  # sorted: where this neighbour differs, further ones do
            near = first[np.bitwise_count(of[first] ^ of[first + step]) <= within]
            found.append(np.stack([order[near], order[near + step]], axis=1))
            step += 1
    pairs = np.concatenate([np.empty((0, 2), np.int64), *found]).astype(np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def looks_same(copies: NDArray[np.uint8], pairs: NDArray[np.int64], least: float) -> NDArray[np.bool_]:
    """Whether the grey levels of each pair's small copies correlate by at least `least`; brightness does not matter."""
    spread = copies.reshape(len(copies), -1).astype(np.float32)
    spread -= spread.mean(axis=1, keepdims=True)
    spread /= np.maximum(np.linalg.norm(spread, axis=1, keepdims=True), 1e-6)
    return np.asarray((spread[pairs[:, 0]] * spread[pairs[:, 1]]).sum(axis=1) >= least)
