"""Folders of images and masks: every layout gives the same pixels, and every fault is named."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data import open_masks as opening
from pumice.data.image import BadImage
from pumice.data.images import Splits
from pumice.data.mask_classes import CAMVID, CITYSCAPES, VOC
from pumice.data.mask_summary import summary
from pumice.data.masks import VOID, BadMask, MaskFile, MaskSet, Meaning, count_pixels, sizes_of
from pumice.data.open_masks import open_masks
from pumice.errors import BadInput

HEIGHT, WIDTH = 6, 10


def values(*numbers: int) -> np.ndarray:
    """A mask with these values in columns, in turn."""
    return np.tile(np.resize(np.array(numbers, np.uint8), WIDTH), (HEIGHT, 1))


def put(path: Path, mask: np.ndarray | None = None, palette: bool = False) -> None:
    """Write a mask, or an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mask is None:
        shade = sum(map(ord, path.stem)) % 200
        Image.new("RGB", (WIDTH, HEIGHT), (shade, 2, 3)).save(path)
        return
    image = Image.fromarray(mask)
    if palette:
        image = image.convert("P")
        image.putdata(mask.ravel().tolist())
        image.putpalette([c for i in range(256) for c in (255 - i, i, i // 2)])
    image.save(path)


def pairs(root: Path, train: dict[str, np.ndarray], val: dict[str, np.ndarray] | None = None) -> Path:
    """`images/train`, `masks/train`, ..."""
    for split, masks in (("train", train), ("val", val or {"v": values(0, 1)})):
        for name, mask in masks.items():
            put(root / "images" / split / f"{name}.png")
            put(root / "masks" / split / f"{name}.png", mask)
    return root


def one_of(layout: str, root: Path) -> dict:
    """Two training images and one to judge by in some layout; what should be read of the first training mask."""
    match layout:
        case "inside":
            pairs(root, {"a": values(0, 1, 2, 255), "b": values(2)})
            return {"classes": ("0", "1", "2"), "mask": values(0, 1, 2, 255), "name": "images/train/a.png"}
        case "outside":
            for split, name in (("train", "a"), ("train", "deep/b"), ("valid", "c")):
                put(root / split / "images" / f"{name}.jpg")
                put(root / split / "labels" / f"{name}.png", values(0, 1), palette=True)
            return {"classes": ("0", "1"), "mask": values(0, 1), "name": "train/images/a.jpg"}
        case "camvid":
            for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
                put(root / split / f"{name}.png")
                put(root / f"{split}annot" / f"{name}.png", values(3, 10, 11))
            return {"classes": CAMVID, "mask": values(3, 10, 255), "name": "train/a.png"}
        case "camvid_named":
            one_of("camvid", root)
            (root / "classes.txt").write_text("\n".join([*(f"thing {i}" for i in range(11)), "Unlabelled"]))
            return {"classes": tuple(f"thing {i}" for i in range(11)), "mask": values(3, 10, 255)}
        case "cityscapes":
            for split, name in (("train", "aachen/aachen_0_0"), ("train", "ulm/ulm_0_0"), ("val", "bonn/bonn_0_0")):
                put(root / "leftImg8bit" / split / f"{name}_leftImg8bit.png")
                put(root / "gtFine" / split / f"{name}_gtFine_labelIds.png", values(7, 33, 4, 24))
                put(root / "gtFine" / split / f"{name}_gtFine_color.png")
            put(root / "gtFine/train/ulm/ulm_0_0_gtFine_labelTrainIds.png", values(0, 18, 255, 11))
            expected = {"classes": tuple(CITYSCAPES), "mask": values(0, 18, 255, 11)}
            return {**expected, "name": "leftImg8bit/train/aachen/aachen_0_0_leftImg8bit.png"}
        case "voc":
            base = root / "VOCdevkit" / "VOC2012"
            for name in ("2007_1", "2007_2", "2007_3", "unlisted"):
                put(base / "JPEGImages" / f"{name}.jpg")
                put(base / "SegmentationClass" / f"{name}.png", values(0, 20, 255), palette=True)
            lists = base / "ImageSets" / "Segmentation"
            lists.mkdir(parents=True)
            (lists / "train.txt").write_text("2007_1\n2007_2\n")
            (lists / "val.txt").write_text("2007_3\n")
            name = "VOCdevkit/VOC2012/JPEGImages/2007_1.jpg"
            return {"classes": VOC, "mask": values(0, 20, 255), "name": name}
    raise AssertionError(layout)


@pytest.mark.parametrize("layout", ["inside", "outside", "camvid", "camvid_named", "cityscapes", "voc"])
def test_every_layout_is_read(layout, tmp_path):
    expected = one_of(layout, tmp_path)
    splits = open_masks(tmp_path, strict=True)
    assert (splits.classes, len(splits.train), len(splits.val)) == (expected["classes"], 2, 1)
    assert splits.train.names[0] == expected.get("name", splits.train.names[0])
    image, mask = splits.train.pair(0)
    assert (image.size, image.mode, mask.dtype) == ((WIDTH, HEIGHT), "RGB", np.uint8)
    np.testing.assert_array_equal(mask, expected["mask"])
    if layout == "cityscapes":  # the other one comes from trainIds
        np.testing.assert_array_equal(splits.train.mask(1), expected["mask"])
    np.testing.assert_array_equal(
        splits.train.pixels[0], np.bincount(mask.ravel(), minlength=256)[[*range(len(splits.classes)), VOID]]
    )
    assert splits.train.sizes == ((HEIGHT, WIDTH),) * 2


def test_what_was_counted_is_what_is_counted_anew(tmp_path):
    pairs(tmp_path, {"a": values(0, 1, 255), "b": values(2, 0)})
    seen = open_masks(tmp_path).train
    plain = MaskSet(seen.classes, seen.names, seen.loaders, seen.masks)
    np.testing.assert_array_equal(count_pixels(plain), seen.pixels)
    assert sizes_of(plain) == seen.sizes
    part = seen.subset([1])
    assert (part.names, part.sizes) == (("images/train/b.png",), ((HEIGHT, WIDTH),))
    np.testing.assert_array_equal(part.pixels, seen.pixels[[1]])
    np.testing.assert_array_equal(part.mask(0), values(2, 0))


def test_images_without_splits_are_split_by_name(tmp_path):
    for i in range(10):
        put(tmp_path / "images" / f"{i}.png")
        put(tmp_path / "masks" / f"{i}.png", values(0, 1))
    first, again = (open_masks(tmp_path, seed=3, val_fraction=0.3) for _ in range(2))
    assert (first.train.names, first.val.names) == (again.train.names, again.val.names)
    assert (len(first.train), len(first.val)) == (7, 3)
    assert not set(first.train.names) & set(first.val.names)
    assert open_masks(tmp_path, seed=4, val_fraction=0.3).val.names != first.val.names


def damage(kind: str, root: Path) -> None:
    """Spoil one of the pairs named b."""
    mask, image = root / "masks/train/b.png", root / "images/train/b.png"
    match kind:
        case "missing":
            mask.unlink()
        case "orphan":
            image.unlink()
        case "size":
            put(mask, values(0, 1)[:, :-1])
        case "beyond":
            put(mask, values(0, 1, 7, 9))
        case "colour":
            put(mask)
        case "jpeg":
            mask.unlink()
            Image.fromarray(values(0, 1)).save(mask.with_suffix(".jpg"))
        case "cut":
            mask.write_bytes(mask.read_bytes()[:50])
        case "image":
            image.write_bytes(b"no image")
        case "wide":
            Image.fromarray(np.full((HEIGHT, WIDTH), 300, np.uint16)).save(mask)


FAULTS = {
    "missing": ("images/train/b.png", "its mask is missing"),
    "orphan": ("masks/train/b.png", "no image belongs to this mask"),
    "size": ("masks/train/b.png", "it is 9 x 6 pixels, its image 10 x 6"),
    "beyond": ("masks/train/b.png", r"24 pixels have a value \(7, 9\) beyond the 2 classes"),
    "colour": ("masks/train/b.png", "it is in colour"),
    "jpeg": ("masks/train/b.jpg", "it is a JPEG"),
    "cut": ("masks/train/b.png", "it cannot be read"),
    "image": ("images/train/b.png", "it holds text"),
    "wide": ("masks/train/b.png", "it has the value 300"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_named_skipped_or_refused(kind, tmp_path):
    pairs(tmp_path, {"a": values(0, 1), "b": values(0, 1), "c": values(1)})
    (tmp_path / "classes.json").write_text(json.dumps(["road", "tree"]))
    damage(kind, tmp_path)
    path, reason = FAULTS[kind]
    splits = open_masks(tmp_path)
    assert splits.train.names == ("images/train/a.png", "images/train/c.png")
    assert [s.path for s in splits.skipped] == [str(tmp_path / path)]
    assert splits.skipped[0].damaged == (kind == "image")
    with pytest.raises(BadInput, match=rf"1 file cannot be used in .*{path}: .*{reason}"):
        open_masks(tmp_path, strict=True)


def test_a_class_that_only_masks_to_judge_by_have_is_beyond_the_classes(tmp_path):
    pairs(tmp_path, {"a": values(0, 1)}, {"v": values(0, 1), "w": values(2)})
    assert [s.reason for s in open_masks(tmp_path).skipped] == ["60 pixels have a value (2) beyond the 2 classes"]


def test_hopeless_folders_are_refused(tmp_path):
    with pytest.raises(BadInput, match="there is no folder"):
        open_masks(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="it needs images/ with masks/"):
        open_masks(tmp_path)
    root = pairs(tmp_path / "binary", {"a": values(0, 255)}, {"v": values(0, 255)})
    with pytest.raises(BadInput, match="have 1 class beside 255, which means void; for two classes use 0 and 1"):
        open_masks(root)
    root = pairs(tmp_path / "broken", {"a": values(0, 1)}, {"v": values(0, 1)[1:]})
    with pytest.raises(BadInput, match=r"no image with a usable mask to judge by .*v\.png: it is 10 x 5"):
        open_masks(root)
    root = pairs(tmp_path / "coloured", {"a": values(0, 1)})
    put(root / "masks/train/a.png")
    with pytest.raises(BadInput, match=r"no image with a usable mask to learn from .*a\.png: it is in colour \(RGB\)"):
        open_masks(root)
    put(tmp_path / "voc/JPEGImages/a.jpg")
    put(tmp_path / "voc/SegmentationClass/a.png", values(0, 1))
    with pytest.raises(BadInput, match=r"train\.txt is missing"):
        open_masks(tmp_path / "voc")
    listing = tmp_path / "voc/ImageSets/Segmentation/train.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("../../secret")
    with pytest.raises(BadInput, match="lies elsewhere"):
        open_masks(tmp_path / "voc")


def test_files_that_change_later_are_named(tmp_path):
    pairs(tmp_path, {"a": values(0, 1), "b": values(0, 1)})
    train = open_masks(tmp_path).train
    put(tmp_path / "masks/train/a.png", values(0, 5))
    with pytest.raises(BadMask, match=r"a\.png: 30 pixels have a value \(5\) beyond"):
        train.mask(0)
    put(tmp_path / "masks/train/b.png", values(0, 1)[1:])
    with pytest.raises(BadMask, match=r"b\.png: it is 10 x 5"):
        train.pair(1)
    (tmp_path / "images/train/b.png").unlink()
    with pytest.raises(BadImage, match="no such file"):
        train.pair(1)
    error = pickle.loads(pickle.dumps(BadMask("m.png", "why")))
    assert (error.name, error.reason) == ("m.png", "why")


def test_turned_images_are_compared_upright(tmp_path, monkeypatch):
    pairs(tmp_path, {"a": values(0, 1)})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "images/train/a.jpg", exif=exif)  # stored lying on its side
    (tmp_path / "images/train/a.png").unlink()
    for limit in (opening.DECODE_BELOW, 0):  # decoded, or only the header is read
        monkeypatch.setattr(opening, "DECODE_BELOW", limit)
        splits = open_masks(tmp_path, strict=True)
        assert splits.train.pair(0)[0].size == (WIDTH, HEIGHT)


def test_what_a_value_means():
    meaning = Meaning.of({3: 0, 4: 1}, void=[7])
    counts = np.zeros(256, np.int64)
    counts[[3, 7, 255]] = 5
    assert meaning.fault(counts) is None
    counts[0] = 1
    assert meaning.fault(counts) == "1 pixel has a value (0) beyond the 2 classes"
    with pytest.raises(BadMask, match="no such file"):
        MaskFile("nowhere.png", meaning)()


def test_summary_counts_and_advises(tmp_path):
    void = np.full((HEIGHT, WIDTH), VOID, np.uint8)
    rare = values(0)
    rare[0, 0] = 2
    pairs(tmp_path, {"a": values(0, 1), "b": values(0), "c": void, "d": void, "e": void, "f": rare}, {"v": values(3)})
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\nbus\nship\n")
    splits = open_masks(tmp_path)
    found = summary(splits)
    assert found.train.shares == {"sky": 149 / 180, "road": 30 / 180, "car": 1 / 180, "bus": 0, "ship": 0}
    assert found.train.images_per_class == {"sky": 3, "road": 1, "car": 1, "bus": 0, "ship": 0}
    assert (found.train.images, found.train.void, found.train.all_void) == (6, 0.5, 3)
    assert found.problems == ("class 'bus' has pixels to judge by but none to learn from; add images of it",)
    assert found.advice == (
        "no mask has class 'ship'; remove it from the class list, or add images of it",
        "class 'car' is in 1 image to learn from; add some",
        "class 'road' is in 1 image to learn from; add some",
        "class 'sky' is in 3 images to learn from; add some",
        "3 images to learn from are void all over; leave them out",
    )
    assert json.loads(json.dumps(found.to_json()))["ok"] is False
    same = Splits("x", splits.train, splits.train)
    assert "6 images are to be learnt from and to be judged by" in summary(same).problems[0]
