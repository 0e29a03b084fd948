"""Data sets of the Hugging Face hub, `hf:NAME` or `hf:NAME:CONFIG`, and folders of parquet files, `hf:FOLDER`.

The `datasets` library fetches a named set (which is why it is asked for by name), turns it into Arrow tables once and
maps them into memory; labels are read as a column, images one by one when asked for.  timm's reader of the same library
gives no labels without reading the images.  The library runs no code of a data set and unpickles nothing (>= 4.0).
"""

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any

from pumice.data.folder import VALIDATION
from pumice.data.image import BadImage, ImageBytes, ImageFile, check_image
from pumice.data.images import ImageSet, Skipped, Splits
from pumice.data.labels import Label, classes_of, indexer, read_label
from pumice.data.split import split_set
from pumice.errors import BadInput, nearest
from pumice.files import cache_folder, read_json, write_json
from pumice.progress import track

PREFIX = "hf:"
HELD_OUT = (*VALIDATION, "dev", "eval")  # splits for validation; the first that has labels is used
LABELS = ("label", "labels", "fine_label", "class", "target", "cls")  # columns taken for labels where no type says so
NO_LABEL = -1  # of ClassLabel


def open_hub(
    source: str, *, seed: int = 0, val_fraction: float = 0.2, strict: bool = False, label_column: str | None = None
) -> Splits:
    """Read a data set of the hub, which may download it, or a local folder of parquet files, which does not.

    The split called `train`, or the only one, is learnt from.  Validation is the first labelled one of `val`, `valid`,
    `validation`, `test`, `dev` and `eval`; without one images are split off as `split_set` says.  Images whose headers
    cannot be read are skipped.

    Args:
        source: `hf:NAME`, `hf:NAME:CONFIG` or `hf:FOLDER`.
        seed: of the split.
        val_fraction: of the images, kept for validation where the data set does not say.
        strict: refuse the data set rather than skip an image.
        label_column: where the labels are; None takes the only column of classes.

    Raises:
        BadInput: `datasets` is not installed, there is no such data set, it cannot be fetched, it has no images or
            labels, or, if strict, an image cannot be read.
    """
    tables = load(source)
    train_name, val_names = choose_splits(list(tables), source)
    image, label = columns(tables[train_name].features, label_column, source)
    train, skipped, classes = _read_split(tables[train_name], train_name, image, label, None, source)
    for name in val_names:
        val, more, _ = _read_split(tables[name], name, image, label, classes, source)
        if len(val):
            skipped += more
            break
    else:
        train, val = split_set(train, val_fraction=val_fraction, seed=seed)
    if strict and skipped:
        raise BadInput(f"{len(skipped)} images of {source} cannot be used ({skipped[0].path}: {skipped[0].reason})")
    if not len(val):
        raise BadInput(f"every class of {source} has a single image; add images, so that some can be kept to validate")
    return Splits(source, train, val, tuple(skipped))


def load(source: str, *, streaming: bool = False) -> Mapping[str, Any]:
    """The splits of a data set by their names, as the `datasets` library gives them.

    Raises:
        BadInput: see `open_hub`.
    """
    try:
        import datasets
    except ImportError as error:
        raise BadInput(f"{source} needs the datasets library; install it with `pip install 'pumice[data]'`") from error
    name, config = source.removeprefix(PREFIX), None
    local = os.path.isdir(name)
    if not local and ":" in name:
        name, _, config = name.partition(":")
    if not local and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise BadInput(f"there is no folder {name}; give hf:FOLDER or the name of a data set, hf:OWNER/NAME")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    for library in ("huggingface_hub", "datasets"):  # what they retry and how they name their caches
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        # A folder is copied into tables once; that copy is ours to keep, what is downloaded the library's.
        kept = str(cache_folder() / "datasets") if local else None
        found = datasets.load_dataset(name, config, cache_dir=kept, streaming=streaming)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise BadInput(
            f"there is no data set {name!r} on the hub, or it needs a login; look up its name there"
        ) from error
    except ConnectionError as error:
        raise BadInput(f"{source} cannot be reached; go online, or give a folder of its files, hf:FOLDER") from error
    except Exception as error:  # the library's own, of its HTTP client, of parsers: a name is not worth a traceback
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BadInput(f"{source} cannot be opened: {first.rstrip('.')}") from error
    return dict(found)


def choose_splits(names: list[str], source: str) -> tuple[str, list[str]]:
    """The split for training, and those that may serve for validation.

    Raises:
        BadInput: several, of which none is called train.
    """
    train = "train" if "train" in names else names[0]
    if train != "train" and len(names) > 1:
        raise BadInput(f"{source} has the splits {', '.join(names)} but no train; give one that has")
    return train, [name for name in HELD_OUT if name in names and name != train]


def columns(features: Mapping[str, Any], label_column: str | None, source: str) -> tuple[str, str]:
    """The columns of images and of labels.

    Raises:
        BadInput: there is none, or more than one of either.
    """
    from datasets import ClassLabel
    from datasets import Image as ImageFeature

    images = [name for name, kind in features.items() if isinstance(kind, ImageFeature)]
    if len(images) != 1:
        held = f"several image columns ({', '.join(images)})" if images else "no column of images"
        raise BadInput(f"{source} has {held}; give a data set for classification")
    if label_column is not None:
        if label_column not in features:
            raise BadInput(f"{source} has no column {label_column!r}{nearest(label_column, list(features))}")
        return images[0], label_column
    labels = [name for name, kind in features.items() if isinstance(kind, ClassLabel)]
    labels = labels or [name for name in LABELS if name in features][:1]
    if len(labels) != 1:
        which = f"labels in {' and '.join(labels)}" if labels else f"no labels among its columns {', '.join(features)}"
        raise BadInput(f"{source} has {which}; choose a column with --set data.label_column=NAME")
    return images[0], labels[0]


def class_names(feature: Any) -> tuple[str, ...] | None:
    """The names that a column of labels knows, None for bare numbers and words."""
    names = getattr(feature, "names", None)
    return None if names is None else tuple(names)


def plain_label(value: Any) -> Label | None:
    """A label as a number or word, None where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value in ("", NO_LABEL):
        return None
    return read_label(value) if isinstance(value, str) else value


def encoded(value: Any, name: str) -> ImageBytes | str:
    """An image cell, which holds either the file's content or its path.

    Raises:
        BadImage: it is empty.
    """
    if isinstance(value, Mapping) and value.get("bytes") is not None:
        return ImageBytes(value["bytes"], name)
    if isinstance(value, Mapping) and value.get("path"):
        return str(value["path"])
    raise BadImage(name, "its cell is empty")


def _read_split(
    table: Any, split: str, image: str, label: str, classes: tuple[str, ...] | None, source: str
) -> tuple[ImageSet, list[Skipped], tuple[str, ...]]:
    """The labelled images of a split; the classes are made from it where they are not given."""
    from datasets import Image as ImageFeature

    labels = [plain_label(value) for value in table.select_columns([label])[:][label]]
    if classes is None:
        known = class_names(table.features[label])
        classes = classes_of((one for one in labels if one is not None), known, source)
    index_of = indexer(classes, source)
    table = table.select_columns([image]).cast_column(image, ImageFeature(decode=False))
    names = [f"{split}/{row}" for row in range(len(table))]
    faults = {} if all(one is None for one in labels) else _faults(table, image, names)
    skipped = [Skipped(names[row], reason, damaged=True) for row, reason in faults.items()]
    kept = [(row, one) for row, one in enumerate(labels) if one is not None and row not in faults]
    skipped += [Skipped(names[row], "it has no label") for row, one in enumerate(labels) if one is None]
    found = ImageSet(
        classes,
        tuple(index_of(one) for _, one in kept),
        tuple(names[row] for row, _ in kept),
        tuple(ImageFile(partial(_encoded, table, image, row, names[row])) for row, _ in kept),
    )
    return found, skipped, classes


def _encoded(table: Any, image: str, row: int, name: str) -> ImageBytes | str:
    return encoded(table[row][image], name)


def _faults(table: Any, image: str, names: Iterable[str]) -> dict[int, str]:
    """The rows whose images have no readable header, found once for the table's files."""
    files = [file["filename"] for file in table.cache_files]
    made_of = [[file, os.stat(file).st_size, os.stat(file).st_mtime_ns] for file in files if os.path.exists(file)]
    kept = cache_folder() / "datasets" / f"checked-{sha256(repr((made_of, len(table))).encode()).hexdigest()[:24]}.json"
    if made_of and kept.is_file():
        return {int(row): reason for row, reason in read_json(kept)}
    found = {}
    for row, name in enumerate(track(names, "Checking images", len(table))):
        try:
            check_image(_encoded(table, image, row, name), header_only=True)
        except BadImage as error:
            found[row] = error.reason
    if made_of:
        with suppress(BadInput, OSError):  # a cache that cannot be written costs time only
            write_json(kept, list(found.items()))
    return found
