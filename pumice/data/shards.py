"""Local WebDataset shards, `wds:shards/train-{000000..000009}.tar`: read like a folder, image by image, in any order.

The headers of a shard are read once; where its images lie is kept in the cache folder for the file's path, size and
time, so that opening a million images again takes seconds.
"""

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pumice.data.folder import VALIDATION
from pumice.data.image import BadImage, ImageBytes, ImageFile, check_image
from pumice.data.images import ImageSet, Skipped, Splits, natural_key
from pumice.data.labels import Label, classes_of, indexer, read_names
from pumice.data.split import split_set
from pumice.data.tar import samples
from pumice.errors import BadInput
from pumice.files import cache_folder, read_json, write_json
from pumice.progress import track

PREFIX = "wds:"
INDEX_FORMAT = 1
Row = tuple[str, int, int, Label]  # name, offset, size, label


def open_shards(
    source: str, *, seed: int = 0, val_fraction: float = 0.2, strict: bool = False, val: str | None = None
) -> Splits:
    """Read local shards.

    A label is the content of a sample's `.cls`, or "label" in its `.json`, or the folder in the name of its image.
    Classes are called as `classes.txt` or `classes.json` beside the shards says, else by their words or numbers.
    Validation images are those of `val`; else of the shards whose pattern has `val`, `valid`, `validation` or `test`
    where `source` has `train`; else split off as `split_set` says.  Images whose headers cannot be read are skipped.

    Args:
        source: a pattern of paths, with or without `wds:`; `{000..009}` and `{a,b}` mean each of them, `*` whatever is
            there.
        seed: of the split.
        val_fraction: of the images, kept for validation where no shards of their own are.
        strict: refuse shards rather than skip an image.
        val: a pattern for validation.

    Raises:
        BadInput: no such shards, a damaged one, no labels, fewer than two classes, labels that the classes lack, or, if
            strict, any image that cannot be read.
    """
    pattern = source.removeprefix(PREFIX)
    if pattern.startswith(("http:", "https:", "pipe:")):
        mend = "give paths or addresses" if pattern.startswith("pipe:") else "they are for `pumice train` alone"
        raise BadInput(f"the shards {source} cannot be opened in any order; {mend}")
    train_files = shard_files(pattern)
    val_files = shard_files(val.removeprefix(PREFIX)) if val is not None else shards_beside(pattern)
    train, skipped = _rows(train_files)
    held, more = _rows(val_files)
    skipped += more
    if strict and skipped:
        raise BadInput(f"{len(skipped)} images in {source} cannot be used ({skipped[0].path}: {skipped[0].reason})")
    if not train:
        why = f": {skipped[0].reason}" if skipped else ""
        raise BadInput(f"there are no labelled images in {source}{why}")
    classes = classes_of((row[3] for _, row in train), names_beside(train_files[0]), source)
    train_set = _image_set(classes, train, source)
    if held:
        return Splits(source, train_set, _image_set(classes, held, val or source), tuple(skipped))
    learn, judge = split_set(train_set, val_fraction=val_fraction, seed=seed)
    if not len(judge):
        raise BadInput(f"every class in {source} has a single image; add images, so that some can be kept to validate")
    return Splits(source, learn, judge, tuple(skipped))


def expand(pattern: str) -> list[str]:
    """`a-{08..10}.tar` -> a-08.tar, a-09.tar, a-10.tar; `{x,y}` -> x and y.

    Raises:
        BadInput: a range runs backwards.
    """
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", found[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        if last < first:
            raise BadInput(f"the range {found[0]} in {pattern} runs backwards; write the smaller number first")
        words = [str(n).zfill(len(numbers[1])) for n in range(first, last + 1)]
    else:
        words = found[1].split(",")
    return [rest for word in words for rest in expand(pattern[: found.start()] + word + pattern[found.end() :])]


def shard_files(pattern: str) -> list[str]:
    """The shards that a pattern means.

    Raises:
        BadInput: one of them is not there, or none.
    """
    files: list[str] = []
    for path in expand(pattern):
        if os.path.isfile(path) or not glob.has_magic(path):
            files.append(path)
        else:
            files += sorted(glob.glob(path), key=natural_key)
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise BadInput(f"there is no shard {missing[0]}; {len(missing)} of the {len(files)} of {pattern} are missing")
    if not files:
        raise BadInput(f"no shard matches {pattern}; write it as wds:folder/train-*.tar")
    return files


def names_beside(shard: str) -> tuple[str, ...] | None:
    """Class names from the file beside a shard, None if there is none.

    Raises:
        BadInput: the file cannot be read as class names.
    """
    for name in ("classes.txt", "classes.json"):
        path = Path(shard).with_name(name)
        if path.is_file():
            return read_names(path.read_text(encoding="utf-8"), str(path))
    return None


def shards_beside(pattern: str) -> list[str]:
    """The shards for validation that lie beside those for training, if any."""
    head, train, tail = re.sub(r"\{[^{}]*\}", "*", pattern).rpartition("train")
    for word in VALIDATION if train else ():
        files = sorted((f for f in glob.glob(head + word + tail) if os.path.isfile(f)), key=natural_key)
        if files:
            return files
    return []


def _rows(files: Sequence[str]) -> tuple[list[tuple[str, Row]], list[Skipped]]:
    """Every labelled image with its shard, and what cannot be used."""
    rows: list[tuple[str, Row]] = []
    skipped: list[Skipped] = []
    for file in track(files, "Reading shards"):
        index = _index(file)
        rows += [(file, (name, offset, size, label)) for name, offset, size, label in index["samples"]]
        skipped += [Skipped(f"{file}/{name}", reason, damaged) for name, reason, damaged in index["skipped"]]
    return rows, skipped


def _index(file: str) -> dict[str, Any]:
    """Where the images of a shard lie, from the cache if it knows this very file."""
    stat = os.stat(file)
    path = os.path.abspath(file)
    made_of = [INDEX_FORMAT, path, stat.st_size, stat.st_mtime_ns]
    kept = cache_folder() / "shards" / f"{sha256(os.fsencode(path)).hexdigest()[:24]}.json"
    try:
        index: dict[str, Any] = read_json(kept)
        if index["of"] == made_of:
            return index
    except (BadInput, OSError, KeyError, TypeError):
        pass  # none, or of another Pumice
    index = {"of": made_of, **_read_index(file, stat.st_size)}
    with contextlib.suppress(BadInput, OSError):  # a cache that cannot be written costs time only
        write_json(kept, index)
    return index


def _read_index(file: str, file_size: int) -> dict[str, Any]:
    good: list[Row] = []
    bad: list[tuple[str, str, bool]] = []
    with open(file, "rb") as shard:
        for sample in samples(shard, file):
            image = sample.image
            if image.offset + image.size > file_size:
                raise BadInput(f"the shard {file} is no tar file, or cut short")
            fault = sample.fault or _fault(file, image.offset, image.size, image.name)
            if fault:
                bad.append((image.name, fault, not sample.fault))
            else:
                good.append((image.name, image.offset, image.size, sample.label))
    return {"samples": good, "skipped": bad}


def _fault(file: str, offset: int, size: int, name: str) -> str:
    try:
        check_image(_encoded(file, offset, size, name), header_only=True)
    except BadImage as error:
        return error.reason
    return ""


def _image_set(classes: tuple[str, ...], rows: Sequence[tuple[str, Row]], source: str) -> ImageSet:
    index_of = indexer(classes, source)
    labels = tuple(index_of(row[3]) for _, row in rows)
    names = tuple(f"{Path(file).name}/{row[0]}" for file, row in rows)
    loaders = tuple(
        ImageFile(partial(_encoded, file, row[1], row[2], name)) for (file, row), name in zip(rows, names, strict=True)
    )
    return ImageSet(classes, labels, names, loaders)


def _encoded(file: str, offset: int, size: int, name: str) -> ImageBytes:
    return ImageBytes(_content(file, offset, size), name)


def _content(file: str, offset: int, size: int) -> bytes:
    """Opened for each image: an open file cannot be shared by threads and processes, and opening takes microseconds."""
    try:
        with open(file, "rb") as shard:
            shard.seek(offset)
            return shard.read(size)
    except OSError as error:
        raise BadImage(file, error.strerror or str(error)) from error
