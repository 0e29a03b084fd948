"""Images with a class for every pixel: what a segmentation net learns from, whatever layout the files have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.image import FORMATS
from pumice.data.images import Load
from pumice.errors import BadInput

VOID = 255  # of pixels that are neither learnt nor judged

LoadMask = Callable[[], NDArray[np.uint8]]


class BadMask(BadInput):
    """A mask that cannot be used.

    name: its file.
    reason: why, as the end of a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot use the mask {name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["BadMask"], tuple[str, str]]:
        # Worker processes send it to the parent by pickling, which would call __init__ with the message alone.
        return type(self), (self.name, self.reason)


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Images, each with a mask.

    classes: names of the classes, in order.
    names: a name per image; for files the path below the folder, with forward slashes.
    loaders: a function per image that gives it as RGB.
    masks: a function per image that gives its mask: (H, W) uint8, an index into `classes` or VOID a pixel.
    pixels: (images, classes + 1) int64, the pixels of each class and, last, the void ones; None where nobody has
        counted them yet.
    sizes: height and width of each image; None where nobody has looked yet.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...] = field(repr=False)
    loaders: tuple[Load, ...] = field(repr=False)
    masks: tuple[LoadMask, ...] = field(repr=False)
    pixels: NDArray[np.int64] | None = field(default=None, repr=False)
    sizes: tuple[tuple[int, int], ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.loaders) == len(self.masks):
            raise ValueError(f"{len(self.names)} names, {len(self.loaders)} images and {len(self.masks)} masks differ")
        if not 0 < len(self.classes) <= VOID:
            raise ValueError(f"{len(self.classes)} classes do not fit masks of 8 bits")

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> Image.Image:
        """Image `index`, RGB.

        Raises:
            BadImage: its file has been removed or damaged since the set was opened.
        """
        return self.loaders[index]()

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Mask `index`, (H, W).

        Raises:
            BadMask: its file has been removed, damaged or changed since the set was opened.
        """
        return self.masks[index]()

    def pair(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """Image and mask `index`.

        Raises:
            BadImage, BadMask: as `image` and `mask`, or the mask is of another size.
        """
        image, mask = self.image(index), self.mask(index)
        if (reason := wrong_size(mask.shape[::-1], image.size)) is not None:
            raise BadMask(self.names[index], reason)
        return image, mask

    def subset(self, indices: Iterable[int]) -> "MaskSet":
        """The images at these indices, in that order, with the same classes; nothing is copied or read."""
        indices = tuple(indices)
        return replace(
            self,
            names=tuple(self.names[i] for i in indices),
            loaders=tuple(self.loaders[i] for i in indices),
            masks=tuple(self.masks[i] for i in indices),
            pixels=None if self.pixels is None else self.pixels[list(indices)],
            sizes=None if self.sizes is None else tuple(self.sizes[i] for i in indices),
        )


def count_pixels(samples: MaskSet) -> NDArray[np.int64]:
    """(images, classes + 1): `MaskSet.pixels`, counted now where they are not yet.

    Raises:
        BadMask: see `MaskSet.mask`.
    """
    if samples.pixels is not None:
        return samples.pixels
    classes = len(samples.classes)
    counts = np.zeros((len(samples), classes + 1), np.int64)
    for i in range(len(samples)):
        of_value = np.bincount(samples.mask(i).ravel(), minlength=256)
        counts[i] = *of_value[:classes], of_value[VOID]
    return counts


def sizes_of(samples: MaskSet) -> tuple[tuple[int, int], ...]:
    """`MaskSet.sizes`, looked up now where they are not known yet."""
    if samples.sizes is not None:
        return samples.sizes
    return tuple(samples.image(i).size[::-1] for i in range(len(samples)))


def read_values(path: str) -> NDArray[np.uint8]:
    """The values of a mask's file, (H, W), as they are stored.

    Raises:
        BadMask: it is missing, unreadable, in colour, a JPEG, or has values above 255.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format in ("JPEG", "JPEG2000"):
                raise BadMask(path, f"it is a {image.format}, which changes the class numbers; save it as PNG")
            if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
                raise BadMask(
                    path, f"it is in colour ({image.mode}); save the class number of every pixel as grey or palette PNG"
                )
            values = np.asarray(image)
    except BadMask:
        raise
    except FileNotFoundError as error:
        raise BadMask(path, "there is no such file") from error
    except Exception as error:
        # Damaged files raise nearly anything from the decoders.
        raise BadMask(path, f"it cannot be read ({error or type(error).__name__})") from error
    if values.dtype != np.uint8 and values.size and (values.min() < 0 or values.max() > VOID):
        raise BadMask(path, f"it has the value {values.max()}; class numbers end at 254, and 255 is void")
    return values.astype(np.uint8, copy=False)


@dataclass(frozen=True, eq=False)
class Meaning:
    """What the values of masks mean.

    table: (256,) int16, for each value an index into the classes, VOID, or -1 for a value that means nothing.
    """

    table: NDArray[np.int16]

    @classmethod
    def of(cls, classes: dict[int, int], void: Iterable[int] = ()) -> "Meaning":
        """From value -> index of class; 255 is void anyway."""
        table = np.full(256, -1, np.int16)
        for value in (*void, VOID):
            table[value] = VOID
        for value, index in classes.items():
            table[value] = index
        return cls(table)

    def fault(self, counts: NDArray[np.int64]) -> str | None:
        """Why a mask of so many pixels of each value, (256,), cannot be used; None if it can."""
        strange = np.flatnonzero((counts > 0) & (self.table < 0))
        if not len(strange):
            return None
        named = ", ".join(map(str, strange[:3])) + (", ..." if len(strange) > 3 else "")
        pixels = int(counts[strange].sum())
        many = "1 pixel has" if pixels == 1 else f"{pixels} pixels have"
        return f"{many} a value ({named}) beyond the {len(set(self.table[self.table >= 0]) - {VOID})} classes"


@dataclass(frozen=True, slots=True, eq=False)
class MaskFile:
    """A loader of one mask; it is checked each time it is read."""

    path: str
    meaning: Meaning

    def __call__(self) -> NDArray[np.uint8]:
        """(H, W) uint8, indices of classes or VOID.

        Raises:
            BadMask: see `read_values`; or a value means nothing.
        """
        values = read_values(self.path)
        found = self.meaning.table[values]
        if found.size and found.min() < 0:
            reason = self.meaning.fault(np.bincount(values.ravel(), minlength=256))
            raise BadMask(self.path, str(reason))
        return found.astype(np.uint8)


def wrong_size(mask: tuple[int, ...], image: tuple[int, int]) -> str | None:
    """Why a mask of this width and height does not fit the image; None if it does."""
    if mask == image:
        return None
    return f"it is {mask[0]} x {mask[1]} pixels, its image {image[0]} x {image[1]}; make them equal"
