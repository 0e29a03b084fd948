"""YOLO's folders: a text file of boxes per image, `labels/a.txt` for `images/a.jpg`, and class names in `data.yaml`.

A line is `class centre_x centre_y width height` or `class x1 y1 x2 y2 ...`, an outline, whose box is taken; all in
fractions of the image's sides.  Splits are folders: `images/train` with `labels/train`, or `train/images` with
`train/labels`.  The paths in `data.yaml` are not used: they are of the machine on which it was written.
"""

from pathlib import Path

from pumice.data.annotated import Annotated, Lists, Object
from pumice.data.coco import TRAIN, VALIDATION
from pumice.data.folder import image_files
from pumice.data.images import Skipped, natural_key
from pumice.data.labels import read_names
from pumice.errors import BadInput

Pair = tuple[Path, Path]  # folder of images, folder of labels


def yolo_folders(root: Path) -> tuple[Pair, Pair | None] | None:
    """Folders of training and of validation images with their labels; None if it is no such folder.

    Raises:
        BadInput: there are validation images alone.
    """
    found: dict[str, Pair] = {}
    for word in TRAIN + VALIDATION:
        for images, labels in (("images/" + word, "labels/" + word), (word + "/images", word + "/labels")):
            if (root / images).is_dir() and (root / labels).is_dir():
                found.setdefault(word, (root / images, root / labels))
    val = next((found[word] for word in VALIDATION if word in found), None)
    if "train" in found:
        return found["train"], val
    if val is not None:
        raise BadInput(f"{root} has {val[0].relative_to(root)} but no training images; add images/train, labels/train")
    whole = root / "images", root / "labels"
    return (whole, None) if all(folder.is_dir() for folder in whole) else None


def read_yolo(root: Path, train: Pair, val: Pair | None) -> Lists:
    """Read the folders.  Without a file of class names the numbers are the names.

    Raises:
        BadInput: the file of class names is none.
    """
    skipped: list[Skipped] = []
    names = _names(root)
    images = _read(root, train, names, skipped)
    judged = None if val is None else _read(root, val, names, skipped)
    if names is None:
        used = {one.label for image in images for one in image.objects}
        names = tuple(sorted(used, key=natural_key))
    return Lists(names, images, judged, skipped)


def _read(root: Path, folders: Pair, names: tuple[str, ...] | None, skipped: list[Skipped]) -> list[Annotated]:
    above, labels = folders
    images, used = [], set()
    for path in image_files(above):
        file = labels / Path(path).relative_to(above).with_suffix(".txt")
        used.add(file)
        image = Annotated(path, Path(path).relative_to(root).as_posix(), str(file), fractions=True)
        if file.is_file():
            try:
                lines = file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                skipped.append(Skipped(str(file), f"it is no text that can be read ({error})"))
                continue
            for place, line in enumerate(lines, 1):
                try:
                    image.objects.extend(_objects(place, line.split(), names))
                except ValueError as error:
                    skipped.append(Skipped(str(file), f"line {place} of {image.name}: {error}"))
        images.append(image)
    lost = sorted(set(labels.rglob("*.txt")) - used, key=lambda file: natural_key(str(file)))
    skipped += [Skipped(str(file), "there is no image of that name") for file in lost if file.name != "classes.txt"]
    return images


def _objects(place: int, words: list[str], names: tuple[str, ...] | None) -> list[Object]:
    """The object of a line; none of an empty one."""
    if not words:
        return []
    try:
        values = [float(word) for word in words[1:]]
        number = int(words[0])
    except ValueError as error:
        raise ValueError("it is not a class's number and coordinates") from error
    if len(values) == 4:
        x, y, width, height = values
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    elif len(values) >= 6 and len(values) % 2 == 0:
        box = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    else:
        raise ValueError(f"it has {len(values)} coordinates; a box has 4, an outline 6 or more, in pairs")
    if number < 0 or (names is not None and number >= len(names)):
        raise ValueError(f"its class {number} is none of the {len(names or ())}, counted from 0")
    return [Object(f"line {place}", place, str(number) if names is None else names[number], box)]


def _names(root: Path) -> tuple[str, ...] | None:
    for file in (*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))):
        names = _yaml_names(file)
        if names is not None:
            return names
    for file in (root / "classes.txt", root / "labels" / "classes.txt"):
        if file.is_file():
            return read_names(file.read_text(encoding="utf-8"), str(file))
    return None


def _yaml_names(file: Path) -> tuple[str, ...] | None:
    import yaml

    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is no YAML: {str(error).splitlines()[0]}") from error
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[i] for i in range(len(names))]
    if names is None:
        return None
    words = isinstance(names, list) and all(isinstance(name, str | int | float) for name in names)
    if not words or not names or len(set(map(str, names))) < len(names):
        raise BadInput(f"the names in {file} are no list of different class names; write names: [cat, dog]")
    return tuple(map(str, names))
