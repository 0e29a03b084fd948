"""Candidates: network x input size x runtime, what is known of each, and which are promising.  Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pumice.cost.budget import Budget, Miss
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.loop.config import FitConfig
from pumice.models.catalogue import Entry, entries

NATIVE = "native"
"""Pumice's own engine: its file is compiled, for one size and this machine's processor."""
SIZES = (96, 128, 160, 192, 224)
JUDGED = ("measured", "predicted")
"""What a candidate that keeps the budget is, before it is trained."""
# What MobileNetV2 1.0 loses of its ImageNet top-1 at smaller inputs (71.8 at 224; arXiv:1801.04381 and its repository).
LOST_AT = {224: 0.0, 192: 1.1, 160: 3.0, 128: 6.5, 96: 11.5}
# Top-1 of networks whose own papers printed none: arXiv:2108.05894 table 7, torchvision's and timm's retrainings.
NOT_PRINTED = {
    "mobilenetv3_small_050": 58.0,
    "mobilenetv3_small_035": 49.8,
    "squeezenet1_1": 58.2,
    "mobilenetv3_large_150d": 81.0,
    "mnasnet_100": 73.5,
    "channelnet_v2": 69.5,
    "channelnet_v3": 66.7,
}
UNKNOWN = 50.0  # top-1 to expect of a network that nobody measured on ImageNet; it takes part when it is named


@dataclass
class Candidate:
    """One way to ship, and what became of it.

    size, width: side of the square input, pixels; or its height, and its width.
    params, madds: with the classes of the data.
    size_bytes: of the weights alone; the graph adds some 50 to 200 kB.
    promise: top-1 on ImageNet that its paper leads to expect at this input size, percent.
    timings: measurements or predictions, the latest last.
    val_top1: on validation images; of a dense task its main figure.
    status: "not measured", "over budget", "measured", "predicted", "trained" or "shipped"; reason: why, for people.
    """

    model: str
    size: int
    runtime: str
    params: int
    madds: int
    extra_madds: int
    peak_activation_bytes: int
    promise: float
    timings: list[Timing] = field(default_factory=list)
    status: str = "not measured"
    reason: str = ""
    val_top1: float | None = None
    width: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input, pixels."""
        return self.size, self.size if self.width is None else self.width

    @property
    def size_bytes(self) -> int:
        """float32 weights."""
        return 4 * self.params

    @property
    def label(self) -> str:
        """micronet_m1 at 128 in openvino."""
        sides = self.size if self.width in (None, self.size) else f"{self.size}x{self.width}"
        return f"{self.model} at {sides} in {self.runtime}"

    @property
    def p50_ms(self) -> float | None:
        """Of the latest measurement."""
        return self.timings[-1].p50_ms if self.timings else None

    @property
    def bound_ms(self) -> float | None:
        """The highest upper bound that was measured: a machine drifts, and a budget must hold in its slow minutes."""
        return max(t.bound_ms[0] for t in self.timings) if self.timings else None

    def misses(self, budget: Budget) -> list[Miss]:
        """The limits that it does not keep, as far as it is known."""
        return budget.misses(
            latency_ms=self.bound_ms,
            madds=self.madds,
            params=self.params,
            size_bytes=self.size_bytes,
            memory_bytes=self.peak_activation_bytes,
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values, as candidates.json holds them."""
        last = self.timings[-1] if self.timings else None
        return {
            "model": self.model,
            "input_size": [3, *self.shape],
            "runtime": self.runtime,
            "params": self.params,
            "madds": self.madds,
            "extra_madds": self.extra_madds,
            "peak_activation_bytes": self.peak_activation_bytes,
            "promise": self.promise,
            "p50_ms": self.p50_ms,
            "cpu_p50_ms": last.cpu_p50_ms if last else None,
            "bound_ms": self.bound_ms,
            "busy": last.busy if last else None,
            "predicted": last.predicted if last else None,
            "status": self.status,
            "reason": self.reason,
            "val_top1": self.val_top1,
        }


def propose(config: FitConfig, num_classes: int, runtimes: tuple[str, ...], only: str | None = None) -> list[Candidate]:
    """Every candidate; those over a limit that needs no measurement are marked so.

    only: the network that a weights file belongs to.

    Raises:
        BadInput: no network matches, or none has published weights.
    """
    chosen = [e for e in entries() if takes_part(e, config, only)]
    if not chosen:
        what = " ".join(config.models) or "these settings"
        raise BadInput(f"no network matches {what}; `pumice list` names them all")
    found = []
    for entry in chosen:
        for size in [size for size in SIZES if str(size) in entry.sizes]:
            cost, classes = entry.sizes[str(size)], num_classes - entry.num_classes
            for runtime in runtimes:
                candidate = Candidate(
                    entry.name,
                    size,
                    runtime,
                    params=entry.params + classes * entry.params_per_class,
                    madds=cost["madds"] + classes * cost["madds_per_class"],
                    extra_madds=cost["extra_madds"],
                    peak_activation_bytes=cost["peak_activation_bytes"],
                    promise=promise(entry, size),
                )
                mark(candidate, config.budget)
                found.append(candidate)
    return found


def takes_part(entry: Entry, config: FitConfig, only: str | None) -> bool:
    """Whether a classifier is a candidate; `only`: see `propose`."""
    if entry.task != "classify":
        return False
    if only is not None:
        return entry.name == only
    if config.models and not any(fnmatchcase(entry.name, pattern) for pattern in config.models):
        return False
    if config.pretrained:
        return entry.pretrained
    # torchvision's layouts are there for their weights; from scratch the paper's own nets stand for them.
    return bool(config.models) or (_printed(entry) is not None and not entry.name.startswith("tv_"))


def promise(entry: Entry, size: int) -> float:
    """Top-1 on ImageNet to expect of a network at an input size, percent: a prior for the order, never a result."""
    printed = _printed(entry)
    lost_already = LOST_AT.get(entry.published["input"], 0.0) if entry.published else 0.0
    return (UNKNOWN if printed is None else printed) - max(0.0, LOST_AT[size] - lost_already)


def _printed(entry: Entry) -> float | None:
    """Its top-1 on ImageNet at 224 pixels or so; None of nets made for other images."""
    printed = entry.published["top1"] if entry.published else None
    return NOT_PRINTED.get(entry.name) if printed is None else printed


def mark(candidate: Candidate, budget: Budget) -> None:
    """Say so when a candidate is over a limit."""
    misses = candidate.misses(budget)
    if misses:
        candidate.status, candidate.reason = "over budget", str(misses[0])


def promising(candidates: Iterable[Candidate], margin: float, budget: Budget) -> list[Candidate]:
    """The candidates to choose from for training, the best promise first: each network and size in its fastest runtime.

    Those that keep `margin` of the latency budget in hand; where there are none, those that keep the budget.
    """
    fastest: dict[tuple[str, int], Candidate] = {}
    for c in candidates:
        if c.status in JUDGED and c.bound_ms is not None:
            best = fastest.get((c.model, c.size))
            if best is None or c.bound_ms < (best.bound_ms or 0):
                fastest[c.model, c.size] = c
    limit = budget.max_latency_ms
    safe = [c for c in fastest.values() if limit is None or (c.bound_ms or 0) <= limit * (1 - margin)]
    return sorted(safe or fastest.values(), key=lambda c: (-c.promise, c.bound_ms))


def remaining(pool: Iterable[Candidate], budget: Budget) -> list[Candidate]:
    """The candidates still to choose from after some turned out slower than they were measured.

    As much slower as the worst of those, they must keep the budget: the machine has changed, not the networks.
    """
    pool = list(pool)
    slower = max([1.0, *(c.timings[-1].bound_ms[0] / c.timings[0].bound_ms[0] for c in pool if len(c.timings) > 1)])
    limit = budget.max_latency_ms
    return [c for c in pool if c.status in JUDGED and (limit is None or slower * (c.bound_ms or 0) <= limit)]
