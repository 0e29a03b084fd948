"""Pascal VOC's folders: `Annotations/*.xml`, `JPEGImages/`, `ImageSets/Main/{train,trainval,val,test}.txt`.

Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 Development Kit".  Corners count pixels from 1 and
include the last one: a box from 1 to 10 is from 0 to 10 here.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from pumice.data.annotated import Annotated, Lists, Object
from pumice.data.coco import find_image
from pumice.data.image import is_image_name
from pumice.data.images import Skipped, natural_key
from pumice.errors import BadInput


def voc_folders(root: Path) -> list[Path]:
    """The folder itself if it is one of VOC's, else those in it, `VOC2007` and `VOC2012`; empty if there are none."""
    if _is_voc(root):
        return [root]
    below = sorted(root.iterdir(), key=lambda path: natural_key(path.name)) if root.is_dir() else []
    return [folder for folder in below if folder.is_dir() and _is_voc(folder)]


def read_voc(root: Path, folders: list[Path]) -> Lists:
    """Read the folders, of several the union.

    As the challenge is played: where `test.txt` lists annotated images, those are for validation, and `trainval` is
    learnt from; else `val` and `train`.  With none of these lists all images are to be split.  Classes are those of
    the training images, in natural order.

    Raises:
        BadInput: a list cannot be read.
    """
    skipped: list[Skipped] = []
    lists = [_lists(folder) for folder in folders]
    test = any(_annotated(folder, found.get("test", [])) for folder, found in zip(folders, lists, strict=True))
    learnt: list[tuple[Path, str]] = []
    judged: list[tuple[Path, str]] = []
    for folder, found in zip(folders, lists, strict=True):
        train, val = found.get("train", []), found.get("val", [])
        both = found.get("trainval") or [*train, *val]
        if test:
            learnt += [(folder, stem) for stem in both]
            judged += [(folder, stem) for stem in _annotated(folder, found.get("test", []))]
        elif both:
            learnt += [(folder, stem) for stem in train or both]
            judged += [(folder, stem) for stem in val if train]
        else:
            learnt += [(folder, stem) for stem in _every(folder)]
    images = _read(root, learnt, skipped)
    judge = _read(root, judged, skipped) if judged else None
    classes = sorted({one.label for image in images for one in image.objects}, key=natural_key)
    return Lists(tuple(classes), images, judge, skipped)


def _is_voc(folder: Path) -> bool:
    annotations = folder / "Annotations"
    return (folder / "JPEGImages").is_dir() and annotations.is_dir() and any(annotations.glob("*.xml"))


def _lists(folder: Path) -> dict[str, list[str]]:
    """Stems by the name of the list."""
    found = {}
    for word in ("train", "val", "trainval", "test"):
        file = folder / "ImageSets" / "Main" / f"{word}.txt"
        if file.is_file():
            try:
                lines = file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(f"cannot read the list {file}: {error}") from error
            found[word] = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
    return found


def _annotated(folder: Path, stems: Iterable[str]) -> list[str]:
    return [stem for stem in stems if _inside(stem) and (folder / "Annotations" / f"{stem}.xml").is_file()]


def _every(folder: Path) -> list[str]:
    return sorted((file.stem for file in (folder / "Annotations").glob("*.xml")), key=natural_key)


def _inside(stem: str) -> bool:
    return not Path(stem).is_absolute() and ".." not in Path(stem).parts


def _read(root: Path, stems: list[tuple[Path, str]], skipped: list[Skipped]) -> list[Annotated]:
    images = []
    by_stem = {
        folder: {file.stem: file.name for file in (folder / "JPEGImages").iterdir() if is_image_name(file.name)}
        for folder in {folder for folder, _ in stems}
    }
    for folder, stem in stems:
        file = folder / "Annotations" / f"{stem}.xml"
        if not _inside(stem) or not file.is_file():
            skipped.append(Skipped(str(file), "a list names it, but there is no such file"))
            continue
        try:
            tree = parse_xml(file)
        except BadInput as error:
            skipped.append(Skipped(str(file), str(error)))
            continue
        called = tree.findtext("filename") or f"{stem}.jpg"
        known = by_stem[folder].get(Path(stem).name)
        path = find_image(known or called, [folder / "JPEGImages"])
        shown = called if path is None else Path(path).relative_to(root).as_posix()
        image = Annotated(path, shown, str(file), size=_size(tree))
        for place, entry in enumerate(tree.findall("object"), 1):
            try:
                image.objects.append(_object(place, entry))
            except ValueError as error:
                skipped.append(Skipped(str(file), f"object {place} of {shown}: {error}"))
        images.append(image)
    return images


def parse_xml(file: Path) -> ElementTree.Element:
    """The root element of an XML file that declares no document type, and so no entities.

    Raises:
        BadInput: it cannot be read, or declares one; the message is the end of a sentence.
    """
    try:
        return ElementTree.fromstring(file.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))
    except OSError as error:
        raise BadInput(error.strerror or str(error)) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadInput(f"it is no XML that can be read ({error})") from error


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser before anything that the document type declares is used."""
        raise ValueError("it declares a document type, which annotations have no use for")


def _object(place: int, entry: ElementTree.Element) -> Object:
    label = (entry.findtext("name") or "").strip()
    if not label:
        raise ValueError("it has no name")
    corners = [entry.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in corners:
        raise ValueError("its bndbox lacks one of xmin, ymin, xmax, ymax")
    try:
        left, top, right, bottom = (float(str(value)) for value in corners)
    except ValueError as error:
        raise ValueError(f"its bndbox is no numbers ({', '.join(map(str, corners))})") from error
    difficult = (entry.findtext("difficult") or "0").strip() == "1"
    return Object(f"object {place}", place, label, (left - 1, top - 1, right, bottom), difficult)


def _size(tree: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width; some programs write zeros."""
    words = [(tree.findtext(f"size/{key}") or "").strip() for key in ("height", "width")]
    height, width = (int(word) if word.isdecimal() and len(word) < 9 else 0 for word in words)
    return (height, width) if height and width else None
