import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data.image import BadImage, check_image, is_image_name, read_image
from pumice.errors import BadInput

RED, WHITE = (255, 0, 0), (255, 255, 255)


def photo(width: int = 48, height: int = 32) -> Image.Image:
    """A picture with detail, so that JPEG data are long enough to be cut."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


def test_rgb_is_unchanged(tmp_path: Path):
    photo().save(tmp_path / "a.png")
    assert (pixels(read_image(tmp_path / "a.png")) == np.asarray(photo())).all()


def test_cmyk_jpeg(tmp_path: Path):
    Image.new("RGB", (32, 32), (200, 30, 60)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as stored:
        assert stored.mode == "CMYK"
        assert "adobe" in stored.info  # the marker by which Pillow knows the inks to be stored inverted
    # 3: JPEG's own rounding.  Read without the inversion it would be (55, 225, 195).
    assert np.abs(pixels(read_image(tmp_path / "a.jpg")).astype(int) - (200, 30, 60)).max() <= 3


def test_palette_with_transparency_lies_on_white(tmp_path: Path):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 1), 1)
    image.save(tmp_path / "index.png", transparency=1)
    image.save(tmp_path / "bytes.png", transparency=bytes([255, 0]))  # Pillow warns when this is converted to RGB
    image.save(tmp_path / "a.gif", transparency=1)
    for name in ("index.png", "bytes.png", "a.gif"):
        got = read_image(tmp_path / name)
        assert (got.getpixel((0, 0)), got.getpixel((3, 1))) == (RED, WHITE), name


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),  # a fifth red, four fifths white
        ("LA", (0, 0), WHITE),
        ("LA", (100, 255), (100, 100, 100)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, WHITE),
        ("1", 0, (0, 0, 0)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: tuple[int, ...]):
    Image.new(mode, (5, 3), colour).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").getpixel((2, 1)) == expected


def test_colour_key_of_grey_and_rgb_png(tmp_path: Path):
    Image.new("L", (2, 2), 7).save(tmp_path / "grey.png", transparency=7)
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    assert read_image(tmp_path / "grey.png").getpixel((0, 0)) == WHITE
    assert read_image(tmp_path / "rgb.png").getpixel((0, 0)) == WHITE


@pytest.mark.parametrize(("name", "dtype"), [("a.png", "<u2"), ("a.tif", "<u2"), ("b.tif", ">u2"), ("a.pgm", "<u2")])
def test_16_bit_grey_is_scaled(tmp_path: Path, name: str, dtype: str):
    Image.fromarray(np.array([[0, 256, 32768, 65535]], dtype)).save(tmp_path / name)
    assert pixels(read_image(tmp_path / name))[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_32_bit_integers(tmp_path: Path):
    Image.fromarray(np.array([[0, 65535]], np.int32)).save(tmp_path / "fits.tif")
    assert pixels(read_image(tmp_path / "fits.tif"))[0, :, 0].tolist() == [0, 255]
    Image.fromarray(np.array([[0, 65536]], np.int32)).save(tmp_path / "large.tif")
    with pytest.raises(BadImage, match="do not fit 16 bits"):
        read_image(tmp_path / "large.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int):
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 16, 8))  # the upper left quarter
    # EXIF 6: the stored rows are the right edge of the scene, so show it turned clockwise; store it turned back.
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    stored.save(file, exif=exif)
    got = read_image(file)
    assert got.size == (32, 16)
    corners = [got.getpixel(at)[0] > 128 for at in ((2, 2), (29, 2), (2, 13), (29, 13))]
    assert corners == [True, False, False, False]


def test_damaged_exif_is_no_damaged_image(tmp_path: Path):
    warnings.simplefilter("ignore")  # Pillow's word about the record
    photo().save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert read_image(tmp_path / "a.jpg").size == (48, 32)


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_truncated(tmp_path: Path, keep: float, suffix: str):
    file = tmp_path / f"a.{suffix}"
    photo().save(file)
    whole = file.read_bytes()
    check_image(file)
    file.write_bytes(whole[: int(len(whole) * keep)])
    for read in (read_image, check_image):
        with pytest.raises(BadImage, match=rf"a\.{suffix}: it is cut short") as caught:
            read(file)
        assert "\n" not in str(caught.value)


def test_header_check_trusts_the_pixels(tmp_path: Path):
    file = tmp_path / "a.jpg"
    photo().save(file)
    file.write_bytes(file.read_bytes()[:-200])
    check_image(file, header_only=True)
    file.write_text("words")
    with pytest.raises(BadImage):
        check_image(file, header_only=True)


def test_what_is_no_image(tmp_path: Path):
    file = tmp_path / "a.jpg"
    for contents, reason in (
        (b"", "empty"),
        (b"hello, world\n", "holds text"),
        ("grüße".encode(), "holds text"),
        (bytes(range(256)), "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "holds text"),  # never handed to Ghostscript
    ):
        file.write_bytes(contents)
        with pytest.raises(BadInput, match=reason) as caught:
            read_image(file)
        assert str(file) in str(caught.value)
    with pytest.raises(BadImage, match="no such file"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(BadImage, match="folder"):
        read_image(tmp_path)


def test_float_pixels_are_refused(tmp_path: Path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    for read in (read_image, check_image):
        with pytest.raises(BadImage, match="floats"):
            read(tmp_path / "a.tif")


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    photo().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # Pillow refuses twice as many
    with pytest.raises(BadImage, match="bomb"):
        read_image(tmp_path / "a.png")


def test_file_objects_and_no_file_is_left_open(tmp_path: Path):
    data = io.BytesIO()
    photo().save(data, "png")
    assert (pixels(read_image(data)) == np.asarray(photo())).all()
    assert not data.closed
    photo().save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-300])
    (tmp_path / "c.jpg").write_text("words")
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc to count open files in")
    before = len(os.listdir("/proc/self/fd"))
    kept = []  # references that would keep a file open
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        try:
            kept.append(read_image(tmp_path / name))
        except BadImage as error:
            kept.append(error)
    assert len(os.listdir("/proc/self/fd")) == before


def test_suffixes():
    assert is_image_name("A/B.JPeG")
    assert not is_image_name("jpg")
    assert not is_image_name("a.csv")
