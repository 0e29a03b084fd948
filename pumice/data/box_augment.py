"""The random changes of training images with boxes: SSD's crops, zoom-out, mirror images and colour.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, arXiv:1512.02325, sections 2.2 and 3.6, with the numbers of
its released scripts.  All changes of place together are one window of the image, which is resized once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from pumice.data.preprocess import Interpolation
from pumice.errors import BadInput

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SMALLEST = 1.0  # pixels of the input that a box must have left on each side


@dataclass(frozen=True)
class BoxAugment:
    """What is changed, as values that a config file can hold.  The defaults are those of SSD on COCO.

    crop: choose among the whole image, a crop of any overlap, and for each of `overlaps` a crop that has at least this
        IoU with the box of some object; those that `trials` draws do not find are left out.  Boxes whose centre is in
        the crop stay, cut to it.
    overlaps: the IoUs.
    crop_scale: geometric mean of a crop's width and height as fractions of the image's, lowest and highest.
    crop_ratio: ratio of these two fractions, lowest and highest.
    trials: draws for a crop.
    zoom_out: greatest factor by which the picture is enlarged around the image, with the mean colour; before cropping.
    zoom_out_prob: its probability.
    scale: factors of the size of all objects, lowest and highest, for training on several scales: below 1 the image
        is zoomed out, above 1 cropped at random, with the input's size unchanged; 1, 1 for none.
    hflip, vflip: probability of a mirror image.
    distort: probability of each of the changes of brightness, contrast, saturation and hue.
    brightness: greatest difference, of 255.
    contrast, saturation: greatest difference of the factor from 1.
    hue: greatest difference, of a full turn.
    """

    crop: bool = True
    overlaps: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_ratio: tuple[float, float] = (0.5, 2.0)
    trials: int = 50
    zoom_out: float = 4.0
    zoom_out_prob: float = 0.5
    scale: tuple[float, float] = (1.0, 1.0)
    hflip: float = 0.5
    vflip: float = 0.0
    distort: float = 0.5
    brightness: float = 32.0
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.1

    def __post_init__(self) -> None:
        for name in ("overlaps", "crop_scale", "crop_ratio", "scale"):  # JSON has lists alone
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("zoom_out_prob", "hflip", "vflip", "distort"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"augmentation {name}={getattr(self, name)} is no probability; give 0 to 1")
        for name, highest in (("crop_scale", 1.0), ("crop_ratio", np.inf), ("scale", np.inf)):
            values = getattr(self, name)
            if len(values) != 2 or not 0 < values[0] <= values[1] <= highest:
                limit = "" if highest == np.inf else f" up to {highest:g}"
                raise BadInput(
                    f"augmentation {name}={values} is impossible; give two numbers above 0{limit}, low first"
                )
        if not all(0 <= overlap <= 1 for overlap in self.overlaps) or self.trials < 1 or self.zoom_out < 1:
            raise BadInput(
                f"augmentation overlaps={self.overlaps}, trials={self.trials}, zoom_out={self.zoom_out} is impossible; "
                "give IoUs of 0 to 1, one trial or more, and a factor of 1 or more"
            )
        if not (0 <= self.brightness <= 255 and 0 <= self.contrast <= 1 and self.saturation >= 0 and self.hue >= 0):
            raise BadInput(
                f"augmentation brightness={self.brightness}, contrast={self.contrast}, saturation={self.saturation}, "
                f"hue={self.hue} is impossible; give brightness up to 255, contrast up to 1, and nothing below 0"
            )


class Window(NamedTuple):
    """What becomes the input, in the image's pixels; it may reach beyond the image."""

    left: float
    top: float
    right: float
    bottom: float


def augmented(
    image: Image.Image,
    boxes: NDArray[np.float64],
    size: tuple[int, int],
    augment: BoxAugment,
    draw: Generator,
    fill: tuple[int, int, int],
    interpolation: Interpolation = "bilinear",
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64]]:
    """Pixels (H, W, 3) of the input, boxes (m, 4) in its pixels, and which of the given boxes they are (m,).

    Args:
        image: RGB.
        boxes: (n, 4) left, top, right, bottom in the image's pixels.
        size: height and width of the input.
        augment: what to change.
        draw: random numbers.
        fill: colour of what is beyond the image.
        interpolation: of resizing.
    """
    window = _window(image.size, boxes, augment, draw)
    pixels = _rendered(image, window, size, augment, draw, fill, interpolation)
    moved, kept = _moved(boxes, window, size)
    height, width = size
    if draw.random() < augment.hflip:
        pixels = pixels[:, ::-1]
        moved = np.stack([width - moved[:, 2], moved[:, 1], width - moved[:, 0], moved[:, 3]], axis=1)
    if draw.random() < augment.vflip:
        pixels = pixels[::-1]
        moved = np.stack([moved[:, 0], height - moved[:, 3], moved[:, 2], height - moved[:, 1]], axis=1)
    return pixels, moved, kept


def _window(size: tuple[int, int], boxes: NDArray[np.float64], augment: BoxAugment, draw: Generator) -> Window:
    """Change of scale, then zoom-out, then crop; in this order some of the image is always in it."""
    window = Window(0.0, 0.0, *map(float, size))
    if augment.scale != (1.0, 1.0):
        window = _resized(window, 1 / draw.uniform(*augment.scale), draw)
    if draw.random() < augment.zoom_out_prob:
        window = _resized(window, draw.uniform(1, augment.zoom_out), draw)
    return _crop(window, boxes, augment, draw) if augment.crop and len(boxes) else window


def _resized(window: Window, factor: float, draw: Generator) -> Window:
    """A window `factor` times as large, somewhere around or inside the given one."""
    left, top, right, bottom = window
    wide, high = right - left, bottom - top
    left -= (factor - 1) * wide * draw.random()
    top -= (factor - 1) * high * draw.random()
    return Window(left, top, left + factor * wide, top + factor * high)


def _crop(window: Window, boxes: NDArray[np.float64], augment: BoxAugment, draw: Generator) -> Window:
    """A window inside the given one, or that itself.

    The released script tries every kind of crop and chooses among those that it found.  Trying them in random order
    until one is found chooses equally often.
    """
    kinds = np.array([-1.0, 0.0, *augment.overlaps])
    for least in draw.permutation(kinds):
        if least < 0:
            break
        crops = _candidates(window, augment, draw)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = np.all((crops[:, None, :2] < centres) & (centres < crops[:, None, 2:]), axis=2)
        found = np.flatnonzero(inside.any(axis=1) & (_overlaps(crops, boxes) >= least).any(axis=1))
        if found.size:
            return Window(*map(float, crops[found[0]]))
    return window


def _candidates(window: Window, augment: BoxAugment, draw: Generator) -> NDArray[np.float64]:
    """(trials, 4) corners of crops that lie in the window."""
    scale, along, across, place = draw.random((4, augment.trials))
    scale = augment.crop_scale[0] + scale * (augment.crop_scale[1] - augment.crop_scale[0])
    # Beyond these ratios one side would be longer than the window's.
    low, high = np.maximum(augment.crop_ratio[0], scale**2), np.minimum(augment.crop_ratio[1], scale**-2)
    ratio = np.sqrt(low + place * (high - low))
    left, top, right, bottom = window
    wide, tall = scale * ratio * (right - left), scale / ratio * (bottom - top)
    x, y = left + along * (right - left - wide), top + across * (bottom - top - tall)
    return np.stack([x, y, x + wide, y + tall], axis=1)


def _overlaps(crops: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(crops, boxes) IoU."""
    corner = np.maximum(crops[:, None, :2], boxes[:, :2])
    shared = np.clip(np.minimum(crops[:, None, 2:], boxes[:, 2:]) - corner, 0, None).prod(axis=2)
    area, other = ((part[:, 2:] - part[:, :2]).prod(axis=1) for part in (crops, boxes))
    return shared / (area[:, None] + other - shared)


def _moved(
    boxes: NDArray[np.float64], window: Window, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes whose centre is in the window, in the input's pixels and cut to it, and which they are."""
    height, width = size
    corner = np.array(window[:2] * 2)
    factor = np.array([width / (window.right - window.left), height / (window.bottom - window.top)] * 2)
    moved = (boxes - corner) * factor
    centres = (moved[:, :2] + moved[:, 2:]) / 2
    inside = ((centres > 0) & (centres < (width, height))).all(axis=1)
    moved = np.clip(moved, 0, (width, height, width, height))
    kept = np.flatnonzero(inside & (moved[:, 2:] - moved[:, :2] >= SMALLEST).all(axis=1))
    return moved[kept], kept


def _rendered(
    image: Image.Image,
    window: Window,
    size: tuple[int, int],
    augment: BoxAugment,
    draw: Generator,
    fill: tuple[int, int, int],
    interpolation: Interpolation,
) -> NDArray[np.uint8]:
    """The window, resized to `size`, in other colours; what is beyond the image keeps the colour `fill`."""
    height, width = size
    across, down = (window.right - window.left) / width, (window.bottom - window.top) / height
    # Whole pixels of the input that the image covers, and what part of the image lies under them.
    x0, x1 = _covered(window.left, across, image.width, width)
    y0, y1 = _covered(window.top, down, image.height, height)
    part = (window.left + x0 * across, window.top + y0 * down, window.left + x1 * across, window.top + y1 * down)
    inside = max(part[0], 0.0), max(part[1], 0.0), min(part[2], float(image.width)), min(part[3], float(image.height))
    seen = _distorted(image.resize((x1 - x0, y1 - y0), FILTERS[interpolation], box=inside), augment, draw)
    if (x0, y0, x1, y1) == (0, 0, width, height):
        return np.asarray(seen)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = fill
    pixels[y0:y1, x0:x1] = np.asarray(seen)
    return pixels


def _covered(start: float, step: float, length: int, count: int) -> tuple[int, int]:
    """First and end of the pixels, of `count` that are `step` wide and begin at `start`, which lie in 0 ... length."""
    slack = 1e-6  # rounding must not lose a pixel at the edge
    begin, stop = -start / step, (length - start) / step
    first, end = max(int(np.ceil(begin - slack)), 0), min(int(np.floor(stop + slack)), count)
    if first < end:
        return first, end
    middle = min(max(int((begin + stop) / 2), 0), count - 1)  # no pixel lies wholly in the image
    return middle, middle + 1


def _distorted(image: Image.Image, augment: BoxAugment, draw: Generator) -> Image.Image:
    """Brightness, then contrast, saturation and hue, or saturation, hue and contrast."""
    brightness, contrast, saturation, hue = draw.random(4) < augment.distort
    shift = draw.uniform(-augment.brightness, augment.brightness) if brightness else 0.0
    factor = 1 + draw.uniform(-augment.contrast, augment.contrast) if contrast else 1.0
    colour = 1 + draw.uniform(-augment.saturation, augment.saturation) if saturation else 1.0
    turn = draw.uniform(-augment.hue, augment.hue) if hue else 0.0
    contrast_first = draw.random() < 0.5
    levels = np.arange(256.0)
    bright = np.clip(levels + shift, 0, 255)
    image = _mapped(image, np.clip(bright * factor, 0, 255) if contrast_first else bright)
    if saturation or hue:
        turned = np.mod(levels + 256 * turn, 256)
        table = [np.mod(np.rint(turned), 256), np.clip(np.rint(levels * colour), 0, 255), levels]
        image = image.convert("HSV").point(np.concatenate(table).astype(int).tolist()).convert("RGB")
    return image if contrast_first else _mapped(image, np.clip(levels * factor, 0, 255))


def _mapped(image: Image.Image, table: NDArray[np.float64]) -> Image.Image:
    """The image with each value of each channel replaced."""
    whole = np.rint(table).astype(int)
    return image if (whole == np.arange(256)).all() else image.point(whole.tolist() * 3)
