"""Which mask belongs to which image, in the layouts that segmentation data come in."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pumice.data.folder import TRAIN, VALIDATION, image_files
from pumice.data.images import Skipped
from pumice.errors import BadInput

Layout = Literal["cityscapes", "camvid", "voc", "folder"]
IMAGES = "images"
MASKS = ("masks", "labels", "annotations")  # the first that exists is used
KNOWN = (
    "images/ with masks/ (each with train/ and val/, or not), train/images/ with train/masks/, train/ with trainannot/ "
    "(CamVid), leftImg8bit/ with gtFine/ (Cityscapes), or JPEGImages/ with SegmentationClass/ (VOC)"
)


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    name: the image's path below the folder, with forward slashes.
    image, mask: their files.
    """

    name: str
    image: str
    mask: str


@dataclass
class Found:
    """The pairs of a folder.

    val: None where the layout does not say which are for validation.
    skipped: files that lack their other half.
    """

    layout: Layout
    train: list[Pair]
    val: list[Pair] | None
    skipped: list[Skipped] = field(default_factory=list)


def find_pairs(root: Path) -> Found:
    """Images with their masks, matched by the path below their folders, without its suffix.

    Raises:
        BadInput: the folder has none of the layouts.
    """
    for find in (_cityscapes, _voc, _camvid, _splits_inside, _splits_outside):
        found = find(root)
        if found is not None:
            return found
    raise BadInput(f"{root} holds no images with masks that Pumice knows; it needs {KNOWN}")


def _cityscapes(root: Path) -> Found | None:
    images, masks = root / "leftImg8bit", root / "gtFine"
    if not (images.is_dir() and masks.is_dir()):
        return None
    found = Found("cityscapes", [], None)
    for split in ("train", "val"):
        if not (images / split).is_dir():
            continue
        pairs = []
        for image in image_files(images / split):
            stem = os.path.relpath(image, images / split).removesuffix("_leftImg8bit.png")
            choices = [str(masks / split / f"{stem}_gtFine_{kind}.png") for kind in ("labelTrainIds", "labelIds")]
            mask = next((path for path in choices if os.path.isfile(path)), None)
            if mask is None:
                found.skipped.append(Skipped(image, f"its mask is missing ({choices[1]})"))
            else:
                pairs.append(Pair(_below(root, image), image, mask))
        if split == "train":
            found.train = pairs
        else:
            found.val = pairs
    return found


def _voc(root: Path) -> Found | None:
    roots = [path for path in (root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))) if _is_voc(path)]
    if not roots:
        return None
    base = roots[0]
    found = Found("voc", [], None)
    for split in ("train", "val"):
        listing = base / "ImageSets" / "Segmentation" / f"{split}.txt"
        if not listing.is_file():
            if split == "train":
                raise BadInput(f"{listing} is missing; it names the training images, one a line without the suffix")
            continue
        pairs = []
        for stem in listing.read_text(encoding="utf-8", errors="replace").split():
            if os.path.isabs(stem) or ".." in Path(stem).parts:
                raise BadInput(f"{listing} names {stem!r}, which lies elsewhere; give names below JPEGImages")
            image, mask = base / "JPEGImages" / f"{stem}.jpg", base / "SegmentationClass" / f"{stem}.png"
            if not image.is_file():
                found.skipped.append(Skipped(str(image), f"there is no such file, though {listing.name} names it"))
            elif not mask.is_file():
                found.skipped.append(Skipped(str(image), f"its mask is missing ({mask})"))
            else:
                pairs.append(Pair(_below(root, str(image)), str(image), str(mask)))
        if split == "train":
            found.train = pairs
        else:
            found.val = pairs
    return found


def _is_voc(path: Path) -> bool:
    return (path / "JPEGImages").is_dir() and (path / "SegmentationClass").is_dir()


def _camvid(root: Path) -> Found | None:
    """`train/` with `trainannot/`, `val/` with `valannot/`."""
    if not ((root / TRAIN).is_dir() and (root / f"{TRAIN}annot").is_dir()):
        return None
    val = next((v for v in VALIDATION if (root / v).is_dir() and (root / f"{v}annot").is_dir()), None)
    return _matched(
        "camvid",
        root,
        (root / TRAIN, root / f"{TRAIN}annot"),
        None if val is None else (root / val, root / f"{val}annot"),
    )


def _splits_inside(root: Path) -> Found | None:
    """`images/train/` with `masks/train/`, or `images/` with `masks/` alone."""
    masks = next((root / name for name in MASKS if (root / name).is_dir()), None)
    images = root / IMAGES
    if masks is None or not images.is_dir():
        return None
    if not ((images / TRAIN).is_dir() and (masks / TRAIN).is_dir()):
        return _matched("folder", root, (images, masks), None)
    val = next((v for v in VALIDATION if (images / v).is_dir() and (masks / v).is_dir()), None)
    return _matched(
        "folder", root, (images / TRAIN, masks / TRAIN), None if val is None else (images / val, masks / val)
    )


def _splits_outside(root: Path) -> Found | None:
    """`train/images/` with `train/masks/`."""
    folders = {}
    for split in (TRAIN, *VALIDATION):
        masks = next((root / split / name for name in MASKS if (root / split / name).is_dir()), None)
        if masks is not None and (root / split / IMAGES).is_dir():
            folders[split] = (root / split / IMAGES, masks)
    if TRAIN not in folders:
        return None
    return _matched("folder", root, folders[TRAIN], next((folders[v] for v in VALIDATION if v in folders), None))


def _matched(layout: Layout, root: Path, train: tuple[Path, Path], val: tuple[Path, Path] | None) -> Found:
    found = Found(layout, [], None)
    found.train = _pairs(root, *train, found.skipped)
    if val is not None:
        found.val = _pairs(root, *val, found.skipped)
    return found


def _pairs(root: Path, images: Path, masks: Path, skipped: list[Skipped]) -> list[Pair]:
    """Images of a folder with the masks of another; what is left over is added to `skipped`."""
    known = {os.path.splitext(os.path.relpath(mask, masks))[0]: mask for mask in reversed(image_files(masks))}
    pairs = []
    for image in image_files(images):
        stem = os.path.splitext(os.path.relpath(image, images))[0]
        mask = known.pop(stem, None)
        if mask is None:
            skipped.append(Skipped(image, f"its mask is missing ({masks / stem}.png)"))
        else:
            pairs.append(Pair(_below(root, image), image, mask))
    skipped += [Skipped(mask, "no image belongs to this mask") for mask in known.values()]
    return pairs


def _below(root: Path, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")
