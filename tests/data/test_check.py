"""What is wrong with a data set is found, and what is right is not complained of."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pumice.data.alike import close_pairs, dhash, looks_same, small_copy
from pumice.data.check import DataReport, check
from pumice.data.digits import open_digits
from pumice.data.open import open_data


def scene(seed: int, side: int = 64) -> Image.Image:
    """A smooth picture, unlike any of another seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def save(path: Path, image: Image.Image, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of 24 images to learn from and 40 to judge by, nothing wrong with them."""
    for c, name in enumerate(("ant", "bee", "cat")):
        for i in range(24):
            save(tmp_path / "train" / name / f"{i}.jpg", scene(1000 * c + i))
        for i in range(40):
            save(tmp_path / "val" / name / f"{i}.png", scene(1000 * c + 500 + i))
    return tmp_path


def looked(photos: Path) -> DataReport:
    return check(open_data(photos))


def test_nothing_wrong(photos: Path):
    report = looked(photos)
    assert report.ok
    assert not report.advice
    assert report.classes == (("ant", 24, 40), ("bee", 24, 40), ("cat", 24, 40))
    assert (report.ratio, report.evenness) == (1.0, pytest.approx(1.0))
    assert report.sizes == {"width": (64, 64, 64), "height": (64, 64, 64), "aspect": (1, 1, 1)}
    assert report.formats == {"PNG": 120, "JPEG": 72}
    assert report.modes == {"RGB": 192}
    assert (report.leaks, report.contradictions, report.repeated, report.turned) == ((), (), 0, 0)


def test_damaged_and_foreign_files(photos: Path):
    whole = (photos / "train/ant/3.jpg").read_bytes()
    (photos / "train/ant/3.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "val/bee/notes.txt").write_text("notes")
    report = looked(photos)
    assert [Path(one.path).name for one in report.damaged] == ["3.jpg"]
    assert [Path(one.path).name for one in report.left_out] == ["notes.txt"]
    assert len(report.problems) == 1
    assert "cannot be read" in report.problems[0]
    assert report.classes[0] == ("ant", 23, 40)


def test_the_same_image_on_both_sides(photos: Path):
    (photos / "val/ant/copy.jpg").write_bytes((photos / "train/ant/5.jpg").read_bytes())
    smaller = Image.open(photos / "train/bee/7.jpg").resize((40, 40))
    save(photos / "val/bee/smaller.jpg", smaller, quality=40)
    brighter = Image.open(photos / "train/cat/9.jpg").point(lambda v: min(255, int(v * 0.8 + 40)))
    save(photos / "val/cat/brighter.png", brighter)
    report = looked(photos)
    found = {(Path(p.first).name, Path(p.second).name): p.bits for p in report.leaks}
    assert set(found) == {("5.jpg", "copy.jpg"), ("7.jpg", "smaller.jpg"), ("9.jpg", "brighter.png")}
    assert found["5.jpg", "copy.jpg"] is None
    assert all(found[pair] is not None for pair in found if pair[0] != "5.jpg")
    assert all(pair.where == ("train", "val") for pair in report.leaks)
    assert "3 validation images also to be learnt from (1 equal pair, 2 near duplicates" in report.problems[0]
    assert not report.contradictions


def test_one_image_in_two_classes_and_twice_in_one(photos: Path):
    original = (photos / "train/ant/1.jpg").read_bytes()
    (photos / "train/cat/also.jpg").write_bytes(original)
    (photos / "train/ant/again.jpg").write_bytes(original)
    report = looked(photos)
    (pair,) = report.contradictions
    assert {(pair.first, pair.labels[0]), (pair.second, pair.labels[1])} >= {("train/cat/also.jpg", "cat")}
    assert pair.bits is None
    assert report.repeated == 1
    assert "different labels" in report.problems[0]
    assert "1 training image equal to another" in report.advice[0]


def test_a_near_duplicate_of_another_class_is_advice_only(photos: Path):
    save(photos / "train/cat/near.jpg", Image.open(photos / "train/ant/2.jpg").resize((50, 50)))
    report = looked(photos)
    assert report.ok
    assert [pair.labels for pair in report.contradictions] == [("ant", "cat")]
    assert "1 pair of nearly equal images" in report.advice[0]


def test_balance(photos: Path):
    for i in range(2, 24):
        (photos / f"train/bee/{i}.jpg").unlink()
    report = looked(photos)
    assert report.ratio == 12
    shares = np.array([24, 2, 24]) / 50
    assert report.evenness == pytest.approx(-(shares * np.log(shares)).sum() / np.log(3))
    assert report.advice[0] == "class 'bee' has 2 images to learn from; add some, or merge it with another"
    assert "data.balanced=true" in report.advice[1]


def test_kinds_of_files(photos: Path):
    save(photos / "train/ant/grey.png", scene(70).convert("L"))
    save(photos / "train/ant/clear.png", scene(71).convert("RGBA"))
    save(photos / "train/ant/print.jpg", scene(72).convert("CMYK"))
    exif = Image.Exif()
    exif[0x0112] = 6
    save(photos / "train/ant/turned.jpg", scene(73), exif=exif)
    save(photos / "train/ant/wide.jpg", scene(74, 2100))
    report = looked(photos)
    assert report.modes == {"RGB": 194, "L": 1, "RGBA": 1, "CMYK": 1}
    assert report.turned == 1
    assert report.sizes["width"] == (64, 64, 2100)
    assert any("EXIF" in one for one in report.advice)
    assert any("4 million pixels" in one for one in report.advice)


def test_digits():
    """No files, tiny, alike by nature: nothing is claimed of near duplicates."""
    report = check(open_digits())
    assert report.ok
    assert (report.formats, report.modes) == ({}, {"RGB": 1797})
    assert sum(train + val for _, train, val in report.classes) == 1797


def test_pairs_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**64, 150, dtype=np.uint64)
    flips = [base.copy() for _ in range(4)]
    for copy in flips:
        for i in range(len(copy)):
            for bit in rng.choice(64, rng.integers(0, 12), replace=False):
                copy[i] ^= np.uint64(1) << np.uint64(bit)
    hashes = np.concatenate([base, *flips, np.zeros(30, np.uint64)])
    for within in (0, 4, 8):
        far = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
        expected = np.argwhere(np.triu(far <= within, 1))
        assert len(expected) > 400
        assert np.array_equal(close_pairs(hashes, within), expected)
    assert close_pairs(hashes[:0], 4).shape == close_pairs(hashes[:1], 4).shape == (0, 2)


def test_hash():
    ramp = Image.fromarray(np.tile(np.arange(0, 72, dtype=np.uint8), (64, 1)))
    assert dhash(ramp) == 2**64 - 1
    assert dhash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0

    def copies(*images: Image.Image) -> NDArray[np.uint8]:
        return np.stack([small_copy(image) for image in images])

    pair = np.array([[0, 1]])
    assert looks_same(copies(scene(1), scene(1, 200)), pair, 0.99).all()
    assert not looks_same(copies(scene(1), scene(2)), pair, 0.9).any()
    flat = Image.new("RGB", (9, 9))
    assert not looks_same(copies(flat, scene(2)), pair, 0.9).any()


def test_shards_and_tables_are_looked_at_too(photos: Path, tmp_path: Path):
    import tarfile

    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name in ("ant/1.jpg", "ant/2.jpg", "bee/1.jpg", "bee/2.jpg", "bee/copy.jpg"):
            data = (photos / "train" / name.replace("copy", "1")).read_bytes()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    report = check(open_data(f"wds:{tmp_path}/s.tar", val_fraction=0.4))
    assert report.formats == {"JPEG": 5}
    assert len(report.leaks) + report.repeated == 1
