"""One latency, with everything that is needed to trust or repeat it: measured, or predicted by a lookup table."""

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from pumice.errors import BadInput

PREDICTED = "predicted, not measured"


@dataclass(frozen=True)
class Timing:
    """Latency of one contender: ms per pass of `batch` images, over `repeats` samples.

    p50_ms, p90_ms, mean_ms: of wall time, by the device's own clock on CUDA.
    cpu_p50_ms, cpu_p10_ms: of the CPU time of all threads of the process together.
    ci95, cpu_ci95, cpu_p10_ci95: 95 % intervals of the wall median, the CPU median and the CPU tenth, ms.
    single_stream_p90_ms: MLPerf's estimate (cost/single_stream.py) from so many queries; None where they were too few,
        or the batch is not 1.
    passes_per_sample: above 1 where one pass is too short for the CPU clock; a sample is then the mean of so many.
    busy: the machine did other work meanwhile, and `busy_why` says how that was seen.
    machine: one line, ending in the machine's key.  cores: those measured on, empty where pinning is not possible.
    predicted: nothing was measured: a lookup table of that machine says so (cost/predicted.py).  Every latency is then
        its one figure, every interval encloses 95 % of such networks, there are no repeats, and `measured_at` is empty.
    unknown: with `predicted`, the sorts of work that the table knows nothing of.
    """

    name: str
    runtime: str
    device: str
    threads: int
    batch: int
    dtype: str
    input_size: tuple[int, int, int]
    repeats: int
    passes_per_sample: int
    p50_ms: float
    p90_ms: float
    cpu_p50_ms: float
    ci95: tuple[float, float]
    cpu_ci95: tuple[float, float]
    busy: bool
    busy_why: str = ""
    machine: str = ""
    cores: tuple[int, ...] = ()
    runtime_version: str | None = None
    mean_ms: float | None = None
    cpu_p10_ms: float | None = None
    cpu_p10_ci95: tuple[float, float] | None = None
    single_stream_p90_ms: float | None = None
    single_stream_queries: int = 0
    predicted: bool = False
    unknown: tuple[str, ...] = ()
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def figure_clock(self) -> Literal["wall", "cpu"]:
        """Which clock counts: CPU time on a busy machine, unless the device is another than the processor."""
        return "cpu" if self.busy and self.device == "cpu" else "wall"

    @property
    def figure_ms(self) -> float:
        """What to compare networks by: the p50 of wall time; on a busy machine the lower tenth of CPU time.

        Other work lengthens even CPU time, since it empties caches and shares the memory and the physical core, but
        not that of every pass alike: of passes interleaved over the whole series a tenth run nearly undisturbed.  The
        minimum is disturbed less still, but it is the accident of one pass and has no interval.  Nothing is scaled by a
        reference kernel: that mends a drifting clock but no emptied cache, and makes milliseconds that no stopwatch
        shows.
        """
        if self.figure_clock == "wall":
            return self.p50_ms
        return self.cpu_p50_ms if self.cpu_p10_ms is None else self.cpu_p10_ms  # none in records of an earlier Pumice

    @property
    def figure_ci(self) -> tuple[float, float]:
        """The 95 % interval of `figure_ms`."""
        if self.figure_clock == "wall":
            return self.ci95
        return self.cpu_ci95 if self.cpu_p10_ci95 is None else self.cpu_p10_ci95

    @property
    def images_per_s(self) -> float:
        """Images a second at the pace of `figure_ms`; too few where that is CPU time, of several threads together."""
        return 1e3 * self.batch / self.figure_ms

    @property
    def bound_ms(self) -> tuple[float, Literal["wall", "cpu"]]:
        """What must be within a latency budget: the upper 95 % bound of the median, and of which clock.

        That is wall time, and on a busy machine CPU time, which other work lengthens far less.  With several threads
        CPU time adds them up, so it is no less than the wall time of a quiet machine.  A device other than the
        processor is not seen by the CPU clock: wall time always.  Of a prediction it is the upper end of its interval.
        """
        return (self.cpu_ci95 if self.figure_clock == "cpu" else self.ci95)[1], self.figure_clock

    @property
    def bound_words(self) -> str:
        """`bound_ms` and what it is: "1.93 ms (wall time)", "1.93 ms (predicted, not measured)"."""
        bound, clock = self.bound_ms
        return f"{bound:.3g} ms ({PREDICTED if self.predicted else f'{clock} time'})"

    def to_json(self) -> dict[str, Any]:
        """JSON values, what follows from the fields among them; `from_json` is the inverse."""
        bound, clock = self.bound_ms
        value = {
            **asdict(self),
            "figure_ms": self.figure_ms,
            "figure_ci": self.figure_ci,
            "figure_clock": clock,
            "images_per_s": self.images_per_s,
            "bound_ms": bound,
            "bound_clock": clock,
        }
        return {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Timing":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is missing, or this is no record at all.
        """
        if not isinstance(value, dict):
            raise BadInput(f"a measurement is a JSON object, not {type(value).__name__}")
        known = {f.name for f in fields(cls)}
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k in known}
        try:
            return cls(**kept)
        except TypeError as error:
            raise BadInput(f"this measurement cannot be read: {error}") from error
