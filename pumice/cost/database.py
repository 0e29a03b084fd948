"""Measurements kept between commands, in one SQLite file in the user's cache folder.

A cache: nothing that goes wrong with it may stop a command.  A database that cannot be written is only read, one of a
newer Pumice is left alone, a damaged one is set aside, each with one warning sentence in the log, which Python shows on
standard error.
"""

import functools
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from pumice.cost import machine
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.files import cache_folder
from pumice.models.catalogue import Entry
from pumice.models.manifest import ModelConfig

T = TypeVar("T")

SCHEMA = 1
"""Goes up when the table or the meaning of a measurement changes; measurements of a lower number are dropped."""
BUSY_TIMEOUT_S = 5.0
MAX_AGE_DAYS = 30.0


def measurement_key(
    model: ModelConfig,
    *,
    runtime: str,
    input_size: tuple[int, int, int],
    threads: int = 1,
    batch: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
    where: machine.Machine | None = None,
) -> str:
    """One line of JSON that names everything a latency depends on, the machine and the runtime's version included.

    Weights are left out: the time of these networks does not depend on them.

    where: the machine it is measured on, this one by default.
    """
    where = where or machine.this_machine()
    parts = {
        "machine": where.key,
        "usable_cores": where.usable_cores,
        "runtime": runtime,
        "runtime_version": where.versions.get(runtime),
        # The graph that a runtime is given is made by these two, here.
        "pumice": machine.runtime_version("native"),
        "torch": machine.runtime_version("eager"),
        "model": {
            "name": model.name,
            "num_classes": model.num_classes,
            "in_chans": model.in_chans,
            "options": model.options,
            "padding": model.padding,
            **({"widths": model.widths} if model.widths else {}),
        },
        "input_size": list(input_size),
        "threads": threads,
        "batch": batch,
        "dtype": dtype,
        "device": device,
    }
    return json.dumps(parts, sort_keys=True)


def published_key(net: Entry, *, runtime: str, threads: int = 1, batch: int = 1, device: str = "cpu") -> str:
    """Of a network of the catalogue as it was published: at its own input size, with its own classes."""
    model = ModelConfig(net.name, num_classes=net.num_classes, in_chans=net.input_size[0])
    return measurement_key(
        model, runtime=runtime, input_size=net.input_size, threads=threads, batch=batch, device=device
    )


def lookup(key: str, max_age_days: float = MAX_AGE_DAYS, *, allow_busy: bool = False) -> Timing | None:
    """The newest measurement under `key`, None when there is none or it is older.

    allow_busy: also one taken while the machine was busy.
    """
    return lookup_all([key], max_age_days, allow_busy=allow_busy).get(key)


def lookup_all(
    keys: Iterable[str], max_age_days: float = MAX_AGE_DAYS, *, allow_busy: bool = False
) -> dict[str, Timing]:
    """Those of `keys` that have a measurement, each with its newest: as `lookup`, in one visit to the database."""
    oldest = time.time() - max_age_days * 86400

    def read(connection: sqlite3.Connection) -> dict[str, str]:
        query = (
            "SELECT timing FROM measurements WHERE key = ? AND at >= ? AND busy <= ? ORDER BY at DESC, id DESC LIMIT 1"
        )
        rows = ((key, connection.execute(query, (key, oldest, int(allow_busy))).fetchone()) for key in keys)
        return {key: row[0] for key, row in rows if row}

    return {key: timing for key, text in (_read(read) or {}).items() if (timing := _parse(text))}


def newest(max_age_days: float = MAX_AGE_DAYS) -> list[Timing]:
    """The newest measurement under every key of this machine, whatever was measured, in the order of measuring."""
    here, oldest = machine.machine_key(), time.time() - max_age_days * 86400

    def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        query = "SELECT key, timing FROM measurements WHERE at >= ? ORDER BY at, id"
        return connection.execute(query, (oldest,)).fetchall()

    found: dict[str, Timing] = {}
    for key, text in _read(read) or []:
        if json.loads(key)["machine"] == here and (timing := _parse(text)):
            found.pop(key, None)
            found[key] = timing
    return list(found.values())


def store(timing: Timing, key: str) -> None:
    """Keep a measurement, with its busy flag."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO measurements (key, at, busy, timing) VALUES (?, ?, ?, ?)",
            (key, time.time(), int(timing.busy), json.dumps(timing.to_json())),
        )

    _attempt(lambda path: _write(path, write))


def _parse(text: str) -> Timing | None:
    try:
        return Timing.from_json(json.loads(text))
    except (ValueError, BadInput):  # Written by hand or by another version: measure anew.
        return None


class _Newer(Exception):
    """The database is of a newer schema than ours."""


def _read(action: Callable[[sqlite3.Connection], T]) -> T | None:
    """Run `action` on a database that it does not write, so that one without write access serves too."""

    def on(path: Path) -> T | None:
        if not path.exists():
            return None
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as db:
            return action(db) if _schema(db) == SCHEMA else None

    return _attempt(on)


def _write(path: Path, action: Callable[[sqlite3.Connection], T]) -> T:
    """Run `action` in one transaction, on a table that is made or made anew where it must be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two commands may measure at once: a writer waits for the other to commit.
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        if _schema(connection) < SCHEMA:
            connection.execute("DROP TABLE IF EXISTS measurements")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS measurements (id INTEGER PRIMARY KEY, key TEXT NOT NULL, at REAL NOT NULL, "
            "busy INTEGER NOT NULL, timing TEXT NOT NULL)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS measurements_key ON measurements (key, at)")
        return action(connection)


def _schema(connection: sqlite3.Connection) -> int:
    """
    Raises:
        _Newer: it is not ours to touch.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise _Newer
    return version


def _attempt(action: Callable[[Path], T]) -> T | None:
    """Do something with the database; None when it does not let us."""
    path = cache_folder() / "measurements.sqlite"
    try:
        return action(path)
    except _Newer:
        _warn(f"measurements are not kept, because {path} is of a newer Pumice; PUMICE_CACHE names another folder")
    except sqlite3.OperationalError as error:  # Locked for too long, read-only, or the disk is full.
        _warn(f"measurements are not kept, because {path} cannot be used: {error}")
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".damaged")
        try:
            os.replace(path, aside)
            _warn(f"{path} was damaged ({error}) and is now {aside.name}; measurements start afresh")
            return action(path)
        except (OSError, sqlite3.Error) as second:
            _warn(f"measurements are not kept, because {path} is damaged and cannot be replaced: {second}")
    except OSError as error:
        _warn(f"measurements are not kept, because {path.parent} cannot be used: {error.strerror}")
    return None


@functools.cache
def _warn(sentence: str) -> None:
    """Say it once; `fit` looks up hundreds of candidates."""
    logging.getLogger(__name__).warning(sentence)
