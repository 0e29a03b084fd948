"""What a fact is, and the units that publications count in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What a publication writes -> the field that follows from it, given the whole record.
DERIVED: dict[str, tuple[str, Callable[[float, dict[str, Any]], float]]] = {
    "keep": ("drop_rate", lambda keep, _: 1 - keep),
    "bn_decay": ("bn_momentum", lambda decay, _: 1 - decay),
    "iterations": ("epochs", lambda number, pins: round(number * pins["batch_size"] / 1_281_167)),
    "thousand": ("batch_size", lambda number, _: number * 1024),
    "minus_percent": ("decay_rate", lambda percent, _: 1 - percent),
    "divided_by": ("decay_rate", lambda number, _: 1 / number),
    "warmup_from": ("warmup_start", lambda lr, pins: lr / pins["lr"]),
    "warmup_iterations": ("warmup_epochs", lambda number, pins: number * pins["batch_size"] / 1_281_167),
}


@dataclass(frozen=True)
class Fact:
    """A recipe on a network: fields as published, and where the reference says so."""

    recipe: str
    model: str
    pins: dict[str, Any]
    file: str = ""
    patterns: tuple[str, ...] = field(default=())


def n(name: str) -> str:
    """A group that holds a number."""
    return rf"(?P<{name}>\d[\d.]*(?:e-\d+)?(?<![.]))"
