"""One process at a time trains in a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pumice.errors import BadInput, reason_of

LOCK = "lock"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold `RUN/lock`, which vanishes at the end.  The system lets go of it whatever ends the process.

    The lock belongs to the process and not to the open file: worker processes, which outlive a killed parent by
    seconds, do not hold it.  Where the system knows no such locks, none is held.

    Raises:
        BadInput: another process holds it, or the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path = out / LOCK
    while True:
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write in the folder {out}: {reason_of(error)}") from error
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip()
            file.close()
            which = f"process {holder}" if holder else "another process"
            raise BadInput(f"{which} trains in {out}; wait for its end, or stop it") from None
        except OSError:  # a file system without locks
            break
        if _is_still(file.fileno(), path):
            break
        file.close()  # its holder has just ended and removed it
    with suppress(OSError):  # of a full disk; the number is only for the sentence
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is_still(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False
