"""An image judged piece by piece at its own size, for networks that learn from pieces.

Tiles overlap; each answers for the pixels that are nearer to its middle than to another's, so that what a tile's edge
lacks in context is not used, and no answer has to wait for another (the overlap-tile strategy of Ronneberger et al.,
"U-Net", 2015, figure 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.preprocess import Preprocess


@dataclass(frozen=True)
class Tile:
    """A piece of an image.

    top, left: its first row and column in the image, pixels.
    rows, columns: first and behind the last that it answers for, in the image.
    """

    top: int
    left: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    def answer(self, piece: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of what was found on the tile, (h, w), the part that it answers for."""
        (row, row_end), (column, column_end) = self.rows, self.columns
        return piece[row - self.top : row_end - self.top, column - self.left : column_end - self.left]

    def of(self, whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of an array that covers the image, (H, W, ...), the part that this tile answers for."""
        return whole[slice(*self.rows), slice(*self.columns)]


class TilePlan:
    """The tiles of many images in one row: number i is `plan[i]`, the index of an image and a tile of it.

    Args:
        images: height and width of each, pixels.
        size: of a tile, height and width.
        overlap: see `tiles`.
    """

    def __init__(self, images: Sequence[tuple[int, int]], size: tuple[int, int], overlap: float) -> None:
        self._all = [(index, tile) for index, image in enumerate(images) for tile in tiles(image, size, overlap)]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> tuple[int, Tile]:
        return self._all[number]


def tile_pixels(image: Image.Image, tile: Tile, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The tile of an RGB image, (H, W, 3), of the preprocessing's size; its mean colour where there is no image."""
    height, width = preprocess.size
    piece = np.asarray(image.crop((tile.left, tile.top, *_corner(image, tile, height, width))))
    if piece.shape[:2] == (height, width):
        return piece
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = preprocess.mean_colour()
    pixels[: piece.shape[0], : piece.shape[1]] = piece
    return pixels


def _corner(image: Image.Image, tile: Tile, height: int, width: int) -> tuple[int, int]:
    return min(tile.left + width, image.width), min(tile.top + height, image.height)


def tiles(image: tuple[int, int], size: tuple[int, int], overlap: float) -> list[Tile]:
    """Tiles of `size` that cover an image, both height and width, pixels.

    overlap: share of a tile that it has in common with the next, at least; where the image is smaller than a tile, one
    tile reaches beyond it.
    """
    rows, columns = (_spans(whole, side, overlap) for whole, side in zip(image, size, strict=True))
    return [Tile(top, left, r, c) for top, r in rows for left, c in columns]


def _spans(whole: int, side: int, overlap: float) -> list[tuple[int, tuple[int, int]]]:
    """Along one side: where tiles start, and the part that each answers for."""
    if whole <= side:
        return [(0, (0, whole))]
    step = max(1, int(side * (1 - overlap)))
    count = -(-(whole - side) // step) + 1
    starts = [round(i * (whole - side) / (count - 1)) for i in range(count)]
    borders = [0, *((a + b + side) // 2 for a, b in pairwise(starts)), whole]
    return [(start, (borders[i], borders[i + 1])) for i, start in enumerate(starts)]
