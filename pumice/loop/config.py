"""What `fit` was asked.  JSON values; imports no torch."""

from dataclasses import dataclass, field, fields
from typing import Any

from pumice.cost.budget import Budget
from pumice.errors import BadInput
from pumice.tasks.names import CLASSIFY, TaskName, create_task


@dataclass(frozen=True)
class FitConfig:
    """One run of `fit`.

    data, val_fraction, strict, seed: see `open_data`; the seed also orders images and starts weights.
    budget: limits that the file must keep.
    runtime: "auto" tries every installed one that reads ONNX files; "native" ships code compiled for this machine.
    threads: of the runtime, and of the measurement.
    on: the device that the budget is for and that measures (`ssh:HOST`, `adb:SERIAL`); this machine by default.
    lut: the lookup table (file) of the device that the budget is for; latencies are then predicted, not measured.
    time_s: seconds for everything, from measuring to the report.
    pretrained: start from published weights; only networks that have some take part.
    weights: start from this file; only the network it belongs to takes part.
    task, task_options: see `TrainConfig`; for a dense task, `models` are of backbones.
    models: patterns of the names that take part; empty is all.
    freeze: train the classifier only.
    """

    data: str
    budget: Budget = field(default_factory=Budget)
    runtime: str = "auto"
    threads: int = 1
    on: str | None = None
    lut: str | None = None
    time_s: float = 600.0
    seed: int = 0
    pretrained: bool = False
    weights: str | None = None
    models: tuple[str, ...] = ()
    freeze: bool = False
    val_fraction: float = 0.2
    strict: bool = False
    task: TaskName = CLASSIFY
    task_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pretrained and self.weights is not None:
            raise BadInput("published weights and a weights file exclude each other; give --pretrained or --weights")
        if self.on is not None and self.lut is not None:
            raise BadInput("a device that measures and a table that predicts exclude each other; give --on or --lut")
        if self.task != CLASSIFY:
            create_task(self.task, self.task_options)
            if self.weights is not None or self.freeze:
                raise BadInput(f"a weights file and freezing are for task=classify; leave them out to {self.task}")
        if self.time_s < 10:
            raise BadInput(f"{self.time_s:g} s are too short to measure, train and export; give --time 1m or more")

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"verb": "fit", **value, "budget": self.budget.to_json(), "models": list(self.models)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FitConfig":
        """Inverse of `to_json`."""
        known = {f.name for f in fields(cls)}
        own = {k: v for k, v in value.items() if k in known}
        return cls(**{**own, "budget": Budget.from_json(own["budget"]), "models": tuple(own["models"])})
