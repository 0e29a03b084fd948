"""The chosen file goes where it was asked for."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pumice.deploy.carried import parts_of
from pumice.deploy.formats import FORMATS
from pumice.deploy.schemes.scheme import Scheme
from pumice.errors import BadInput
from pumice.files import atomic, check_place


def fitting(schemes: Sequence[Scheme], out: Path) -> list[Scheme]:
    """The schemes whose files can be called so; a path without suffix, which becomes a folder, suits all.

    Raises:
        BadInput: none.
    """
    if out.suffix == "":
        return list(schemes)
    found = [scheme for scheme in schemes if FORMATS[scheme.format].suffix == out.suffix.lower()]
    if not found:
        could = sorted({FORMATS[scheme.format].suffix for scheme in schemes})
        raise BadInput(f"no scheme at hand writes {out.name}; end it in {' or '.join(could)}, or name a folder")
    return found


def check_out(out: Path) -> None:
    """
    Raises:
        BadInput: the path cannot be written, or is a folder that holds other things than a model.
    """
    if out.suffix:
        check_place(out)
        return
    if out.is_file():
        raise BadInput(f"{out} is a file; name a folder, or a file with a suffix")
    check_place(out / "model")
    if out.is_dir() and (other := [p.name for p in out.iterdir() if p.stem != "model" and p.name != "quantise.json"]):
        raise BadInput(f"the folder {out} holds other things ({other[0]}); give a path that is free")


def put(file: Path, out: Path) -> Path:
    """Copy a model file, all its parts, to its place; what is to be opened there."""
    if out.suffix:
        for part in reversed(parts_of(file)):  # the one that is opened comes last
            with atomic(out.with_suffix(part.suffix)) as scratch:
                shutil.copyfile(part, scratch)
        return out
    with atomic(out) as folder:
        folder.mkdir()
        for part in parts_of(file):
            shutil.copyfile(part, folder / f"model{part.suffix}")
    return out
