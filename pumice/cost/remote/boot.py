"""The first program on the target: takes an archive from standard input, does what it asks, leaves nothing behind.

It is sent as text ahead of the archive, to a machine that needs no Pumice.  Its syntax is that of Python 3.6, so that
an older interpreter than ours can still say that it is too old.

Standard input stays open for as long as the answer is wanted: when it ends early, because the other side was
interrupted or the connection broke, the folder is removed and the process ends.  Without that a target would measure
on for nobody, and keep the files.
"""

import io
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import zipfile
from typing import Any

ANSWER = "pumice-answer "  # begins the line of the answer; shells and native libraries print lines of their own
NEEDED = (3, 11)


def main() -> None:
    """Answer one request."""
    for stop in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, stop):
            signal.signal(getattr(signal, stop), lambda *_: sys.exit(1))
    if sys.version_info < NEEDED:
        answer({"python": platform.python_version(), "needed": ".".join(map(str, NEEDED))})
        return
    folder = tempfile.mkdtemp(prefix="pumice-")
    try:
        unpack(folder)
        threading.Thread(target=leave_with_caller, args=(folder,), daemon=True).start()
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        os.environ["TMPDIR"] = folder  # runtimes keep notes of their own there
        os.chdir(folder)
        from pumice.cost.remote.runner import serve

        found = serve("request.json")
    except Exception as error:  # whatever it is, the other side is told
        found = {"failed": f"{type(error).__name__}: {error}"}
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    answer(found)


def unpack(folder: str) -> None:
    """Read the length of the archive, a line, and the archive; unpack it into the folder."""
    left = int(sys.stdin.buffer.readline())
    path = os.path.join(folder, "archive.zip")
    with open(path, "wb") as file:
        while left:
            part = sys.stdin.buffer.read(min(left, io.DEFAULT_BUFFER_SIZE * 16))
            if not part:
                sys.exit(1)
            file.write(part)
            left -= len(part)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    os.remove(path)


def leave_with_caller(folder: str) -> None:
    """Wait for the end of standard input; it comes before the answer only when nobody waits for one."""
    os.read(0, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def answer(value: Any) -> None:
    """Print the answer and end; the thread that waits for the caller is not asked."""
    sys.stdout.write("\n" + ANSWER + json.dumps(value) + "\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
