"""Where `fit` gets latencies: from this machine, the device that the budget is for, or a table of that device."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from pumice.loop.config import FitConfig

if TYPE_CHECKING:
    from pumice.cost.lut.table import Lut
    from pumice.cost.remote.transport import Device


def there(config: FitConfig) -> "Device | None":
    """The device that measures, None for this machine; one object an address, so that a device says once what it is.

    Raises:
        BadInput: the address cannot be read.
    """
    return None if config.on is None else _device(config.on)


@functools.cache
def _device(address: str) -> "Device":
    from pumice.cost.remote import device

    return device(address)


def table(config: FitConfig) -> "Lut | None":
    """The table that predicts, None where latencies are measured; read once, since it remembers what it inferred.

    Raises:
        BadInput: it cannot be read, or is of another runtime or number of threads than the config's.
    """
    runtime = None if config.runtime == "auto" else config.runtime
    return None if config.lut is None else _read(config.lut, runtime, config.threads)


def own_threads(threads: int | None, lut: str | None) -> int:
    """The number asked for; without, the table's; without a table, 1.

    Raises:
        BadInput: the table cannot be read.
    """
    return threads or (1 if lut is None else _read(lut, None, None).threads)


def _read(path: str, runtime: str | None, threads: int | None) -> "Lut":
    # A table may grow while Python runs: of another time it is another one.
    return _table(path, runtime, threads, Path(path).stat().st_mtime_ns if Path(path).exists() else 0)


@functools.cache
def _table(path: str, runtime: str | None, threads: int | None, written_ns: int) -> "Lut":
    from pumice.cost.predicted import read_table

    return read_table(path, runtime, threads)
