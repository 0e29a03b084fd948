"""Writers of files that go wrong; imported by the processes that they are to end, so nothing heavy."""

import os
import signal
from pathlib import Path

from pumice.errors import BadInput


def dies(*_: object, **__: object) -> None:
    os.abort()


def kills_its_runtime(model: object, path: Path, *_: object, **__: object) -> None:
    path.write_bytes(b"a file")
    os.kill(os.getpid(), signal.SIGSEGV)


def refuses(*_: object, **__: object) -> None:
    raise BadInput("no such operator")


def is_wrong(*_: object, **__: object) -> None:
    raise ZeroDivisionError("seven")
