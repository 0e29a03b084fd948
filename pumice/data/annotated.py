"""From what annotation files say of images to a set that can be learnt from, and a list of what could not be used."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pumice.data.boxes import Boxes, BoxSet
from pumice.data.headers import image_headers
from pumice.data.image import SIDEWAYS, Header, ImageFile
from pumice.data.images import Skipped

EDGE = 1.0  # pixels by which a box may leave its image and be cut without a word: formats count pixels from 0 or from 1


class Object(NamedTuple):
    """One annotation, unchecked.

    place: how its file calls it, "annotation 17".
    label: name of its class.
    box: left, top, right, bottom in pixels, or in fractions of the image's sides.
    area: square pixels; None for that of the box.
    """

    place: str
    id: int
    label: str
    box: tuple[float, float, float, float]
    crowd: bool = False
    area: float | None = None


@dataclass(frozen=True)
class Annotated:
    """One image and what its annotations say, unchecked.

    file: path of the image; None where there is no such file.
    name: path below the data's folder, or what the annotations call it.
    source: path of the annotation file.
    objects: the annotations.
    size: height and width by the annotation file, pixels.
    fractions: whether the boxes are in fractions of the image's sides.
    """

    file: str | None
    name: str
    source: str
    objects: list[Object] = field(default_factory=list, repr=False)
    size: tuple[int, int] | None = None
    fractions: bool = False


@dataclass(frozen=True)
class Lists:
    """What the reader of a format found.

    classes: names, in order.
    train, val: the images; `val` is None where the format does not say which images are for validation.
    skipped: what could not be read.
    """

    classes: tuple[str, ...]
    train: list[Annotated]
    val: list[Annotated] | None
    skipped: list[Skipped]


def box_set(images: Sequence[Annotated], classes: Sequence[str]) -> tuple[BoxSet, list[Skipped]]:
    """The images that can be read with the boxes that can be used, and what else there was.

    Left out: missing and damaged images, images of another size than their annotations say, boxes that are no numbers,
    have no area or lie outside their image, unknown classes.  Boxes that leave their image by more than a pixel are
    cut to it, and named too.  Images without boxes stay.  Where EXIF turns an image by a quarter and the annotations
    are of the stored pixels, as their size tells, the boxes are turned with it.
    """
    skipped: list[Skipped] = []
    found = [image for image in images if image.file is not None]
    skipped += [Skipped(image.name, _missing(image)) for image in images if image.file is None]
    names, loaders, targets, sizes = [], [], [], []
    places = {name: index for index, name in enumerate(classes)}
    for image, header in zip(found, image_headers([str(image.file) for image in found]), strict=True):
        file = str(image.file)
        if isinstance(header, str):
            skipped.append(Skipped(file, header, damaged=True))
            continue
        size = header.upright[::-1]
        turn = header.orientation in SIDEWAYS and image.size == header.size[::-1] != size
        if image.size not in (None, size) and not turn:
            skipped.append(Skipped(file, _other_size(size, image)))
            continue
        target, faults = _boxes(image, header, places, turn)
        skipped += faults
        names.append(image.name)
        loaders.append(ImageFile(file))
        targets.append(target)
        sizes.append(size)
    return BoxSet(tuple(classes), tuple(names), tuple(loaders), tuple(targets), tuple(sizes)), skipped


def _boxes(image: Annotated, header: Header, places: dict[str, int], turn: bool) -> tuple[Boxes, list[Skipped]]:
    width, height = header.size if turn else header.upright
    kept: list[tuple[tuple[float, ...], int, bool, float, int]] = []
    faults = []
    for one in image.objects:
        scale = (width, height, width, height) if image.fractions else (1, 1, 1, 1)
        box = tuple(value * side for value, side in zip(one.box, scale, strict=True))
        fault, cut = _checked(box, width, height)
        if fault is None and one.label not in places:
            fault, cut = f"the class {one.label!r} is unknown", None
        if fault is not None:
            faults.append(Skipped(image.source, f"{one.place} of {image.name}: {fault}"))
        if cut is not None:
            area = (cut[2] - cut[0]) * (cut[3] - cut[1]) if one.area is None else one.area
            cut = _turned(cut, width, height, header.orientation) if turn else cut
            kept.append((cut, places[one.label], one.crowd, area, one.id))
    boxes, labels, crowd, areas, ids = zip(*kept, strict=True) if kept else ([], [], [], [], [])
    return Boxes.of(boxes, labels, crowd, areas, ids), faults


def _checked(box: tuple[float, ...], width: int, height: int) -> tuple[str | None, tuple[float, ...] | None]:
    """What is wrong with a box, and what can be used of it."""
    if not all(map(math.isfinite, box)):
        return f"its box is no numbers ({_named(box)})", None
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return f"its box has no area ({_named(box)})", None
    cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        return f"its box lies outside the image of {width} x {height} pixels ({_named(box)})", None
    if max(abs(a - b) for a, b in zip(box, cut, strict=True)) > EDGE:
        return f"its box leaves the image of {width} x {height} pixels and was cut to it ({_named(box)})", cut
    return None, cut


def _turned(box: tuple[float, ...], width: int, height: int, orientation: int) -> tuple[float, ...]:
    """Where a box of a stored image is after the turn of EXIF's 5, 6, 7 or 8, which `read_image` makes."""
    left, top, right, bottom = box
    across = (height - bottom, height - top) if orientation in (6, 7) else (top, bottom)
    down = (width - right, width - left) if orientation in (7, 8) else (left, right)
    return across[0], down[0], across[1], down[1]


def _missing(image: Annotated) -> str:
    if not image.objects:
        return f"there is no such file, which {image.source} lists"
    more = f" and {len(image.objects) - 1} more" if len(image.objects) > 1 else ""
    return f"there is no such file ({image.objects[0].place}{more} of {image.source})"


def _named(box: Iterable[float]) -> str:
    return "from {:g}, {:g} to {:g}, {:g}".format(*box)


def _other_size(size: tuple[int, int], image: Annotated) -> str:
    assert image.size is not None
    (height, width), (said_height, said_width) = size, image.size
    return f"it has {width} x {height} pixels, but {image.source} says {said_width} x {said_height}"
