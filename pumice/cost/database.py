"""Measurements kept between commands, in one SQLite file in the user's cache folder.

A cache: nothing that goes wrong with it may stop a command.  A database that cannot be written is ignored, a damaged
one is set aside, each with one warning sentence in the log, which Python shows on standard error.
"""

import functools
import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from pumice.cost import machine
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.models.manifest import ModelConfig

T = TypeVar("T")

SCHEMA = 1
"""Goes up when the table or the meaning of a measurement changes; the measurements of another number are dropped."""
BUSY_TIMEOUT_S = 5.0


def cache_folder() -> Path:
    """`$PUMICE_CACHE`, or the platform's folder for what can be made again."""
    if own := os.environ.get("PUMICE_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "pumice" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pumice"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pumice"


def measurement_key(
    model: ModelConfig,
    *,
    runtime: str,
    input_size: tuple[int, int, int],
    threads: int = 1,
    batch: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
) -> str:
    """One line of JSON that names everything a latency depends on, this machine and the runtime's version included.

    Weights are left out: the time of these networks does not depend on them.
    """
    parts = {
        "machine": machine.machine_key(),
        "usable_cores": machine.usable_cores(),
        "runtime": runtime,
        "runtime_version": machine.runtime_version(runtime),
        # The graph that a runtime is given is made by these two.
        "pumice": machine.runtime_version("native"),
        "torch": machine.runtime_version("eager"),
        "model": {
            "name": model.name,
            "num_classes": model.num_classes,
            "in_chans": model.in_chans,
            "options": model.options,
            "padding": model.padding,
        },
        "input_size": list(input_size),
        "threads": threads,
        "batch": batch,
        "dtype": dtype,
        "device": device,
    }
    return json.dumps(parts, sort_keys=True)


def lookup(key: str, max_age_days: float = 30, *, allow_busy: bool = False) -> Timing | None:
    """The newest measurement under `key`, None when there is none or it is older.

    allow_busy: also one taken while the machine was busy.
    """
    oldest = time.time() - max_age_days * 86400

    def read(connection: sqlite3.Connection) -> Any:
        return connection.execute(
            "SELECT timing FROM measurements WHERE key = ? AND at >= ? AND busy <= ? ORDER BY at DESC, id DESC LIMIT 1",
            (key, oldest, int(allow_busy)),
        ).fetchone()

    row = _attempt(read)
    try:
        return Timing.from_json(json.loads(row[0])) if row else None
    except (ValueError, BadInput):  # Written by hand or by another version: measure anew.
        return None


def store(timing: Timing, key: str) -> None:
    """Keep a measurement, with its busy flag."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO measurements (key, at, busy, timing) VALUES (?, ?, ?, ?)",
            (key, time.time(), int(timing.busy), json.dumps(timing.to_json())),
        )

    _attempt(write)


def fastest(runtime: str | None = None) -> dict[tuple[str, tuple[int, ...]], float]:
    """(name, input size) -> ms of the fastest measurement here of every published network: one thread, one image.

    runtime: only in this one.
    """
    here = machine.machine_key()

    def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        return connection.execute("SELECT key, timing FROM measurements WHERE busy = 0").fetchall()

    found: dict[tuple[str, tuple[int, ...]], float] = {}
    for key, timing in _attempt(read) or []:
        parts = json.loads(key)
        as_published = parts["model"] | {"num_classes": 1000, "options": {}} == parts["model"]
        single = (parts["threads"], parts["batch"], parts["device"]) == (1, 1, "cpu")
        if parts["machine"] == here and as_published and single and runtime in (None, parts["runtime"]):
            place = parts["model"]["name"], tuple(parts["input_size"])
            found[place] = min(found.get(place, float("inf")), json.loads(timing)["p50_ms"])
    return found


def _attempt(action: Callable[[sqlite3.Connection], T]) -> T | None:
    """Run `action` in one transaction; None when the database does not let it."""
    path = cache_folder() / "measurements.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _transaction(path, action)
    except sqlite3.OperationalError as error:  # Locked for too long, read-only, or the disk is full.
        _warn(f"measurements are not kept, because {path} cannot be used: {error}")
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".damaged")
        try:
            os.replace(path, aside)
            _warn(f"{path} was damaged ({error}) and is now {aside.name}; measurements start afresh")
            return _transaction(path, action)
        except (OSError, sqlite3.Error) as second:
            _warn(f"measurements are not kept, because {path} is damaged and cannot be replaced: {second}")
    except OSError as error:
        _warn(f"measurements are not kept, because {path.parent} cannot be used: {error.strerror}")
    return None


def _transaction(path: Path, action: Callable[[sqlite3.Connection], T]) -> T:
    # Two commands may measure at once: a writer waits for the other to commit.
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA:
            connection.execute("DROP TABLE IF EXISTS measurements")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS measurements (id INTEGER PRIMARY KEY, key TEXT NOT NULL, at REAL NOT NULL, "
            "busy INTEGER NOT NULL, timing TEXT NOT NULL)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS measurements_key ON measurements (key, at)")
        return action(connection)


@functools.cache
def _warn(sentence: str) -> None:
    """Say it once; `fit` looks up hundreds of candidates."""
    logging.getLogger(__name__).warning(sentence)
