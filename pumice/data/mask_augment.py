"""The random changes of an image and its mask together: scale, place, mirror and colour.  Pillow and numpy alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.masks import VOID
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

# Weights of red, green and blue in grey: ITU-R BT.601, which Pillow uses.
GREY = np.array((0.299, 0.587, 0.114))


@dataclass(frozen=True)
class MaskAugment:
    """How training images are changed.

    scale: lowest and highest factor on the size at which images are judged; evenly distributed.
    ratio: lowest and highest factor on width over height; its logarithm is evenly distributed.
    hflip: probability of a mirror image.
    color_jitter: largest relative change of brightness, contrast and saturation, each evenly distributed.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    ratio: tuple[float, float] = (0.9, 1.1)
    hflip: float = 0.5
    color_jitter: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise BadInput(f"scale={list(self.scale)} is impossible; give two rising factors, such as 0.5 and 2")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise BadInput(f"ratio={list(self.ratio)} is impossible; give two rising factors, such as 0.9 and 1.1")
        if not 0 <= self.hflip <= 1:
            raise BadInput(f"hflip={self.hflip} is no probability; give 0 to 1")
        if not 0 <= self.color_jitter < 1:
            raise BadInput(f"color_jitter={self.color_jitter} is impossible; give 0 to below 1")


@dataclass(frozen=True)
class Window:
    """The part of a network's input that shows the image, and what part of the image that is.

    left, top, right, bottom: of the input, pixels; outside lies what is no image.
    box: left, top, right, bottom of the image, in its own pixels.
    """

    left: int
    top: int
    right: int
    bottom: int
    box: tuple[float, float, float, float]


def change(
    image: Image.Image,
    mask: NDArray[np.uint8],
    preprocess: Preprocess,
    augment: MaskAugment,
    rng: np.random.Generator,
    *,
    stretch: bool = True,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A changed image (H, W, 3) and mask (H, W), writable, of the network's input size.

    The image is scaled and cut at random; where it is smaller than the input, it lies in a random place and what it
    leaves free is the preprocessing's mean colour and VOID.  What the cut leaves out is never resized.

    stretch: whether scale 1 means the whole image at the input's size, or its own pixels.
    """
    height, width = preprocess.size
    across = place(image.size, (width, height), augment, rng, stretch=stretch)
    mirrored = rng.random() < augment.hflip
    pixels, target = cut(image, mask, across, preprocess)
    if augment.color_jitter:
        pixels = recolour(pixels, augment.color_jitter, rng)
    if mirrored:
        pixels, target = pixels[:, ::-1], target[:, ::-1]
    return pixels, target.copy()


def place(
    image: tuple[int, int], size: tuple[int, int], augment: MaskAugment, rng: np.random.Generator, *, stretch: bool
) -> Window:
    """A random window for an image and an input of these widths and heights."""
    scale = rng.uniform(*augment.scale)
    slant = np.exp(rng.uniform(*np.log(augment.ratio)) / 2)
    edges, box = [], []
    for own, side, factor in zip(image, size, (scale * slant, scale / slant), strict=True):
        pace = factor * (side / own if stretch else 1.0)  # pixels of the input to one of the image
        length = max(1.0, own * pace)
        room = side - length  # below 0 where the image is cut
        start = rng.uniform(min(0.0, room), max(0.0, room))
        low, high = round(max(0.0, start)), round(min(float(side), start + length))
        low, high = (low, high) if low < high else (min(low, side - 1), min(low, side - 1) + 1)
        edges.append((low, high))
        box.append((max(0.0, (low - start) * own / length), min(float(own), (high - start) * own / length)))
    (left, right), (top, bottom) = edges
    (box_left, box_right), (box_top, box_bottom) = box
    return Window(left, top, right, bottom, (box_left, box_top, box_right, box_bottom))


def cut(
    image: Image.Image, mask: NDArray[np.uint8], window: Window, preprocess: Preprocess
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What the window shows: (H, W, 3) and (H, W)."""
    shown = (window.right - window.left, window.bottom - window.top)
    piece = image.resize(shown, Image.Resampling[preprocess.interpolation.upper()], box=window.box)
    labels = Image.fromarray(mask).resize(shown, Image.Resampling.NEAREST, box=window.box)
    height, width = preprocess.size
    if shown == (width, height):
        return np.asarray(piece), np.asarray(labels)
    rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = preprocess.mean_colour()
    pixels[rows, columns] = np.asarray(piece)
    target = np.full((height, width), VOID, np.uint8)
    target[rows, columns] = np.asarray(labels)
    return pixels, target


def recolour(pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) with other brightness, contrast about its mean grey, and saturation: one matrix on each pixel's colour.

    y = s c b x + (1 - s) c b grey(x) + (1 - c) b m, for factors b, c, s and mean grey m.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    image = Image.fromarray(pixels)
    middle = float(np.asarray(image.convert("L")).mean())
    matrix = contrast * brightness * (saturation * np.eye(3) + (1 - saturation) * GREY)
    offset = (1 - contrast) * brightness * middle
    rows = np.concatenate([matrix, np.full((3, 1), offset)], axis=1)
    return np.asarray(image.convert("RGB", tuple(rows.ravel().tolist())))
