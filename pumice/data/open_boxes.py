"""What a user has of images with boxes, opened: COCO's JSON, Pascal VOC's folders, or YOLO's."""

import os
from collections import Counter
from pathlib import Path

from pumice.data.annotated import Lists, box_set
from pumice.data.boxes import BoxSet
from pumice.data.coco import coco_files, read_coco
from pumice.data.images import Skipped, Splits
from pumice.data.split import kept_for_validation
from pumice.data.voc import read_voc, voc_folders
from pumice.data.yolo import read_yolo, yolo_folders
from pumice.errors import BadInput


def open_boxes(
    source: str | os.PathLike[str], *, seed: int = 0, val_fraction: float = 0.2, strict: bool = False
) -> Splits[BoxSet]:
    """Open images with boxes.

    Where the data do not say which images are for validation, they are split, those of each class in the same
    proportion; an image counts for the rarest of its classes.  Every image is decoded once to find the damaged ones.

    Args:
        source: a folder of COCO's (`annotations/instances_train*.json` and `train*/`, or one JSON file among its
            images), of Pascal VOC's or of YOLO's form, or a JSON file of COCO's form.
        seed: of the split.
        val_fraction: of the images, kept for validation where the data do not say.
        strict: refuse the data rather than skip or cut anything.

    Raises:
        BadInput: there is no such data, a file of it is of another form, nothing is there to learn from or to judge
            by, or, if strict, anything had to be skipped or cut.
    """
    root = Path(source)
    lists = _lists(root)
    train, skipped = box_set(lists.train, lists.classes)
    skipped = [*lists.skipped, *skipped]
    val = None
    if lists.val is not None:
        val, more = box_set(lists.val, lists.classes)
        skipped += more
    if strict and skipped:
        raise BadInput(_refusal(root, skipped))
    _refuse_empty(train, "learn from", root, skipped)
    if val is None:
        kept = kept_for_validation(_rarest(train), train.names, val_fraction=val_fraction, seed=seed)
        everyone = range(len(train))
        val = train.subset(i for i in everyone if i in kept)
        train = train.subset(i for i in everyone if i not in kept)
        _refuse_empty(train, "learn from", root, skipped)
    _refuse_empty(val, "judge by", root, skipped)
    return Splits(str(root), train, val, tuple(skipped))


def _lists(root: Path) -> Lists:
    if not root.exists():
        raise BadInput(f"there is no folder {root}; give a folder of images with boxes")
    if root.is_file():
        if root.suffix.lower() != ".json":
            raise BadInput(f"{root} is no JSON file; give COCO's annotations, or the folder that holds the images")
        above = root.parent
        return read_coco(above.parent if above.name == "annotations" else above, root, None)
    try:
        if coco := coco_files(root):
            return read_coco(root, *coco)
        if voc := voc_folders(root):
            return read_voc(root, voc)
        if yolo := yolo_folders(root):
            return read_yolo(root, *yolo)
    except OSError as error:
        raise BadInput(f"cannot read {error.filename or root}: {error.strerror}") from error
    raise BadInput(
        f"there are no boxes in {root}; it needs annotations/instances_train.json beside train/ (COCO), Annotations/ "
        "and JPEGImages/ (VOC), or images/ and labels/ (YOLO)"
    )


def _rarest(images: BoxSet) -> list[int]:
    """Per image the class among its boxes that the fewest images have; -1 for one without boxes."""
    held = [set(target.labels.tolist()) for target in images.targets]
    counts = Counter(label for labels in held for label in labels)
    return [min(labels, key=lambda label: (counts[label], label)) if labels else -1 for labels in held]


def _refuse_empty(images: BoxSet, purpose: str, root: Path, skipped: list[Skipped]) -> None:
    why = f" ({skipped[0].path}: {skipped[0].reason})" if skipped else ""
    if not len(images):
        raise BadInput(f"{root} holds no image to {purpose}{why}; add some, or mend its annotations")
    if not any((~target.crowd).any() for target in images.targets):
        raise BadInput(f"the images to {purpose} in {root} have no box that can be used{why}; add some, or mend them")


def _refusal(root: Path, skipped: list[Skipped]) -> str:
    named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:3])
    rest = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    count = "1 thing" if len(skipped) == 1 else f"{len(skipped)} things"
    return f"{count} in {root} cannot be used as they are, remove or mend them ({named}{rest})"
