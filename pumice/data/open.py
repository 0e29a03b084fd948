"""What a user typed on the command line, opened: data to learn from, or images to predict."""

import glob
import os
from functools import partial

from pumice.data.digits import open_digits
from pumice.data.folder import image_files, open_folder
from pumice.data.image import is_image_name, read_image
from pumice.data.images import NamedImage, Splits, natural_key
from pumice.errors import BadInput, nearest

DIGITS = "digits"


def open_data(
    source: str | os.PathLike[str],
    *,
    seed: int = 0,
    val_fraction: float = 0.2,
    strict: bool = False,
    val: str | None = None,
    label_column: str | None = None,
) -> Splits:
    """Open labelled images.

    Args:
        source: `digits`, an image folder (a folder of that name is `./digits`), `hf:NAME`, which may download a data
            set of the Hugging Face hub, `hf:FOLDER` of parquet files, or `wds:PATTERN` of local WebDataset shards.
        seed: of the split into training and validation images, where the data do not bring one.
        val_fraction: of the images, kept for validation, where the data do not say.
        strict: refuse data with damaged or foreign files rather than skip them.
        val: a pattern of shards for validation, for `wds:` alone.
        label_column: where the labels are, for `hf:` alone.

    Raises:
        BadInput: there is no such data, or it cannot be learnt from; see `open_folder`, `open_hub`, `open_shards`.
    """
    word = os.fspath(source)
    if val is not None and not word.startswith("wds:"):
        raise BadInput(f"data.val={val} is for shards and streams; {word} brings its own validation images")
    if label_column is not None and not word.startswith("hf:"):
        raise BadInput(f"data.label_column={label_column} is for tables, hf:NAME; {word} has no columns")
    if word == DIGITS:
        return open_digits(seed=seed, val_fraction=val_fraction)
    if word.startswith("hf:"):
        from pumice.data.hub import open_hub

        return open_hub(word, seed=seed, val_fraction=val_fraction, strict=strict, label_column=label_column)
    if word.startswith("wds:"):
        from pumice.data.shards import open_shards

        return open_shards(word, seed=seed, val_fraction=val_fraction, strict=strict, val=val)
    if not os.path.exists(word) and os.sep not in word:
        hint = nearest(word.lower(), [DIGITS]) or "; give an image folder or the word digits"
        raise BadInput(f"there is no data {word!r}{hint}")
    return open_folder(word, seed=seed, val_fraction=val_fraction, strict=strict)


def open_images(source: str | os.PathLike[str]) -> list[NamedImage]:
    """Images to predict, in natural order; each is read when its `image()` is called, which may raise BadImage.

    Args:
        source: an image file (of any suffix), a folder (searched at any depth for files with an image's suffix), a
            pattern such as `photos/**/*.jpg`, or `digits`, `hf:NAME` or `wds:PATTERN`, which mean their validation
            images.

    Raises:
        BadInput: nothing is there.
    """
    word = os.fspath(source)
    if word == DIGITS or word.startswith(("hf:", "wds:")):
        val = open_data(word).val
        return [NamedImage(name, load) for name, load in zip(val.names, val.loaders, strict=True)]
    if os.path.isdir(word):
        files = image_files(word)
        if not files:
            raise BadInput(f"there are no images in the folder {word}; give one that holds images")
    elif os.path.exists(word):  # before patterns: a name may hold brackets
        files = [word]
    elif glob.has_magic(word):
        files = _matches(word)
        if not files:
            raise BadInput(f"no image matches {word!r}; give a file, a folder or a pattern such as 'photos/*.jpg'")
    else:
        raise BadInput(f"there is no file or folder {word}{nearest(word.lower(), [DIGITS])}")
    return [NamedImage(file, partial(read_image, file)) for file in files]


def _matches(pattern: str) -> list[str]:
    """Image files that match, and those in folders that match; each once."""
    files: set[str] = set()
    for path in glob.glob(pattern, recursive=True):
        files.update(image_files(path) if os.path.isdir(path) else [path] if is_image_name(path) else [])
    return sorted(files, key=natural_key)
