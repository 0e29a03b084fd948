"""Limits as people write them, read and written (2ms, 60M, 3MB, 10m), and by how much a candidate misses them.

Latency, memory, size and time need a unit, because a bare 2 has been read as seconds, and a bare 3 as bytes; counts
may go without.  Free of torch, so that the command line refuses a bad limit at once.
"""

import math
import re
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from pumice.errors import BadInput

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
QUANTITY = re.compile(rf"\s*({NUMBER})\s*([^\W\d_]*)\s*", re.ASCII)
COUNTED = ("multiply-adds", "parameters")
# h, then m, then s, each at most once: 1h30m, 90s.
DURATION = re.compile(rf"\s*(?:({NUMBER})\s*h)?\s*(?:({NUMBER})\s*m(?:in)?)?\s*(?:({NUMBER})\s*s)?\s*", re.ASCII)


def parse_latency(text: str, option: str = "latency") -> float:
    """`"2ms"`, `"0.5 s"`, `"800us"` -> milliseconds.

    Raises:
        BadInput: no unit, not a number, or not above zero; the sentence names `option` and shows a right example.
    """
    # Unicode has two letters that look like a mu.
    ascii_text = text.replace("\u00b5", "u").replace("\u03bc", "u")
    return _read(ascii_text, {"us": 1e-3, "ms": 1.0, "s": 1e3}, option, "2ms, 0.5s or 800us")


def parse_count(text: str, option: str = "count") -> int:
    """`"60M"`, `"60000000"`, `"1.5G"`, `"2k"` -> a whole number.

    Raises:
        BadInput: not a number, not above zero, or not whole.
    """
    value = _read(text, {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}, option, "60M or 60000000")
    if abs(value - round(value)) > 1e-6 * value:
        raise BadInput(f"{option} {text.strip()} is not a whole number; write 60M or 60000000")
    return round(value)


def parse_size(text: str, option: str = "size") -> int:
    """`"3MB"` (10^6), `"512KB"` (10^3), `"1MiB"` (2^20) -> bytes, rounded down; upper and lower case mean the same.

    Raises:
        BadInput: no unit, not a number, or less than one byte.
    """
    units = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
    # The millionth keeps 0.3MB, which binary fractions put just below 300000, from losing a byte.
    value = math.floor(_read(text, units, option, "3MB, 512KB or 1MiB") + 1e-6)
    if value < 1:
        raise BadInput(f"{option} {text.strip()} is less than one byte; write 3MB, 512KB or 1MiB")
    return value


def parse_time(text: str, option: str = "time") -> float:
    """`"10m"`, `"90s"`, `"1h"`, `"1h30m"` -> seconds.

    Raises:
        BadInput: no unit, not a time, or not above zero.
    """
    example = "10m, 90s or 1h30m"
    found = DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        return _read(text, {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}, option, example)
    hours, minutes, seconds = (float(group or 0) for group in found.groups())
    if min(hours, minutes, seconds) < 0:
        raise BadInput(f"{option} {text.strip()} has a part below zero; write {example}")
    return _positive(3600 * hours + 60 * minutes + seconds, text, option, example)


def write_limit(value: float, unit: str, *, up: bool = True) -> str:
    """A number as a limit that people may copy, of six digits: 40123449.0 multiply-adds -> "40.1235M".

    unit: counts above a million are written in millions; other numbers stand alone.
    up: whether what is written is no less than the value, or no more.
    """
    exact = Decimal(value)
    if not exact.is_finite():
        return str(value)
    digits = Context(prec=6, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    rounded = digits.create_decimal(exact)
    millions = unit in COUNTED and rounded >= 10**6
    text = f"{rounded / 10**6 if millions else rounded:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + ("M" if millions else "")


def _read(text: str, units: dict[str, float], option: str, example: str) -> float:
    found = QUANTITY.fullmatch(text)
    if not found:
        raise BadInput(f"{option} {text.strip() or '(empty)'} cannot be read; write {example}")
    number, unit = found.groups()
    if not unit and "" not in units:
        raise BadInput(f"{option} {text.strip()} has no unit; write {example}")
    scale = units.get(unit, units.get(unit.lower()))
    if scale is None:
        raise BadInput(f"{option} {text.strip()} has the unknown unit {unit!r}; write {example}")
    return _positive(float(number) * scale, text, option, example)


def _positive(value: float, text: str, option: str, example: str) -> float:
    if not 0 < value < math.inf:
        raise BadInput(f"{option} {text.strip()} is not above zero and finite; write {example}")
    return value


@dataclass(frozen=True)
class Miss:
    """One limit that a candidate does not keep: `value` is `ratio` times `limit`.  Units are those of the limit."""

    name: str
    limit: float
    value: float
    ratio: float

    def __str__(self) -> str:
        noun, words = WORDS[self.name]
        return f"{noun} {words(self.value)} is {self.ratio:.4g}x the limit of {words(self.limit)}"


@dataclass(frozen=True)
class Budget:
    """Upper limits on a model; None means no limit.

    max_latency_ms: ms per pass, batch 1, on the machine, runtime and threads it will run with.
    max_madds, max_params: counts.
    max_size_bytes: of the shipped file.
    max_memory_bytes: peak memory of the activations of one pass.
    """

    max_latency_ms: float | None = None
    max_madds: int | None = None
    max_params: int | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit is not None and (not isinstance(limit, int | float) or not 0 < limit < math.inf):
                raise BadInput(f"{name} must be a number above zero, not {limit!r}")

    def misses(
        self,
        *,
        latency_ms: float | None = None,
        madds: int | None = None,
        params: int | None = None,
        size_bytes: int | None = None,
        memory_bytes: int | None = None,
    ) -> list[Miss]:
        """The limits that these figures exceed, in the order of the fields; a figure that is None is not judged."""
        figures = (latency_ms, madds, params, size_bytes, memory_bytes)
        return [
            Miss(name, limit, value, value / limit)
            for (name, limit), value in zip(asdict(self).items(), figures, strict=True)
            if limit is not None and value is not None and not value <= limit
        ]

    def to_json(self) -> dict[str, Any]:
        """The limits that are set; `from_json` is the inverse."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Budget":
        """Inverse of `to_json`.

        Raises:
            BadInput: a limit is unknown or is not a number above zero.
        """
        try:
            return cls(**value)
        except TypeError as error:
            raise BadInput(f"this budget cannot be read: {error}") from error


WORDS = {
    "max_latency_ms": ("latency", lambda value: f"{value:.4g} ms"),
    "max_madds": ("multiply-adds", lambda value: f"{value / 1e6:.4g} M"),
    "max_params": ("parameters", lambda value: f"{value / 1e6:.4g} M"),
    "max_size_bytes": ("file size", lambda value: f"{value / 1e6:.4g} MB"),
    "max_memory_bytes": ("peak memory", lambda value: f"{value / 1e6:.4g} MB"),
}
