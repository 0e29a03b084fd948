"""Files timed side by side, and compared on one clock."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pumice.cost.remote.runner import Item, time_items
from pumice.cost.timing import Timing
from pumice.errors import CheckFailed
from pumice.files import write_json

_SERVE = "import json, sys; from pumice.cost.remote.runner import serve; print(json.dumps(serve(sys.argv[1])))"


@dataclass(frozen=True)
class Speed:
    """One figure of a series, with its 95 % interval, ms."""

    ms: float
    low: float
    high: float
    clock: Literal["wall", "cpu"]

    def beats(self, other: "Speed") -> bool:
        """Faster by more than chance: its upper bound lies below the other's lower bound."""
        return self.high < other.low

    def times_faster(self, other: "Speed") -> tuple[float, float, float]:
        """How many times as fast as the other: by the figures, at least, at most."""
        return other.ms / self.ms, other.low / self.high, other.high / self.low

    def __str__(self) -> str:
        return f"{self.ms:.3g} ms ({self.low:.3g} to {self.high:.3g})"


def speeds(timings: Sequence[Timing]) -> list[Speed]:
    """Of one series, all on the same clock: CPU time as soon as the machine was busy during one of them."""
    if all(timing.figure_clock == "wall" for timing in timings):
        return [Speed(t.p50_ms, *t.ci95, clock="wall") for t in timings]
    return [Speed(t.cpu_p10_ms or t.cpu_p50_ms, *(t.cpu_p10_ci95 or t.cpu_ci95), clock="cpu") for t in timings]


def time_fresh(items: Sequence[Item]) -> list[Timing]:
    """Files timed side by side in a process of its own, as whoever runs them would.

    Raises:
        CheckFailed: that process failed.
    """
    with TemporaryDirectory(prefix="pumice-") as folder:
        request = Path(folder) / "request.json"
        write_json(request, {"job": "benchmark", "items": [item.to_json() for item in items]})
        command = [sys.executable, "-c", _SERVE, str(request)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    names = ", ".join(item.name for item in items)
    if done.returncode:
        raise CheckFailed(f"{names} could not be measured in a process of its own: {done.stderr.strip()[-300:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "result" not in answer:
        raise CheckFailed(f"{names} could not be measured in a process of its own: {answer}")
    return [Timing.from_json(value) for value in answer["result"]]


__all__ = ["Item", "Speed", "speeds", "time_fresh", "time_items"]
