"""Asking a record for a field that may be missing or of the wrong kind."""

import math
from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]


def number(record: Record, key: str) -> float | None:
    """A finite number, or None."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def first_number(key: str, *records: Record) -> float | None:
    """The first of the records that has the number."""
    return next((value for record in records if (value := number(record, key)) is not None), None)


def text(record: Record, key: str) -> str | None:
    """A string that is not empty, or None."""
    value = record.get(key)
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> Record:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Any) -> tuple[Record, ...]:
    """The objects of an array; empty for anything else."""
    return tuple(one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()
