"""COCO's keypoints: `annotations/person_keypoints_train2017.json`, `keypoints_val.json`, ... and folders of images."""

import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pumice.data.coco import VALIDATION, find_image, image_folders, load_coco
from pumice.data.headers import image_headers
from pumice.data.image import ImageFile
from pumice.data.images import Skipped, Splits, natural_key
from pumice.data.poses import AREA_OF_BOX, Pose, PoseSet
from pumice.data.skeleton import Skeleton, skeleton_of
from pumice.data.split import kept_for_validation
from pumice.errors import BadInput
from pumice.files import read_json

FILE = re.compile(r"(?:.*_)?keypoints_(train|val|valid|validation|test)\w*\.json", re.IGNORECASE)
Record = dict[str, Any]


class Picture(NamedTuple):
    """An image that the annotations list: its name below the root, its file, width and height in pixels."""

    name: str
    path: str
    size: tuple[int, int]


def open_poses(
    source: str | os.PathLike[str],
    *,
    strict: bool = False,
    boxes: str | None = None,
    seed: int = 0,
    val_fraction: float = 0.2,
) -> Splits[PoseSet]:
    """Read persons and joints: `annotations/*keypoints_train*.json` and `...val*.json` in a folder.

    Images are looked for where `image_folders` says.  Without annotations for validation, images are split by their
    names.  Crowds and persons without a labelled joint are not learnt; in validation they count as COCO has it.  A box
    may lie partly outside its image.
    The category names the joints, and may say `flip_pairs` and `sigmas`; otherwise see `skeleton_of`.

    Args:
        source: the folder.
        strict: refuse data with a fault rather than skip what has it.
        boxes: a JSON file of detections in COCO's form of results, for the images of validation: the boxes in which
            joints are looked for, instead of those that people drew.
        seed, val_fraction: of the split, where the data bring none.

    Raises:
        BadInput: no annotations or nothing to learn in them; a file that is not in COCO's form; two kinds of
            skeletons; if strict, an annotation whose image is missing, damaged or of another size, whose box is
            missing, without area or outside the image, which has another number of joints, or whose id comes again.
    """
    root = Path(source)
    files = _annotation_files(root)
    judging = "val" if "val" in files else "train"
    readers = {split: _Reader(root, file, boxes is not None and split == judging) for split, file in files.items()}
    train, val = readers["train"], readers[judging]
    if val.skeleton != train.skeleton:
        raise BadInput(f"{val.file} has other joints than {train.file}; give both the same category")
    learnt, judged, kept = train.poses, val.poses, None
    if val is train:
        learnt, judged = _split(train, seed, val_fraction)
        kept = {pose.image for pose in judged}
    detected = None if boxes is None else val.detections(boxes, kept)
    skipped = [fault for reader in readers.values() for fault in reader.skipped]
    if strict and skipped:
        named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:3])
        rest = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        things = "thing in it cannot" if len(skipped) == 1 else "things in it cannot"
        raise BadInput(f"{root}: {len(skipped)} {things} be used, remove or mend them ({named}{rest})")
    shown = train.samples(learnt, judging=False)
    return Splits(str(root), shown, val.samples(judged, detected), tuple(skipped))


class _Reader:
    """One file of annotations, read and checked.

    every: look at images in which nobody is, too: what a detector finds there is wrong.

    skeleton: the joints.  poses: everyone annotated.  skipped: what has a fault.
    """

    def __init__(self, root: Path, file: Path, every: bool) -> None:
        self.root, self.file = root, file
        self.skipped: list[Skipped] = []
        content = load_coco(file)
        self.skeleton, self.categories = _skeleton(content["categories"], file)
        marked = [a for a in content["annotations"] if a.get("category_id") in self.categories]
        wanted = {_key(a.get("image_id")) for a in marked}
        self.pictures = self._pictures([i for i in content["images"] if every or _key(i.get("id")) in wanted])
        self.known = {_key(i.get("id")) for i in content["images"]}
        self._seen: set[int] = set()
        self.poses = [pose for a in marked if (pose := self._pose(a)) is not None]

    def samples(self, poses: list[Pose], detected: list[Pose] | None = None, *, judging: bool = True) -> PoseSet:
        """The persons to learn or judge, as a set."""
        chosen = [pose for pose in poses if pose.learnable] if detected is None else detected
        if not chosen:
            raise BadInput(f"{self.file} has no person with labelled joints that could be used; add some")
        others = poses if detected is not None else [pose for pose in poses if not pose.learnable]
        files = {picture.name: ImageFile(picture.path) for picture in self.pictures.values()}
        return PoseSet(
            self.skeleton,
            tuple(f"{pose.image}#{pose.id}" for pose in chosen),
            tuple(files[pose.image] for pose in chosen),
            tuple(chosen),
            tuple(others) if judging else (),
        )

    def detections(self, boxes: str, images: set[str] | None) -> list[Pose]:
        """The boxes of a detector, in these images or all, as persons without joints."""
        content = read_json(boxes)
        if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
            raise BadInput(f"{boxes} is not in COCO's form of results; give a list of records with image_id and bbox")
        nothing = np.zeros((len(self.skeleton.joints), 3))
        found = []
        for i, one in enumerate(content):
            if one.get("category_id", next(iter(self.categories))) not in self.categories:
                continue
            picture, box = self.pictures.get(_key(one.get("image_id"))), _box(one.get("bbox"))
            score = one.get("score")
            if picture is None or (images is not None and picture.name not in images):
                if _key(one.get("image_id")) not in self.known:
                    self._skip(boxes, f"detection {i} is of an image that {self.file} does not list")
                continue
            if reason := _fault(box, picture):
                self._skip(boxes, f"detection {i} of {picture.name} {reason}")
            elif not isinstance(score, int | float) or not math.isfinite(score):
                self._skip(boxes, f"detection {i} of {picture.name} has no score")
            else:
                left, top, width, height = box
                corners = left, top, left + width, top + height
                area = AREA_OF_BOX * width * height
                found.append(Pose(picture.name, corners, nothing, area, i, score=float(score)))
        if not found:
            raise BadInput(f"{boxes} has no box in an image of {self.file}; give the detections of these images")
        return found

    def _skip(self, path: object, reason: str, *, damaged: bool = False) -> None:
        self.skipped.append(Skipped(str(path), reason, damaged))

    def _pictures(self, images: list[Record]) -> dict[Any, Picture]:
        """The listed images that are there, whole and of the size that the annotations say, by id."""
        folders = image_folders(self.root, self.file)
        files: dict[Any, tuple[str, Record]] = {}
        for image in images:
            path = find_image(image.get("file_name"), folders)
            if path is None:
                named = f"image {image.get('id')} is {image.get('file_name')!r}"
                self._skip(self.file, f"{named}, and no such file lies below {self.root}")
            else:
                files[_key(image.get("id"))] = path, image
        found: dict[Any, Picture] = {}
        headers = image_headers([path for path, _ in files.values()])
        for (key, (path, image)), header in zip(files.items(), headers, strict=True):
            said = image.get("width"), image.get("height")
            if isinstance(header, str):
                self._skip(path, header, damaged=True)
            elif all(said) and said != header.upright:
                (width, height), by = header.upright, "" if header.size == header.upright else ", turned as EXIF says"
                self._skip(path, f"it is {width} x {height}{by}, the annotations say {said[0]} x {said[1]}")
            else:
                name = os.path.relpath(path, self.root).replace(os.sep, "/")
                found[key] = Picture(name, path, header.upright)
        return found

    def _pose(self, record: Record) -> Pose | None:
        """The person of an annotation; None, and a line in `skipped`, where it has a fault."""
        number, image = record.get("id"), record.get("image_id")
        picture = self.pictures.get(_key(image))
        if picture is None:
            if _key(image) not in self.known:  # else the image has been named
                self._skip(self.file, f"annotation {number} lies in image {image}, which the file does not list")
            return None
        crowd, box, count = bool(record.get("iscrowd", 0)), _box(record.get("bbox")), len(self.skeleton.joints)
        values = record.get("keypoints", [0] * 3 * count if crowd else None)
        if not isinstance(number, int):
            reason = "has no whole number as id"
        else:
            reason = "has an id that came before" if number in self._seen else _fault(box, picture)
        if reason := reason or _joints_fault(values, count):
            self._skip(self.file, f"annotation {number} of {picture.name} {reason}")
            return None
        self._seen.add(int(str(number)))
        left, top, width, height = box
        area = record.get("area")
        if not isinstance(area, int | float) or not 0 < area < math.inf:
            area = AREA_OF_BOX * width * height
        joints = np.asarray(values, np.float64).reshape(count, 3)
        corners = left, top, left + width, top + height
        return Pose(picture.name, corners, joints, float(area), int(str(number)), crowd)


def _annotation_files(root: Path) -> dict[str, Path]:
    """The files of "train" and, where there is one, "val"; of several those whose images are there."""
    files = [path for folder in (root / "annotations", root) for path in folder.glob("*.json")]
    by_word: dict[str, list[Path]] = {}
    for path in sorted(files, key=lambda path: natural_key(path.name)):
        if match := FILE.fullmatch(path.name):
            by_word.setdefault(match[1].lower(), []).append(path)
    first = {word: min(paths, key=lambda path: _split_folder(root, path) is None) for word, paths in by_word.items()}
    if "train" not in first:
        raise BadInput(f"there is no file annotations/*keypoints_train*.json in {root}; add it, in COCO's form")
    val = next((first[word] for word in VALIDATION if word in first), None)
    return {"train": first["train"]} if val is None else {"train": first["train"], "val": val}


def _split_folder(root: Path, file: Path) -> Path | None:
    """The folder of a file's own images."""
    name = file.stem.rpartition("keypoints_")[2]
    return next((folder for folder in (root / name, root / "images" / name) if folder.is_dir()), None)


def _skeleton(categories: list[Record], file: Path) -> tuple[Skeleton, set[Any]]:
    """The joints, and the ids of the categories that have them."""
    having = [c for c in categories if isinstance(c.get("keypoints"), list) and c["keypoints"]]
    if not having:
        raise BadInput(f"{file} has no category with keypoints; name the joints there")
    first = having[0]
    if other := [c for c in having if c["keypoints"] != first["keypoints"]]:
        raise BadInput(f"{file} has the joints of {first.get('name')} and of {other[0].get('name')}; keep one of them")
    for key in ("flip_pairs", "sigmas", "skeleton"):
        if not isinstance(first.get(key, []), list):
            raise BadInput(f"{file}: {key} must be a list, not {first[key]!r}")
    try:
        skeleton = skeleton_of(
            first["keypoints"],
            pairs=first.get("flip_pairs"),
            sigmas=first.get("sigmas"),
            edges=first.get("skeleton", ()),
        )
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error
    return skeleton, {c.get("id") for c in having}


def _box(value: Any) -> tuple[float, ...]:
    """Left, top, width, height; () of something else."""
    ok = isinstance(value, list | tuple) and len(value) == 4 and all(isinstance(v, int | float) for v in value)
    return tuple(float(v) for v in value) if ok and all(map(math.isfinite, value)) else ()


def _fault(box: tuple[float, ...], picture: Picture) -> str:
    """What is wrong with a box, as the end of a sentence; "" if nothing is."""
    if not box:
        return "has no box of four numbers"
    left, top, width, height = box
    if width <= 0 or height <= 0:
        return "has a box without area"
    if left >= picture.size[0] or top >= picture.size[1] or left + width <= 0 or top + height <= 0:
        return "has a box outside the image"
    return ""


def _joints_fault(values: Any, count: int) -> str:
    """What is wrong with `keypoints`, as the end of a sentence; "" if nothing is."""
    if not isinstance(values, list) or len(values) != 3 * count:
        return f"has {len(values) / 3:g} joints, not {count}" if isinstance(values, list) else "has no keypoints"
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        return "has a joint that is no number"
    return "" if all(v in (0, 1, 2) for v in values[2::3]) else "has a joint whose visibility is not 0, 1 or 2"


def _key(value: Any) -> Any:
    """An id as a key; what cannot be one is no id of anything."""
    return value if isinstance(value, int | str) else None


def _split(reader: _Reader, seed: int, fraction: float) -> tuple[list[Pose], list[Pose]]:
    """The persons to learn and to judge by: a fraction of the images in which there are any."""
    images = list(dict.fromkeys(pose.image for pose in reader.poses if pose.learnable))
    if len(images) < 2:
        raise BadInput(f"{reader.file} has persons in one image alone; add images, of which some are kept to judge by")
    kept = {images[i] for i in kept_for_validation([0] * len(images), images, val_fraction=fraction, seed=seed)}
    return [p for p in reader.poses if p.image not in kept], [p for p in reader.poses if p.image in kept]
