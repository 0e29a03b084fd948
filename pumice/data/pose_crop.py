"""The part of an image around a person as the input of a network, and points from the one to the other.

Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018, arXiv:1804.06208: the box is made as
wide for its height as the input is, and larger by a quarter.  Coordinates are continuous: a pixel's middle lies at half
numbers, so that a mirror image or a map of a quarter of the size shifts nothing.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from PIL import Image

MARGIN = 1.25


class Region(NamedTuple):
    """A rectangle of an image that becomes the input.

    x, y, width, height: its middle and sides, pixels.
    angle: degrees by which it is turned, clockwise as seen.
    mirrored: whether the input is its mirror image.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0
    mirrored: bool = False


def region_of(box: Sequence[float], size: tuple[int, int], margin: float = MARGIN) -> Region:
    """The region around a box (left, top, right, bottom) for an input of (height, width)."""
    left, top, right, bottom = box
    aspect = size[1] / size[0]
    width = max(right - left, (bottom - top) * aspect)
    return Region((left + right) / 2, (top + bottom) / 2, margin * width, margin * width / aspect)


def to_image(region: Region, size: tuple[int, int]) -> NDArray[np.float64]:
    """(2, 3) matrix A: the point (x, y) of an input of (height, width) lies at A (x, y, 1) of the image."""
    height, width = size
    turn = math.radians(region.angle)
    cos, sin = math.cos(turn), math.sin(turn)
    across, down = region.width / width, region.height / height
    mirror = -1 if region.mirrored else 1
    linear = np.array([[mirror * cos * across, -sin * down], [mirror * sin * across, cos * down]])
    middle = np.array([region.x, region.y]) - linear @ (width / 2, height / 2)
    return np.column_stack([linear, middle])


def to_input(region: Region, size: tuple[int, int]) -> NDArray[np.float64]:
    """(2, 3), inverse of `to_image`."""
    matrix = to_image(region, size)
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def moved(points: ArrayLike, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 2) by a (2, 3) matrix."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def cut(image: "Image.Image", region: Region, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width, 3): the region of an RGB image, bilinear, black beyond the image."""
    from PIL import Image

    matrix = to_image(region, size)
    # Bilinear reads four pixels: where an input pixel covers more of them, they are averaged before.
    shrink = int(min(region.width / size[1], region.height / size[0]))
    if shrink > 1:
        image, matrix = image.reduce(shrink), matrix / shrink
    values: Any = tuple(matrix.flatten().tolist())
    return np.asarray(image.transform(size[::-1], Image.Transform.AFFINE, values, Image.Resampling.BILINEAR), np.uint8)
