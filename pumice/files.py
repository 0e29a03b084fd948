"""Files appear whole or not at all."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pumice.errors import BadInput


def cache_folder() -> Path:
    """`$PUMICE_CACHE`, or the platform's folder for what can be made again."""
    if own := os.environ.get("PUMICE_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "pumice" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pumice"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pumice"


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A scratch path beside `path`, which takes its name when the block ends well and is removed when it does not.

    The block writes a file or a folder there; a folder is renamed as a whole.  What it wrote is on the disk before the
    name is, so that a power cut leaves the old file or the new one.  The parent folder is made if absent.
    Scratch names keep the suffix of `path`, because some writers choose the format by it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {path.parent}: {error.strerror}") from error
    scratch = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield scratch
        if path.is_dir() and scratch.is_dir():
            shutil.rmtree(path)
        if scratch.is_file():
            scratch.chmod(_usual_mode())  # some writers make files that only their owner reads
        for written in (scratch, *scratch.rglob("*")):
            flush_to_disk(written)
        os.replace(scratch, path)
        flush_to_disk(path.parent)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk, and whatever else stops a write of what appears whole, into a sentence.

    Raises:
        BadInput: an OSError came.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"cannot write {path}: {why}; nothing was left behind, free some space or choose another folder"
        ) from error


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's names."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # not every system flushes what it only reads
            raise
    finally:
        os.close(number)


def scratch_of(folder: Path, names: Iterable[str]) -> list[Path]:
    """What killed processes have left of writing these files in `folder`."""
    paths = [Path(name) for name in names]
    found = [(p, left) for p in paths for left in folder.glob(f".{p.stem}.*.part{p.suffix}") if left.is_file()]
    return [left for p, left in found if left.name[len(p.stem) + 2 :].split(".")[0].isdigit()]


def check_place(path: str | os.PathLike[str]) -> None:
    """See that a file can be written there, before long work.

    Raises:
        BadInput: it is a folder, or its folder cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BadInput(f"{path} cannot be written, because {folder} cannot; name another place")


def _usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write bytes atomically."""
    with atomic(path) as scratch:
        scratch.write_bytes(content)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON.

    Raises:
        BadInput: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"no file {path}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
