"""One measured latency, with everything that is needed to trust or repeat it."""

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from pumice.errors import BadInput


@dataclass(frozen=True)
class Timing:
    """Latency of one contender: ms per pass of `batch` images, medians over `repeats` samples.

    ci95, cpu_ci95: 95 % intervals of the wall and the CPU median, ms.
    cpu_p50_ms: of all threads of the process together.
    passes_per_sample: above 1 where one pass is too short for the CPU clock; a sample is then the mean of so many.
    busy: the machine did other work meanwhile, and `busy_why` says how that was seen.
    machine: one line, ending in the machine's key.  cores: those measured on, empty where pinning is not possible.
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
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def bound_ms(self) -> tuple[float, Literal["wall", "cpu"]]:
        """What must be within a latency budget: the upper 95 % bound of the median, and of which clock.

        That is wall time, and on a busy machine CPU time, which other work lengthens far less.  With several threads
        CPU time adds them up, so it is no less than the wall time of a quiet machine.  A device other than the
        processor is not seen by the CPU clock: wall time always.
        """
        if self.busy and self.device == "cpu":
            return self.cpu_ci95[1], "cpu"
        return self.ci95[1], "wall"

    def to_json(self) -> dict[str, Any]:
        """JSON values, `bound_ms` and its clock among them; `from_json` is the inverse."""
        value = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        bound, clock = self.bound_ms
        return {**value, "bound_ms": bound, "bound_clock": clock}

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
