"""A file that was tried: how it was made, what it costs, and what became of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.deploy.schemes.scheme import Scheme
from pumice.loop.quantising.drop import Drop
from pumice.loop.quantising.speed import Speed

Status = Literal["made", "failed", "slower", "worse", "unsure", "accepted", "chosen"]


@dataclass
class Attempt:
    """A scheme, applied in one way.

    how: in words: "plain", "equalised", "4 layers in float", "tuned".
    settings, equalise, float_layers: the arguments of `quantise`.  tuned: whether its weights are those of `qat`.
    file: where it was written; None where that failed.
    top1: of the file, in [0, 1].  drop: against the float network.
    timing, speed: of the series in which it was measured last; times_faster: than the best float file there.
    reason: why it was refused, or what speaks against it.
    """

    scheme: Scheme
    how: str = "plain"
    settings: dict[str, str] = field(default_factory=dict)
    equalise: bool = False
    float_layers: tuple[str, ...] = ()
    tuned: bool = False
    file: Path | None = None
    bytes: int | None = None
    top1: float | None = None
    drop: Drop | None = None
    timing: Timing | None = None
    speed: Speed | None = None
    times_faster: tuple[float, float, float] | None = None
    status: Status = "made"
    reason: str = ""

    @property
    def label(self) -> str:
        """ "openvino-int8, plain"."""
        return f"{self.scheme.name}, {self.how}"

    def refuse(self, status: Status, reason: str) -> None:
        """Note that it is not taken, and why."""
        self.status, self.reason = status, reason

    def item(self, threads: int) -> Item:
        """What times its file."""
        return Item(str(self.file), self.label, self.scheme.runtime, threads)

    def measured(self, timing: Timing, speed: Speed, best: Speed) -> None:
        """Note how fast it is beside the best float file."""
        self.timing, self.speed, self.times_faster = timing, speed, speed.times_faster(best)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "scheme": self.scheme.name,
            "format": self.scheme.format,
            "runtime": self.scheme.runtime,
            "how": self.how,
            "settings": self.settings,
            "equalised": self.equalise,
            "float_layers": list(self.float_layers),
            "tuned": self.tuned,
            "bytes": self.bytes,
            "top1": self.top1,
            "drop": self.drop and self.drop.to_json(),
            "figure_ms": self.speed and self.speed.ms,
            "figure_ci": self.speed and [self.speed.low, self.speed.high],
            "figure_clock": self.speed and self.speed.clock,
            "times_faster": self.times_faster and list(self.times_faster),
            "timing": self.timing and self.timing.to_json(),
            "status": self.status,
            "reason": self.reason,
        }
