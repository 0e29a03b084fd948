"""COCO's JSON: `annotations/instances_train2017.json` beside `train2017/`, or one file beside its images.

https://cocodataset.org/#format-data.  Also as Roboflow exports it: `train/_annotations.coco.json` among the images.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from pumice.data.annotated import Annotated, Lists, Object
from pumice.data.images import Skipped, natural_key
from pumice.errors import BadInput
from pumice.files import read_json

TRAIN = ("train",)
VALIDATION = ("val", "valid", "validation", "test")  # the first that exists is used
OTHER_TASKS = ("keypoints", "captions", "panoptic", "stuff", "image_info")
LIMIT = 1e9  # pixels


def coco_files(root: Path) -> tuple[Path, Path | None] | None:
    """The JSON files of training and of validation images in a folder; None if it is no COCO folder.

    Raises:
        BadInput: a split has several files, or there is one for validation alone.
    """
    files = [file for folder in (root / "annotations", root) for file in sorted(folder.glob("*.json"))]
    # Among images there may be a JSON file per image, of other programs.
    files += [file for folder in _named(root, TRAIN + VALIDATION) for file in sorted(folder.glob("*coco*.json"))]
    files = [file for file in files if not any(word in file.stem.lower() for word in OTHER_TASKS)]
    train = _one(files, root, TRAIN)
    val = next((file for word in VALIDATION if (file := _one(files, root, (word,)))), None)
    if train is not None:
        return train, val
    if val is not None:
        raise BadInput(f"{root} has {val.relative_to(root)} but no list of training images; add instances_train.json")
    alone = [file for file in files if file.parent in (root, root / "annotations") and _looks_like_coco(file)]
    if len(alone) > 1:
        raise BadInput(f"{root} holds {len(alone)} JSON files ({alone[0].name}, ...); give the one that is meant")
    return (alone[0], None) if alone else None


def read_coco(root: Path, train: Path, val: Path | None) -> Lists:
    """Read the files.  Classes are the categories of the training images in order of their ids.

    Raises:
        BadInput: a file is no JSON, or not of COCO's form; a category comes twice.
    """
    classes, images, skipped = _read(root, train)
    if val is None:
        return Lists(classes, images, None, skipped)
    _, judged, more = _read(root, val)
    return Lists(classes, images, judged, skipped + more)


def load_coco(file: Path) -> dict[str, list[dict[str, Any]]]:
    """The lists `images`, `annotations` and `categories` of a file; entries are objects, other keys are left out.

    Raises:
        BadInput: it is no JSON, or not of that form.
    """
    value = read_json(file)
    keys = ("images", "annotations", "categories")
    if not isinstance(value, dict) or not all(
        isinstance(value.get(key), list) and all(isinstance(entry, dict) for entry in value[key]) for key in keys
    ):
        raise BadInput(f"{file} is not COCO's JSON; it needs the lists images, annotations and categories")
    return {key: value[key] for key in keys}


def categories(value: dict[str, list[dict[str, Any]]], file: Path) -> dict[int, str]:
    """Names of the categories in order of their ids.

    Raises:
        BadInput: there are none, one has no id or name, or an id or name comes twice.
    """
    found: dict[int, str] = {}
    for entry in value["categories"]:
        number, name = entry.get("id"), entry.get("name")
        if not _whole(number) or not isinstance(name, str):
            raise BadInput(f"{file} has a category without a whole number as id or without a name ({entry}); mend it")
        if number in found or name in found.values():
            raise BadInput(f"{file} has the category {number} ({name!r}) twice; give each an id and a name of its own")
        found[number] = name
    if not found:
        raise BadInput(f"{file} has no categories; name the classes there")
    return dict(sorted(found.items()))


def image_folders(root: Path, file: Path) -> list[Path]:
    """Folders in which the images of an annotation file may lie, the likeliest first."""
    words = re.split(r"[_.]", file.stem)
    splits = [word for word in words if re.sub(r"\d+$", "", word.lower()) in TRAIN + VALIDATION]
    names = [form for word in splits for form in (word, re.sub(r"\d+$", "", word))]
    below = [root / name for name in names] + [root / "images" / name for name in names]
    candidates = [*below, file.parent, root / "images", root, file.parent / "images"]
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def find_image(file_name: object, folders: Sequence[Path]) -> str | None:
    """Path of an image that annotations name; None if there is none.  A name that leads out of a folder is no name."""
    if not isinstance(file_name, str) or "\0" in file_name:
        return None
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.name:
        return None
    for folder in folders:
        for form in dict.fromkeys((str(name), name.name)):
            if (path := folder / form).is_file():
                return str(path)
    return None


def _read(root: Path, file: Path) -> tuple[tuple[str, ...], list[Annotated], list[Skipped]]:
    value = load_coco(file)
    names = categories(value, file)
    folders = image_folders(root, file)
    skipped: list[Skipped] = []
    images: dict[int, Annotated] = {}
    for entry in value["images"]:
        number, called = entry.get("id"), entry.get("file_name")
        if not _whole(number) or not isinstance(called, str):
            skipped.append(Skipped(str(file), f"image {number!r} has no whole number as id or no file_name"))
        elif number in images:
            skipped.append(Skipped(str(file), f"image {number} ({called}) has the id of {images[number].name}"))
        else:
            path = find_image(called, folders)
            shown = called if path is None else os.path.relpath(path, root).replace(os.sep, "/")
            images[number] = Annotated(path, shown, str(file), size=_size(entry))
    seen: set[int] = set()
    for entry in value["annotations"]:
        fault = _fault(entry, images, names, seen)
        if fault is not None:
            skipped.append(Skipped(str(file), f"annotation {entry.get('id')!r}{fault}"))
            continue
        seen.add(entry["id"])
        left, top, width, height = map(float, entry["bbox"])
        one = Object(
            f"annotation {entry['id']}",
            entry["id"],
            names[entry["category_id"]],
            (left, top, left + width, top + height),
            bool(entry.get("iscrowd", 0)),
            _area(entry.get("area")),
        )
        images[entry["image_id"]].objects.append(one)
    return tuple(names.values()), list(images.values()), skipped


def _fault(entry: dict[str, Any], images: dict[int, Annotated], names: dict[int, str], seen: set[int]) -> str | None:
    """Why an annotation cannot be read, as the end of a sentence."""
    number, image, category, box = (entry.get(key) for key in ("id", "image_id", "category_id", "bbox"))
    if not _whole(number):
        return " has no whole number as id"
    if not _whole(image) or image not in images:
        return f": there is no image {image!r} in the list"
    of = f" of {images[image].name}"
    if number in seen:
        return f"{of}: the id comes a second time"
    if not _whole(category) or category not in names:
        return f"{of}: there is no category {category!r} in the list"
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(v, int | float) and abs(v) < LIMIT for v in box)
    ):
        return f"{of}: its bbox is not [x, y, width, height] in pixels"
    return None


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) and height > 0 < width else None


def _area(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < LIMIT**2 else None


def _named(root: Path, words: Sequence[str]) -> list[Path]:
    """Folders directly below of one of these names, with or without a year."""
    below = [entry for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []
    return sorted(entry for entry in below if re.sub(r"\d+$", "", entry.name.lower()) in words)


def _one(files: Sequence[Path], root: Path, words: Sequence[str]) -> Path | None:
    """The file of a split."""
    found = [file for file in files if _split(file, root) in words]
    preferred = [file for file in found if file.stem.startswith("instances")] or found
    if len(preferred) > 1:
        # COCO's archives of 2014 and 2017 hold lists for images that may not be there.
        with_images = [file for file in preferred if _named_folder(root, file)]
        preferred = with_images if len(with_images) == 1 else preferred
    if len(preferred) > 1:
        first = sorted(preferred, key=lambda file: natural_key(file.name))[:3]
        names = ", ".join(str(file.relative_to(root)) for file in first)
        raise BadInput(f"{root} holds several lists of {words[0]} images ({names}); leave one of them there")
    return preferred[0] if preferred else None


def _split(file: Path, root: Path) -> str | None:
    """The word for a split in the name of an annotation file, or of the folder that holds it."""
    words = [re.sub(r"\d+$", "", word.lower()) for word in re.split(r"[_.\-]", file.stem)]
    if file.parent not in (root, root / "annotations"):
        words = [re.sub(r"\d+$", "", file.parent.name.lower())]
    return next((word for word in words if word in TRAIN + VALIDATION), None)


def _named_folder(root: Path, file: Path) -> bool:
    """Whether there is a folder of images by a word in the file's name, "train2017"."""
    return any((root / word).is_dir() or (root / "images" / word).is_dir() for word in file.stem.split("_"))


def _looks_like_coco(file: Path) -> bool:
    """Whether a file holds an object with COCO's lists."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and "images" in value and "annotations" in value
