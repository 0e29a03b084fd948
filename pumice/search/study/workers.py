"""Who judges a trial, whether that process still lives, and the heartbeat that says so to other machines."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any


@cache
def _place() -> str:
    """This machine since it was started, and this container's view of its processes; "" where nobody can say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")
        return blake2b(f"{boot}{os.readlink('/proc/self/ns/pid')}".encode(), digest_size=8).hexdigest()
    except OSError:
        return ""


def _born(pid: int) -> str | None:
    """When a process began, in ticks; None where it is gone, or dead and not yet buried."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else rest[18]


def me() -> dict[str, Any]:
    """This process, as its trials name it."""
    return {
        "name": f"{socket.gethostname()}:{os.getpid()}",
        "place": _place(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
    }


def is_gone(worker: dict[str, Any]) -> bool:
    """Whether the worker is known to be dead.  Of other machines nobody knows here: their heartbeats stop."""
    if not _place() or worker.get("place") != _place():
        return False
    return _born(worker["pid"]) != worker["born"]


@contextmanager
def beating(beat: Callable[[], None], every_s: float) -> Iterator[None]:
    """Beat in a thread while the block runs.  A beat that fails is left out: the next may succeed."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            with suppress(Exception):
                beat()

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
