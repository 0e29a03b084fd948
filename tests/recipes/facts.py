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
    "base_lr": ("lr", lambda base, _: 5 * base),
    "passes": ("epochs", lambda epochs, _: 5 * epochs),
    "passes_to_drop": ("decay_epochs", lambda epochs, _: 5 * epochs),
    "final": ("final_lr", lambda final, pins: final / pins["lr"]),
    "thousand_steps": ("epochs", lambda number, pins: round(number * 1000 * pins["batch_size"] / pins["images"])),
    "rotate": ("task.rotate", lambda degrees, _: degrees),
    "smallest": ("task.scale", lambda least, _: 1 - least),
    "largest": ("task.scale", lambda most, _: most - 1),
    "enet_c": ("task.enet_c", lambda value, _: value),
    "zoom_out": ("task.zoom_out", lambda factor, _: factor),
    "distort": ("task.distort", lambda chance, _: chance),
    "match": ("task.match", lambda iou, _: iou),
    "negatives": ("task.negatives", lambda number, _: number),
    "trials": ("task.trials", lambda number, _: number),
    "warmup_iterations": ("warmup_epochs", lambda number, pins: number * pins["batch_size"] / 1_281_167),
}


@dataclass(frozen=True)
class Fact:
    """A recipe on a network: fields as published ("task.NAME": of the task), and where the reference says so.

    Its pin "images" is the number of training images that the recipe counts epochs of.
    """

    recipe: str
    model: str
    pins: dict[str, Any]
    file: str = ""
    patterns: tuple[str, ...] = field(default=())


def n(name: str) -> str:
    """A group that holds a number."""
    return rf"(?P<{name}>\d[\d.]*(?:e-\d+)?(?<![.]))"
