"""Boxes, masks and joints on a picture, by Pillow."""

import colorsys
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GOLDEN = 0.618034  # of a circle of hues: neighbours in the list of classes are far apart in colour
SHADES = ((0.85, 1.0), (0.85, 0.6), (0.4, 1.0))  # saturation and value in turn, for where hues come near each other
VEIL = 0.55  # how much a mask covers of the picture
Colour = tuple[int, int, int]


@cache
def colour(index: int) -> Colour:
    """Of class number `index`."""
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN % 1, *SHADES[index % len(SHADES)])
    return round(255 * red), round(255 * green), round(255 * blue)


def with_boxes(
    image: Image.Image, boxes: Sequence[Sequence[float]], labels: Sequence[int], words: Sequence[str]
) -> Image.Image:
    """A copy with frames, each with words at its upper left corner.

    boxes: left, top, right, bottom, pixels.  labels: classes, for the colours.
    """
    picture = image.convert("RGB")
    pen, thick = ImageDraw.Draw(picture), _thickness(picture)
    font = ImageFont.load_default(max(10, 5 * thick))
    for box, label, said in zip(boxes, labels, words, strict=True):
        left, top, right, bottom = box
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour(label), width=thick)
        if said:
            low, high = pen.textbbox((0, 0), said, font=font)[2:]
            x, y = max(0.0, min(left, picture.width - low)), max(0.0, top - high)
            pen.rectangle((x, y, x + low, y + high), fill=colour(label))
            pen.text((x, y), said, fill="black" if sum(colour(label)) > 380 else "white", font=font)
    return picture


def with_classes(image: Image.Image, classes: NDArray[np.uint8], void: int) -> Image.Image:
    """A copy in which every pixel is tinted by its class.

    classes: (H, W), of the image's size.  void: a number that stands for no class, and is left as it is.
    """
    pixels = np.asarray(image.convert("RGB"))
    tint = np.array([colour(i) for i in range(256)], np.float32)[classes]
    mixed = (1 - VEIL) * pixels + VEIL * tint
    return Image.fromarray(np.where((classes == void)[..., None], pixels, mixed).astype(np.uint8))


def with_legend(picture: Image.Image, classes: Sequence[str]) -> Image.Image:
    """A copy with a strip below it that names the colours of all classes, equally high for pictures of one size."""
    font = ImageFont.load_default(max(10, 5 * _thickness(picture)))
    pen = ImageDraw.Draw(picture)
    line = round(1.5 * pen.textbbox((0, 0), "Ag", font=font)[3])
    places, x, y = [], 0, picture.height
    for name in classes:
        needed = 2 * line + round(pen.textlength(name, font=font))
        if x and x + needed > picture.width:
            x, y = 0, y + line
        places.append((x, y))
        x += needed
    longer = Image.new("RGB", (picture.width, y + line), "white")
    longer.paste(picture)
    pen = ImageDraw.Draw(longer)
    for index, (name, (x, y)) in enumerate(zip(classes, places, strict=True)):
        pen.rectangle((x + line // 4, y + line // 4, x + line, y + line - line // 4), fill=colour(index))
        pen.text((x + 1.25 * line, y), name, fill="black", font=font)
    return longer


def with_joints(
    image: Image.Image, persons: Sequence[NDArray[np.float64]], edges: Sequence[tuple[int, int]]
) -> Image.Image:
    """A copy with dots and the lines between them; a joint without a place is left out, and so are its lines.

    persons: (J, 3) each: x, y in pixels, and whether the joint is there, above 0.
    """
    picture = image.convert("RGB")
    pen, thick = ImageDraw.Draw(picture), _thickness(picture)
    for number, joints in enumerate(persons):
        there = joints[:, 2] > 0
        for one, other in edges:
            if there[one] and there[other]:
                line = (*joints[one, :2].tolist(), *joints[other, :2].tolist())
                pen.line(line, fill=colour(number), width=thick)
        for place, (x, y, _) in enumerate(joints.tolist()):
            if there[place]:
                dot = (x - thick, y - thick, x + thick, y + thick)
                pen.ellipse(dot, fill=colour(place), outline="black")
    return picture


def palette() -> list[int]:
    """The colours of all classes, for a palette image."""
    return [part for index in range(256) for part in colour(index)]


def _thickness(image: Image.Image) -> int:
    """Of lines, pixels."""
    return max(2, round(max(image.size) / 300))
