"""What pruning came to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pumice.cost.timing import Timing
from pumice.graph.records import Shape


@dataclass(frozen=True)
class Step:
    """One cut.

    madds, params: after it, counted.
    max_abs_diff_masked, max_rel_diff_masked: largest difference between the outputs of the cut network and of the
        masked one on random images, absolute and as a share of the largest output; before any tuning.
    accuracy_cut: top-1 of the cut network, batch norms restated; accuracy: after tuning.  None without data.
    """

    madds: int
    params: int
    max_abs_diff_masked: float
    max_rel_diff_masked: float
    accuracy_cut: float | None = None
    accuracy: float | None = None

    def sentence(self, madds_before: int) -> str:
        """For whoever waits."""
        said = f"{self.madds / 1e6:.4g} M multiply-adds, {self.madds / madds_before:.1%} of the network's"
        if self.accuracy is None or self.accuracy_cut is None:
            return said
        return f"{said}: top-1 {self.accuracy_cut:.1%}, tuned {self.accuracy:.1%}"


@dataclass(frozen=True)
class Pruned:
    """What became of a network.

    groups: channels of each group that it had.  kept: those that stay, of the groups that lost any.
    frozen: why others were not cut.
    accuracy_before: None without data, and where the network did not know its classes.
    latency_before, latency_after: of a target of latency.
    history: the rows of all epochs of tuning.
    """

    name: str
    input_size: Shape
    madds_before: int
    params_before: int
    steps: tuple[Step, ...]
    groups: dict[str, int]
    kept: dict[str, list[int]]
    frozen: dict[str, str]
    accuracy_before: float | None = None
    latency_before: Timing | None = None
    latency_after: Timing | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def madds_after(self) -> int:
        """Counted."""
        return self.steps[-1].madds

    @property
    def params_after(self) -> int:
        """Counted."""
        return self.steps[-1].params

    @property
    def accuracy_after(self) -> float | None:
        """Top-1 on validation images, None without data."""
        return self.steps[-1].accuracy

    @property
    def max_abs_diff_masked(self) -> float:
        """The largest of all cuts."""
        return max(step.max_abs_diff_masked for step in self.steps)

    @property
    def max_rel_diff_masked(self) -> float:
        """The largest of all cuts."""
        return max(step.max_rel_diff_masked for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        own = ("madds_before", "madds_after", "params_before", "params_after", "max_abs_diff_masked")
        more = ("max_rel_diff_masked", "accuracy_before", "accuracy_after")
        return {
            "model": self.name,
            "input_size": list(self.input_size),
            **{name: getattr(self, name) for name in (*own, *more)},
            "latency_before": None if self.latency_before is None else self.latency_before.to_json(),
            "latency_after": None if self.latency_after is None else self.latency_after.to_json(),
            "steps": [asdict(step) for step in self.steps],
            "groups": self.groups,
            "kept": self.kept,
            "frozen": self.frozen,
        }


def composed(first: Mapping[str, Sequence[int]], second: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """What stays of a network after two cuts, the second of what the first left."""
    both = {name: list(channels) for name, channels in first.items()}
    for name, channels in second.items():
        both[name] = [both[name][i] for i in channels] if name in both else list(channels)
    return both
