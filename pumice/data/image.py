"""One image file of any valid kind, read as RGB, or refused with the reason."""

import base64
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from pumice.errors import BadInput

# Formats whose decoders live in Pillow.  Others (EPS, WMF) would start a program of the machine on a file's contents.
FORMATS = ["JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000"]
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif"}
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"}
if find_spec("PIL.AvifImagePlugin"):  # Pillow >= 11.3
    FORMATS.append("AVIF")
    SUFFIXES.add(".avif")

MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")  # how files of the commonest formats begin
ORIENTATION = 0x0112  # EXIF 2.32, section 4.6.4 A; the value is how to turn the stored pixels for show
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # these swap width and height


def is_image_name(path: str) -> bool:
    """Whether the suffix is one of an image that `read_image` reads."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


class BadImage(BadInput):
    """An image file that cannot be read.

    name: the file.
    reason: why, as the end of a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot read the image {name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["BadImage"], tuple[str, str]]:
        # Worker processes send it to the parent by pickling, which would call __init__ with the message alone.
        return type(self), (self.name, self.reason)


def read_image(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """The image as RGB, 8 bits a channel, upright; its file is closed.

    CMYK, palette, grey and 1-bit images are converted.  Transparent pixels lie on white.  16-bit grey is divided by
    257 (65535 -> 255), not clipped.  The EXIF orientation is applied.  Of several frames the first is read.

    Args:
        source: a path, or a binary file object, which stays open.

    Raises:
        BadImage: the file is missing, empty, truncated, no image, or of a kind that has no 8-bit meaning.
    """
    with _decoded(source) as image:
        return _upright(_rgb(image), image)


class ImageBytes(io.BytesIO):
    """An encoded image that is not a file of its own, with the name by which errors call it."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A loader of one encoded image: `ImageFile(path)()` is `read_image(path)`.

    source: a path, or a function that gives one or the encoded bytes.
    """

    source: str | Callable[[], ImageBytes | str]

    def opened(self) -> ImageBytes | str:
        """The path or bytes.

        Raises:
            BadImage: they cannot be fetched any more.
        """
        return self.source if isinstance(self.source, str) else self.source()

    def __call__(self) -> Image.Image:
        """The image as RGB, see `read_image`."""
        return read_image(self.opened())


def check_image(source: str | os.PathLike[str] | BinaryIO, *, header_only: bool = False) -> None:
    """Decode the whole file, as `read_image` would, and throw the pixels away.

    Args:
        source: a path, or a binary file object, which stays open.
        header_only: trust the pixels, read the header.

    Raises:
        BadImage: as `read_image`.
    """
    with _decoded(source, shrink=1, header_only=header_only):
        pass


def read_small(source: str | os.PathLike[str] | BinaryIO, side: int) -> Image.Image:
    """As `read_image`, but a JPEG may be decoded at a half, a quarter or an eighth, of no less than `side` pixels.

    Raises:
        BadImage: as `read_image`.
    """
    with _decoded(source, shrink=side) as image:
        return _upright(_rgb(image), image)


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself before its pixels are decoded.

    size: stored width and height, pixels.
    mode: Pillow's word for the kind of pixels.
    kind: the format, "JPEG".
    turned: whether EXIF says to turn the stored pixels.
    orientation: how, EXIF's number.
    """

    size: tuple[int, int]
    mode: str
    kind: str
    turned: bool
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of what `read_image` gives, pixels."""
        return self.size[::-1] if self.orientation in SIDEWAYS else self.size


def read_header(source: str | os.PathLike[str] | BinaryIO) -> Header:
    """The header alone.

    Raises:
        BadImage: as `read_image`.
    """
    with _decoded(source, header_only=True) as image:
        orientation = 1
        with suppress(Exception):  # a damaged record says nothing about the pixels
            orientation = image.getexif().get(ORIENTATION, 1)
        turned = orientation in TURNS
        return Header(image.size, image.mode, str(image.format), turned, orientation if turned else 1)


def data_uri(image: Image.Image, side: int, kind: Literal["PNG", "JPEG"] = "PNG") -> str:
    """The image, RGB, with at most `side` pixels a side, as a data URI for a page."""
    small = image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()


class _Unsuited(Exception):
    """A readable image whose pixels have no 8-bit meaning."""


@contextmanager
def _decoded(
    source: str | os.PathLike[str] | BinaryIO, *, shrink: int = 0, header_only: bool = False
) -> Iterator[Image.Image]:
    """The decoded image in its own mode; whatever Pillow raises comes out as BadImage."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = str(getattr(source, "name", "given") if path is None else path)
    try:
        with Image.open(source, formats=FORMATS) as image:
            if shrink:
                # JPEG only: all of the file is entropy-decoded, but down to an eighth of the pixels computed each way.
                image.draft(image.mode, (shrink, shrink))
            if not header_only:
                image.load()
            _refuse_kind(image)
            yield image
    except _Unsuited as error:
        raise BadImage(name, str(error)) from error
    except FileNotFoundError as error:
        raise BadImage(name, "there is no such file") from error
    except IsADirectoryError as error:
        raise BadImage(name, "it is a folder") from error
    except PermissionError as error:
        raise BadImage(name, "permission denied") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(name, "it has so many pixels that it may be a decompression bomb; make it smaller") from error
    except UnidentifiedImageError as error:
        raise BadImage(name, _what_instead(source)) from error
    except MemoryError as error:
        raise BadImage(name, "it does not fit in memory") from error
    except Exception as error:
        # Damaged files raise nearly anything from the decoders: OSError, SyntaxError, struct.error, IndexError, ...
        raise BadImage(name, f"it is cut short or damaged ({error or type(error).__name__})") from error


def _refuse_kind(image: Image.Image) -> None:
    if image.mode == "F":
        raise _Unsuited("its pixels are floats of unknown range; save it with 8 or 16 bits a channel")
    if min(image.size) < 1:
        raise _Unsuited("it has no pixels")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise _Unsuited("its 32-bit pixels do not fit 16 bits; save it with 8 or 16 bits a channel")
        return Image.fromarray(np.rint(grey / 257.0).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
        layer = (image.convert(straight) if straight else image).convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """`rgb` turned as the EXIF record of `image` says; TIFF has turned itself while loading and says nothing more."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged record says nothing about the pixels
        return rgb
    return rgb.transpose(TURNS[orientation]) if orientation in TURNS else rgb


def _what_instead(source: str | os.PathLike[str] | BinaryIO) -> str:
    """What a file is that Pillow cannot identify."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            start = file.read(512)
    else:
        source.seek(0)
        start = source.read(512)
    if not start:
        return "it is empty (0 bytes)"
    if start.startswith(MAGIC):
        return "it is cut short or damaged (in its header)"
    # Control characters other than tab, line feed, form feed, carriage return and escape do not occur in text.
    text = not any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in start)
    return "it holds text, not an image" if text else "it is not an image of a known format"
