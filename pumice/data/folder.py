"""Image folders: a folder per class, below `train/` and `val/` or below one root that is split reproducibly."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pumice.data.image import BadImage, ImageFile, check_image, is_image_name
from pumice.data.images import ImageSet, Skipped, Splits, natural_key
from pumice.data.split import split_set
from pumice.errors import BadInput, nearest
from pumice.progress import track

TRAIN = "train"
VALIDATION = ("val", "valid", "validation", "test")  # the first that exists is used
HEADER_ONLY_ABOVE = 100_000  # files
JUNK = frozenset(("__macosx", "thumbs.db", "desktop.ini"))  # what systems leave beside images, in lower case

Classes = dict[str, list[str]]  # class name -> its files, both in natural order


def open_folder(
    root: str | os.PathLike[str], *, seed: int = 0, val_fraction: float = 0.2, strict: bool = False
) -> Splits:
    """Read an image folder: `train/CLASS/...` with `val/CLASS/...`, or `CLASS/...` alone.

    `valid`, `validation` and `test` serve as `val`, in any case of letters; without one, and without `train`, the
    images are split as `split_set` says.  Files count at any depth below their class; hidden ones do not exist.
    Every image is decoded once to find the damaged ones, on all cores; of more than 100,000 files only the headers
    are read.  Classes are those of the training images, in natural order.

    Args:
        root: the folder.
        seed: of the split.
        val_fraction: of the images, kept for validation where the folder does not say.
        strict: refuse the folder rather than skip a file.

    Raises:
        BadInput: no such folder, no images, fewer than two classes, a class without images, a class that only the
            validation images have, or, if strict, any file that is not a readable image in a class folder.
    """
    root = Path(root)
    if not root.exists():
        raise BadInput(f"there is no folder {root}; give an image folder or the word digits")
    if not root.is_dir():
        raise BadInput(f"{root} is a file; give the folder that holds a folder of images per class")
    train_dir, val_dir = _layout(root)
    train, skipped = _class_files(train_dir)
    if len(train) == 1:
        raise BadInput(f"{train_dir} holds one class ({next(iter(train))!r}); classification needs at least two")
    val: Classes = {}
    if val_dir is not None:
        val, more = _class_files(val_dir)
        skipped += more
        _refuse_unknown(val, train, val_dir)

    bad = _damaged([file for classes in (train, val) for files in classes.values() for file in files])
    skipped = sorted(skipped + bad, key=lambda s: natural_key(s.path))
    if strict and skipped:
        raise BadInput(_refusal(root, skipped))
    for folder, classes in ((train_dir, train), (val_dir, val)):
        _drop(classes, {s.path for s in bad}, folder or root)

    train_set = _image_set(tuple(train), train, root)
    if val_dir is not None:
        return Splits(str(root), train_set, _image_set(tuple(train), val, root), tuple(skipped))
    learn, judge = split_set(train_set, val_fraction=val_fraction, seed=seed)
    if not len(judge):
        raise BadInput(f"every class in {root} has a single image; add images, so that some can be kept for validation")
    return Splits(str(root), learn, judge, tuple(skipped))


def image_files(folder: str | os.PathLike[str]) -> list[str]:
    """Paths of all files with an image's suffix below a folder, in natural order."""
    return sorted((file for file in _files(folder) if is_image_name(file)), key=natural_key)


def _layout(root: Path) -> tuple[Path, Path | None]:
    """The folder whose folders are the training classes, and that of validation if there is one."""
    named = {folder.name.lower(): folder for folder in reversed(_folders(root))}
    val = next((named[name] for name in VALIDATION if name in named), None)
    train = named.get(TRAIN)
    # A class may be called "train" (the vehicle) or "test": the word alone means a split if class folders are in it.
    if train is not None and (val is not None or _folders(train)):
        return train, val
    if val is not None and _folders(val):
        raise BadInput(f"{root} has {val.name}/ but no train/; add it, or give the folder {val} to have it split")
    return root, None


def _class_files(folder: Path) -> tuple[Classes, list[Skipped]]:
    """The files of each class, and those that are no images or belong to none."""
    loose = [entry.path for entry in _visible(folder) if entry.is_file() and is_image_name(entry.path)]
    folders = _folders(folder)
    if not folders:
        if loose:
            raise BadInput(f"{folder} holds images but no class folders; put the images of each class into a folder")
        raise BadInput(f"there are no images in {folder}; it needs a folder of images per class")
    skipped = [Skipped(path, "it lies outside every class folder") for path in loose]
    classes: Classes = {}
    for class_dir in folders:
        files = sorted(_files(class_dir), key=natural_key)
        classes[class_dir.name] = [file for file in files if is_image_name(file)]
        skipped += [Skipped(file, "its suffix is not an image's") for file in files if not is_image_name(file)]
    if not any(classes.values()):
        raise BadInput(f"there are no images in {folder}; it needs a folder of images per class")
    _drop(classes, set(), folder)
    return classes, skipped


def _drop(classes: Classes, bad: set[str], folder: Path) -> None:
    """Remove the bad files; refuse a class that has none left."""
    for name, files in classes.items():
        good = [file for file in files if file not in bad]
        if not good:
            what = f"only damaged images ({Path(files[0]).name}, ...)" if files else "no images"
            raise BadInput(f"class {name!r} in {folder} has {what}; add some or remove its folder")
        classes[name] = good


def _refuse_unknown(val: Classes, train: Classes, val_dir: Path) -> None:
    unknown = [name for name in val if name not in train]
    if unknown:
        named = f"class {unknown[0]!r}" if len(unknown) == 1 else f"classes {', '.join(map(repr, unknown[:5]))}"
        hint = nearest(unknown[0], list(train)) or "; remove it, or add training images of it"
        raise BadInput(f"{val_dir} has {named}, which the training images lack{hint}")


def _damaged(files: list[str]) -> list[Skipped]:
    """The files that cannot be read as images.  Decoding releases Python's lock, so threads share the work."""
    header_only = len(files) > HEADER_ONLY_ABOVE
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = pool.map(partial(_fault, header_only=header_only), _chunks(files))
        return [fault for faults in track(results, "Checking images", len(_chunks(files))) for fault in faults]
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def _chunks(files: list[str]) -> list[list[str]]:
    """Handing a thread one file at a time would cost as much as decoding a small one."""
    return [files[start : start + 32] for start in range(0, len(files), 32)]


def _fault(files: list[str], *, header_only: bool) -> list[Skipped]:
    faults = []
    for file in files:
        try:
            check_image(file, header_only=header_only)
        except BadImage as error:
            faults.append(Skipped(file, error.reason, damaged=True))
    return faults


def _refusal(root: Path, skipped: list[Skipped]) -> str:
    named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:3])
    rest = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    files = "file is not a usable image" if len(skipped) == 1 else "files are not usable images"
    return f"{len(skipped)} {files} in {root}, remove or mend them ({named}{rest})"


def _image_set(names: tuple[str, ...], classes: Classes, root: Path) -> ImageSet:
    """The files as a set, class by class; a class that `classes` lacks has no images."""
    above = os.path.join(root, "")
    pairs = [(label, file) for label, name in enumerate(names) for file in classes.get(name, [])]
    return ImageSet(
        names,
        tuple(label for label, _ in pairs),
        tuple(file.removeprefix(above).replace(os.sep, "/") for _, file in pairs),
        tuple(ImageFile(file) for _, file in pairs),
    )


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK


def _visible(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not _hidden(entry.name)]
    except OSError as error:
        raise BadInput(f"cannot read the folder {os.fspath(folder)}: {error.strerror}") from error


def _folders(folder: Path) -> list[Path]:
    return sorted(
        (Path(entry.path) for entry in _visible(folder) if entry.is_dir()), key=lambda path: natural_key(path.name)
    )


def _files(folder: str | os.PathLike[str], above: Iterable[str] = ()) -> Iterator[str]:
    """Files at any depth.  Links are followed, but not back to a folder that they lie in."""
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _files(entry.path, (*above, here))
        elif entry.is_file():
            yield entry.path
