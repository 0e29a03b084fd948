"""Files that are code open only where they were written, or when the user says so.

A .pt2 is a program of torch's: to open it is to run it.  What Pumice writes on a machine is remembered there by its
SHA-256, in the user's own cache, where nobody who sends a file can put a line.
"""

import hashlib
import os
from pathlib import Path

from pumice.deploy.carried import parts_of
from pumice.errors import BadInput
from pumice.files import cache_folder

NAME = "written.txt"
CHUNK = 2**20


def remember(file: Path) -> None:
    """Note that Pumice wrote this file here."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # Lines are short and appended in one write each, so that processes do not mix theirs.
    with open(folder / NAME, "ab", buffering=0) as ledger:
        ledger.write(f"{digest(file)}\n".encode())


def written_here(file: Path) -> bool:
    """Whether Pumice wrote exactly this file on this machine."""
    try:
        lines = (cache_folder() / NAME).read_text().splitlines()
    except OSError:
        return False
    return digest(file) in lines


def require_trust(file: Path, trust: bool) -> None:
    """
    Raises:
        BadInput: the file is code that was not written here, and nobody trusts it.
    """
    if not trust and not written_here(file):
        raise BadInput(
            f"{os.fspath(file)} is code and was not written by Pumice on this machine; if you trust whoever made it, "
            "open it with --trust (trust=True)"
        )


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal; of several parts, that of the list of theirs."""
    digests = [_digest(part) for part in parts_of(file) if part.is_file()]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with open(file, "rb") as stream:
        while part := stream.read(CHUNK):
            found.update(part)
    return found.hexdigest()
