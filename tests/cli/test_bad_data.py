"""Folders of images as people have them: damaged files, foreign files, rare kinds of image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TRAIN = ("--model", "shufflenetv2_050", "--epochs", "1", "--img-size", "32", "--batch-size", "4", "--out", "run")
Folder = Callable[..., Path]


def refuse(pumice: Any, here: Path, data: str, words: str, *more: str) -> None:
    """train, fit and val refuse these data in a sentence and leave nothing."""
    before = sorted(here.rglob("*"))
    for verb in (("train", data, *TRAIN), ("fit", data, "--max-madds", "10M", "--out", "run")):
        said = pumice(*verb, *more)
        assert said.code == 2, said.err
        assert words in said.sentence
        assert sorted(here.rglob("*")) == before


def test_a_missing_folder(pumice: Any, here: Path) -> None:
    refuse(pumice, here, "photos", "there is no data 'photos'")
    refuse(pumice, here, "./photos", "there is no folder photos")


def test_an_empty_folder(pumice: Any, here: Path) -> None:
    (here / "photos").mkdir()
    refuse(pumice, here, "photos", "there are no images in photos")


def test_an_empty_class(pumice: Any, here: Path, folder_of: Folder) -> None:
    folder_of(here / "photos", bright=4, dark=4)
    (here / "photos/none").mkdir()
    refuse(pumice, here, "photos", "class 'none' in photos has no images")


def test_one_class(pumice: Any, here: Path, folder_of: Folder) -> None:
    folder_of(here / "photos", bright=4)
    refuse(pumice, here, "photos", "photos holds one class ('bright'); classification needs at least two")


def test_no_classes(pumice: Any, here: Path, photo: Callable[[int], Image.Image]) -> None:
    (here / "photos").mkdir()
    photo(0).save(here / "photos/a.png")
    refuse(pumice, here, "photos", "put the images of each class into a folder")


def test_texts(pumice: Any, here: Path) -> None:
    for name in ("bright", "dark"):
        (here / "photos" / name).mkdir(parents=True)
        (here / "photos" / name / "a.txt").write_text("no image")
    refuse(pumice, here, "photos", "there are no images in photos")
    for name in ("bright", "dark"):
        (here / "photos" / name / "a.jpg").write_text("no image")
    refuse(pumice, here, "photos", "class 'bright' in photos has only damaged images (a.jpg, ...)")


def test_a_file_for_a_folder(pumice: Any, here: Path) -> None:
    (here / "photos").write_text("no folder")
    refuse(pumice, here, "photos", "photos is a file")


@pytest.fixture
def damaged(here: Path, folder_of: Folder, photo: Callable[[int], Image.Image]) -> Path:
    """Twelve good images, one cut short, one text named .jpg."""
    root = folder_of(here / "photos", bright=6, dark=6)
    photo(0).resize((200, 200)).save(root / "bright/short.jpg")
    whole = (root / "bright/short.jpg").read_bytes()
    (root / "bright/short.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dark/text.jpg").write_text("no image")
    return root


def test_damaged_files_are_named_skipped_and_counted(pumice: Any, here: Path, damaged: Path) -> None:
    trained = pumice("train", "photos", *TRAIN)
    assert trained.code == 0
    validated = pumice("val", "run")
    assert validated.code == 0
    for said in (trained, validated):
        assert "skipped photos/bright/short.jpg: it is cut short or damaged" in said.err
        assert "skipped photos/dark/text.jpg: " in said.err
        assert "2 of 14 files skipped" in said.err


def test_strict_refuses_damaged_files(pumice: Any, here: Path, damaged: Path) -> None:
    refuse(pumice, here, "photos", "2 files are not usable images in photos", "--strict")
    refuse(pumice, here, "photos", "photos/dark/text.jpg", "--strict")


def rare(root: Path, photo: Callable[[int], Image.Image]) -> list[str]:
    """One image of each rare kind in either class; their names."""
    made = []
    for which, name in enumerate(("bright", "dark")):
        image = photo(which + 100)
        grey = np.asarray(image.convert("L"))
        clear = image.convert("P", palette=Image.Palette.ADAPTIVE)
        exif = Image.Exif()
        exif[0x0112] = 6
        kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
            ("cmyk.jpg", image.convert("CMYK"), {}),
            ("palette.png", clear, {"transparency": 0}),
            ("grey.png", image.convert("L"), {}),
            ("deep.png", Image.fromarray(grey.astype(np.uint16) * 257), {}),
            ("turned.jpg", image, {"exif": exif}),
            ("alpha.png", image.convert("RGBA"), {}),
            ("one bit, ünïcode.png", image.convert("1"), {}),
        ]
        for file, kind, options in kinds:
            kind.save(root / name / file, **options)
            made.append(f"{name}/{file}")
    return made


def test_rare_kinds_of_image_are_read(
    pumice: Any, here: Path, folder_of: Folder, photo: Callable[[int], Image.Image]
) -> None:
    root = folder_of(here / "photos", bright=4, dark=4)
    names = rare(root, photo)
    said = pumice("train", "photos", "--strict", *TRAIN)
    assert said.code == 0
    assert "skipped" not in said.err
    rows = pumice("predict", "photos", "--model", "run", "--strict", "--json").json
    assert {f"photos/{name}" for name in names} <= {row["name"] for row in rows}
    assert len(rows) == 8 + len(names)
    assert pumice("val", "run").code == 0


def test_what_cannot_be_predicted(pumice: Any, here: Path, digits_run: Path) -> None:
    for source, words in [("nothing.png", "there is no file or folder nothing.png"), ("*.png", "no image matches")]:
        said = pumice("predict", source, "--model", digits_run)
        assert said.code == 2
        assert words in said.sentence
