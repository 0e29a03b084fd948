"""What is known of every network without building it: sizes and published figures, read from a generated table.

`python -m pumice.cost.catalogue` writes the table; a test compares it with the networks.  Nothing here imports torch.
"""

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pumice.errors import BadInput, nearest


@dataclass(frozen=True)
class Entry:
    """One network.

    task: what its head is for, "classify", "segment" or "detect".
    input_size: (C, H, W).  params, madds, extra_madds: counts at that size, with num_classes classes.
    params_per_class: what one class more adds to a classifier.
    sizes: madds, madds_per_class, extra_madds and peak_activation_bytes of a classifier by the side of its input in
        pixels, where it takes that size.
    status: "exact"; "reconstruction", whose note says what is inferred; "optional", outside the papers.
    published: variant, top1, params_m, madds_m, input, other (a figure that is no ImageNet top-1) and source as
        printed; None where nothing was.
    options: what `create_model` takes for it, with the values that the name stands for.
    """

    name: str
    family: str
    paper: str
    task: str
    input_size: tuple[int, int, int]
    num_classes: int
    params: int
    params_per_class: int
    madds: int
    extra_madds: int
    memory_access: int
    peak_activation_bytes: int
    sizes: dict[str, dict[str, int]]
    status: str
    note: str
    pretrained: bool
    published: dict[str, Any] | None
    options: dict[str, Any]

    @property
    def deviation(self) -> dict[str, float]:
        """How far params and madds are from the printed ones, as a share of those; {} where nothing was printed."""
        printed = self.published or {}
        pairs = {"params": (self.params, printed.get("params_m")), "madds": (self.madds, printed.get("madds_m"))}
        return {key: round(ours / (theirs * 1e6) - 1, 4) for key, (ours, theirs) in pairs.items() if theirs}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "input_size": list(self.input_size), "deviation": self.deviation}


@cache
def entries() -> tuple[Entry, ...]:
    """Every network, by family and then in the family's order."""
    table = json.loads((files("pumice.models") / "catalogue.json").read_text(encoding="utf-8"))
    return tuple(Entry(**{**row, "input_size": tuple(row["input_size"])}) for row in table)


def entry(name: str) -> Entry:
    """One network.

    Raises:
        BadInput: no network has the name; the nearest is suggested.
    """
    names = {e.name: e for e in entries()}
    if name not in names:
        near = nearest(name, list(names)) or "; `pumice list` names them all"
        raise BadInput(f"no network is called {name!r}{near}")
    return names[name]


def select(
    filter: str = "", *, max_madds: float | None = None, max_params: float | None = None, pretrained: bool = False
) -> list[Entry]:
    """Networks whose name matches a shell pattern (or, without wildcard, contains the word), within limits."""
    pattern = filter if any(c in filter for c in "*?[") else f"*{filter}*"
    return [
        e
        for e in entries()
        if fnmatchcase(e.name, pattern)
        and (max_madds is None or e.madds <= max_madds)
        and (max_params is None or e.params <= max_params)
        and (e.pretrained or not pretrained)
    ]
