"""A folder of images and masks, opened and looked through."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pumice.data.image import BadImage, ImageFile, read_header, read_image
from pumice.data.images import Skipped, Splits, natural_key
from pumice.data.labels import read_names
from pumice.data.mask_classes import CAMVID, CAMVID_VOID, CITYSCAPES, CITYSCAPES_LAST, VOC, VOID_NAMES
from pumice.data.mask_layouts import Layout, Pair, find_pairs
from pumice.data.masks import VOID, BadMask, MaskFile, MaskSet, Meaning, read_values, wrong_size
from pumice.data.split import kept_for_validation
from pumice.errors import BadInput
from pumice.progress import track

DECODE_BELOW = 2e9  # pixels of all images; of more only the headers are read, for decoding would take minutes


@dataclass(frozen=True)
class _Look:
    """What was seen of a pair: the pixels of each value, (256,), and height and width; or the file at fault and why."""

    counts: NDArray[np.int64] | None
    size: tuple[int, int] = (0, 0)
    fault: Skipped | None = None


def open_masks(
    source: str | os.PathLike[str], *, seed: int = 0, val_fraction: float = 0.2, strict: bool = False
) -> Splits[MaskSet]:
    """Read a folder of images and masks.

    Layouts: `images/` with `masks/`, each with `train/` and `val/` or not; `train/images/` with `train/masks/`; CamVid
    (`train/` with `trainannot/`); Cityscapes (`leftImg8bit/` with `gtFine/`, labelTrainIds or labelIds); VOC.  A mask
    has its image's name; it is a grey or palette image of class numbers, 255 for void.  Class names come from
    `classes.txt` or `classes.json` in the folder, a line or entry for each value from 0, where "void", "unlabelled" or
    "ignore" names a value that means void; else from the layout; a folder in CamVid's layout whose values end at 11
    is CamVid, with 11 for void; else the classes are the numbers up to the greatest that the masks to learn from have.

    Every mask is decoded once, on all cores, and so is every image if all have fewer than 2e9 pixels together.

    Args:
        source: the folder.
        seed: of the split.
        val_fraction: of the images, kept for validation where the layout does not say.
        strict: refuse the folder rather than skip a file.

    Raises:
        BadInput: no such folder or layout; fewer than two classes; nothing usable to learn from or to judge by; or, if
            strict, any image or mask that is missing, unreadable, of another size than its other half, or with values
            beyond the classes.
    """
    root = Path(source)
    if not root.is_dir():
        raise BadInput(f"there is no folder {root}; give one with images and masks")
    if not 0 < val_fraction < 1:
        raise BadInput(f"a validation fraction of {val_fraction} is impossible; give one between 0 and 1, such as 0.2")
    found = find_pairs(root)
    pairs = [*found.train, *(found.val or [])]
    looks = _look_at(pairs)
    learnt = [look.counts for look in looks[: len(found.train)] if look.counts is not None]
    if not learnt:
        raise _nothing(root, "learn from", [*found.skipped, *(look.fault for look in looks if look.fault is not None)])
    classes, meaning = _classes(root, found.layout, sum(learnt, np.zeros(256, np.int64)))

    skipped = list(found.skipped)
    good: list[int] = []
    for place, (pair, look) in enumerate(zip(pairs, looks, strict=True)):
        fault = look.fault
        if look.counts is not None and (beyond := meaning(pair).fault(look.counts)) is not None:
            fault = Skipped(pair.mask, beyond)
        if fault is None:
            good.append(place)
        else:
            skipped.append(fault)
    skipped.sort(key=lambda s: natural_key(s.path))
    if strict and skipped:
        raise BadInput(_refusal(root, skipped))

    def chosen(indices: list[int]) -> MaskSet:
        return _mask_set(classes, [pairs[i] for i in indices], [looks[i] for i in indices], meaning)

    learn = [i for i in good if i < len(found.train)]
    judge = [i for i in good if i >= len(found.train)]
    if found.val is None:
        names = [pairs[i].name for i in learn]
        kept = kept_for_validation([0] * len(names), names, val_fraction=val_fraction, seed=seed)
        learn, judge = (
            [place for i, place in enumerate(learn) if i not in kept],
            [place for i, place in enumerate(learn) if i in kept],
        )
    for indices, purpose in ((learn, "learn from"), (judge, "judge by")):
        if not indices:
            raise _nothing(root, purpose, skipped)
    return Splits(str(root), chosen(learn), chosen(judge), tuple(skipped))


def _look_at(pairs: list[Pair]) -> list[_Look]:
    """Every pair, on all cores."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        headers = list(track(pool.map(_header, pairs), "Reading headers", len(pairs)))
        decode = sum(pixels for pixels, _ in headers) < DECODE_BELOW

        def look(pair: Pair, header: tuple[int, Skipped | None]) -> _Look:
            return _Look(None, fault=header[1]) if header[1] is not None else _look(pair, decode)

        return list(track(pool.map(look, pairs, headers), "Checking masks", len(pairs)))
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def _header(pair: Pair) -> tuple[int, Skipped | None]:
    """Pixels of the image, and what is wrong with it."""
    try:
        width, height = read_header(pair.image).size
    except BadImage as error:
        return 0, Skipped(pair.image, error.reason, damaged=True)
    return width * height, None


def _look(pair: Pair, decode: bool) -> _Look:
    try:
        values = read_values(pair.mask)
        if decode:
            size = read_image(pair.image).size
        else:
            header = read_header(pair.image)
            # A turned image may have its sides swapped; the sizes are compared again when both are read.
            size = values.shape[1::-1] if header.turned else header.size
    except BadImage as error:
        return _Look(None, fault=Skipped(pair.image, error.reason, damaged=True))
    except BadMask as error:
        return _Look(None, fault=Skipped(pair.mask, error.reason))
    if (reason := wrong_size(values.shape[1::-1], size)) is not None:
        return _Look(None, fault=Skipped(pair.mask, reason))
    return _Look(np.bincount(values.ravel(), minlength=256), values.shape)


def _classes(
    root: Path, layout: Layout, counts: NDArray[np.int64]
) -> tuple[tuple[str, ...], Callable[[Pair], Meaning]]:
    """Names of the classes, and what the values of each pair's mask mean.

    counts: (256,) pixels of each value in the masks to learn from.
    """
    if layout == "cityscapes":
        by_id = Meaning.of({value: i for i, value in enumerate(CITYSCAPES.values())}, _others(CITYSCAPES_LAST))
        by_train_id = Meaning.of({i: i for i in range(len(CITYSCAPES))})
        return tuple(CITYSCAPES), lambda pair: by_train_id if pair.mask.endswith("TrainIds.png") else by_id
    present = [value for value in np.flatnonzero(counts).tolist() if value != VOID]
    names = _names(root)
    void: list[int] = []
    if names is not None:
        void = [value for value, name in enumerate(names) if name.lower() in VOID_NAMES]
        if layout == "camvid" and len(names) == len(CAMVID):
            void.append(CAMVID_VOID)
    elif layout == "voc":
        names = VOC
    elif layout == "camvid" and present and present[-1] == CAMVID_VOID:
        names, void = CAMVID, [CAMVID_VOID]
    else:
        names = tuple(str(value) for value in range(present[-1] + 1)) if present else ()
    learnt = [value for value in range(len(names)) if value not in void]
    if not 2 <= len(learnt) < VOID:
        also = " beside 255, which means void; for two classes use 0 and 1" if counts[VOID] else ""
        raise BadInput(
            f"the masks of {root} have {len(learnt)} class{'' if len(learnt) == 1 else 'es'}{also}"
            f"{'' if also else '; give 2 to 254'}"
        )
    meaning = Meaning.of({value: index for index, value in enumerate(learnt)}, void)
    return tuple(names[value] for value in learnt), lambda pair: meaning


def _others(last: int) -> list[int]:
    """Values up to the last that no class of Cityscapes has."""
    return [value for value in range(last + 1) if value not in CITYSCAPES.values()]


def _names(root: Path) -> tuple[str, ...] | None:
    for name in ("classes.txt", "classes.json"):
        path = root / name
        if path.is_file():
            try:
                return read_names(path.read_text(encoding="utf-8"), str(path))
            except UnicodeDecodeError as error:
                raise BadInput(f"{path} is no UTF-8 text; save it as UTF-8, a class a line") from error
    return None


def _mask_set(
    classes: tuple[str, ...], pairs: list[Pair], looks: list[_Look], meaning: Callable[[Pair], Meaning]
) -> MaskSet:
    pixels = np.zeros((len(pairs), len(classes) + 1), np.int64)
    for row, pair, look in zip(pixels, pairs, looks, strict=True):
        assert look.counts is not None
        table = meaning(pair).table
        places = np.where(table == VOID, len(classes), table)
        np.add.at(row, places[table >= 0], look.counts[table >= 0])
    return MaskSet(
        classes,
        tuple(pair.name for pair in pairs),
        tuple(ImageFile(pair.image) for pair in pairs),
        tuple(MaskFile(pair.mask, meaning(pair)) for pair in pairs),
        pixels,
        tuple(look.size for look in looks),
    )


def _nothing(root: Path, purpose: str, skipped: list[Skipped]) -> BadInput:
    why = f" ({skipped[0].path}: {skipped[0].reason})" if skipped else ""
    return BadInput(f"{root} has no image with a usable mask to {purpose}{why}; add some")


def _refusal(root: Path, skipped: list[Skipped]) -> str:
    named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:3])
    rest = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    files = "file cannot be used" if len(skipped) == 1 else "files cannot be used"
    return f"{len(skipped)} {files} in {root}, remove or mend them ({named}{rest})"
