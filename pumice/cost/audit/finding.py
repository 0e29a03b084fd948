"""What an audit says, as data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pumice.graph.edit import Change
from pumice.graph.records import Shape

Guideline = Literal["G1", "G2", "G3", "G4"]
Sort = Literal[
    "rebalance", "regroup", "merge branches", "drop branch", "drop shuffle", "drop gate",
    "replace activation", "replace dynamic activation", "drop shortcut", "drop selection",
]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One layer of a finding, with the guideline's figures for it."""

    layer: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Edit:
    """A change of the traced graph that makes another function, to be trained again.

    madds_before, madds_after: of the whole network; an edit is proposed only where they do not rise.
    """

    sort: Sort
    text: str
    changes: tuple[Change, ...]
    madds_before: int
    madds_after: int


@dataclass(frozen=True)
class Gain:
    """An edit, measured beside the original.

    before_ms, after_ms: medians; before_ci95, after_ci95: their 95 % intervals, of wall time, or of CPU time (`clock`)
        where the machine was busy.
    """

    runtime: str
    threads: int
    clock: Literal["wall", "cpu"]
    before_ms: float
    after_ms: float
    before_ci95: tuple[float, float]
    after_ci95: tuple[float, float]
    busy: bool

    @property
    def gain_ms(self) -> float:
        """Saved, negative when it became slower."""
        return self.before_ms - self.after_ms

    @property
    def gain_ci95_ms(self) -> tuple[float, float]:
        """Enclosed by the two intervals together, so wider than 95 %."""
        return self.before_ci95[0] - self.after_ci95[1], self.before_ci95[1] - self.after_ci95[0]

    @property
    def faster(self) -> bool:
        """Whether it is faster by more than the spread: the two intervals do not meet."""
        return self.gain_ci95_ms[0] > 0


@dataclass(frozen=True)
class Finding:
    """One guideline broken at some places.

    figures: totals; those of a layer are with its place.
    saving: predicted, in the audit's unit; share: of the network's whole cost.  Both 0 without an edit.
    """

    guideline: Guideline
    text: str
    places: tuple[Place, ...]
    figures: Mapping[str, float]
    edit: Edit | None = None
    saving: float = 0.0
    share: float = 0.0
    gains: tuple[Gain, ...] = ()


@dataclass(frozen=True)
class Audit:
    """All findings on one network, those with an edit first, the largest predicted saving first.

    unit: "ms", where every node was timed in `runtime`; "elements" of memory access otherwise.
    total: the network's cost in that unit.
    """

    name: str
    input_size: Shape
    madds: int
    unit: Literal["ms", "elements"]
    runtime: str
    total: float
    findings: tuple[Finding, ...]

    @property
    def edits(self) -> tuple[Finding, ...]:
        """The findings that propose an edit, in order."""
        return tuple(finding for finding in self.findings if finding.edit is not None)

    def to_json(self) -> dict[str, Any]:
        """JSON values; changes of the graph are for Python only."""
        value = {key: item for key, item in asdict(self).items() if key != "findings"}
        return {**value, "input_size": list(self.input_size), "findings": [_json(f) for f in self.findings]}


def _json(finding: Finding) -> dict[str, Any]:
    edit = finding.edit
    kept = ("sort", "text", "madds_before", "madds_after")
    return {
        "guideline": finding.guideline,
        "text": finding.text,
        "layers": [{"layer": place.layer, **place.figures} for place in finding.places],
        "figures": dict(finding.figures),
        "saving": finding.saving,
        "share": finding.share,
        "edit": None if edit is None else {key: getattr(edit, key) for key in kept},
        "measured": [
            {**asdict(gain), "gain_ms": gain.gain_ms, "gain_ci95_ms": list(gain.gain_ci95_ms), "faster": gain.faster}
            for gain in finding.gains
        ],
    }
