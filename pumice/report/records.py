"""A run folder's JSON and CSV files as one frozen record.

A run may be young, killed, a plain training run without candidates, or a `fit` that found nothing: every file may be
missing, and every field of a file too.  Readers of a record therefore ask for a field and get None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pumice.report.answers import Answer, scores_of
from pumice.report.fields import Record, first_number, mapping, number, objects, text

SHIPPED_FILES = ("model.onnx", "model.so", "model.xml", "best.safetensors")


@dataclass(frozen=True)
class Limit:
    """One limit of a budget beside what was measured, in the same unit.

    key: as in the budget, "max_latency_ms".
    measured: None when nothing was measured.
    how: what the figure is, for people.
    """

    key: str
    limit: float
    measured: float | None
    how: str

    @property
    def ok(self) -> bool:
        """Within this limit; False when not measured."""
        return self.measured is not None and self.measured <= self.limit


@dataclass(frozen=True)
class Curve:
    """The epochs of one candidate in one rung of successive halving."""

    rung: int
    model: str
    key: tuple[Any, ...]
    points: tuple[Record, ...]


@dataclass(frozen=True)
class RunRecords:
    """Everything that a run folder says.  Empty mappings and tuples stand for files that are not there.

    files: bytes of the model files that lie in the folder.
    dataset: data.json.  predictions: the sheet with pictures.  answers: the rows of predictions.csv.
    epochs: the rows of metrics.csv; a cell that is empty or no number is left out of its row.
    """

    name: str
    files: Mapping[str, int] = field(default_factory=dict)
    config: Record = field(default_factory=dict)
    environment: Record = field(default_factory=dict)
    dataset: Record = field(default_factory=dict)
    metrics: Record = field(default_factory=dict)
    profile: Record = field(default_factory=dict)
    verify: Record = field(default_factory=dict)
    benchmark: Record = field(default_factory=dict)
    candidates: tuple[Record, ...] = ()
    rungs: tuple[Record, ...] = ()
    predictions: tuple[Record, ...] = ()
    answers: tuple[Answer, ...] = ()
    epochs: tuple[Mapping[str, float], ...] = ()

    @property
    def manifest(self) -> Record:
        """The manifest that travels with the model."""
        return mapping(self.metrics.get("manifest"))

    @property
    def pruned(self) -> bool:
        """Whether the network is narrower than the one of its name, so that what was published of that is not its."""
        return bool(mapping(self.manifest.get("model")).get("widths"))

    @property
    def title(self) -> str:
        """What a page calls the network, or the run that has none."""
        return f"{self.model or self.name}{', pruned' if self.pruned else ''}"

    @property
    def shipped(self) -> Record:
        """The candidate that ships, empty if none."""
        return next((c for c in self.candidates if c.get("status") == "shipped"), {})

    @property
    def model(self) -> str | None:
        """Name of the network that was trained."""
        for value in (
            self.metrics.get("model"),
            self.shipped.get("model"),
            self.manifest.get("model"),
            None if self.candidates else self.config.get("model"),
        ):
            name = value.get("name") if isinstance(value, Mapping) else value
            if isinstance(name, str):
                return name
        return None

    @property
    def task(self) -> str:
        """What the network is for."""
        return text(self.metrics, "task") or text(self.config, "task") or "classify"

    @property
    def dense(self) -> bool:
        """Whether the task is not classification."""
        return self.task != "classify"

    @property
    def runtime(self) -> str | None:
        """Runtime that the file was measured in."""
        return text(self.benchmark, "runtime") or text(self.shipped, "runtime") or text(self.metrics, "runtime")

    @property
    def input_size(self) -> tuple[int, ...] | None:
        """(C, H, W) of the network that was trained."""
        for value in (
            self.metrics.get("input_size"),
            self.shipped.get("input_size"),
            self.benchmark.get("input_size"),
            self.profile.get("input_size"),
        ):
            if isinstance(value, Sequence) and not isinstance(value, str) and value:
                return tuple(int(side) for side in value)
        size = self.preprocess.get("size")
        return (3, *(int(side) for side in size)) if size else None

    @property
    def file(self) -> str | None:
        """Name of the file to use: the exported one, else the weights."""
        named = text(self.metrics, "file")
        return Path(named).name if named else next((name for name in SHIPPED_FILES if name in self.files), None)

    @property
    def file_bytes(self) -> float | None:
        """Size of `file`."""
        recorded = number(self.metrics, "file_bytes")
        return recorded if recorded is not None else self.files.get(self.file or "")

    @property
    def params(self) -> float | None:
        """Parameters of the network that was trained."""
        return first_number("params", self.profile, self.metrics, self.shipped)

    @property
    def madds(self) -> float | None:
        """Multiply-adds of the network that was trained."""
        return first_number("madds", self.profile, self.metrics, self.shipped)

    @property
    def data(self) -> str | None:
        """What the user gave as images."""
        return text(self.config, "data") or text(self.metrics, "data")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in order of the network's outputs."""
        named = self.manifest.get("classes") or self.metrics.get("classes") or self.dataset.get("classes") or ()
        return tuple(str(name) for name in named)

    @property
    def preprocess(self) -> Record:
        """How an image becomes the network's input."""
        return mapping(self.manifest.get("preprocess") or self.metrics.get("preprocess"))

    @cached_property
    def scores(self) -> Record:
        """Accuracy on the validation images; fractions of 1.  Of an unfinished run, what its best epoch answered."""
        return mapping(self.metrics.get("scores") or self.metrics.get("val") or scores_of(self.answers, self.classes))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: metrics.json is written last."""
        return self.metrics.get("finished") is True

    @property
    def best_epoch(self) -> float | None:
        """The epoch of the weights that are kept, by accuracy, then by loss, as training chooses it."""
        judged = [e for e in self.epochs if "val_top1" in e and "epoch" in e]
        best = max(judged, key=lambda e: (e["val_top1"], -e.get("val_loss", 0.0)), default=None)
        recorded = number(self.metrics, "best_epoch")
        return recorded if recorded is not None else None if best is None else best["epoch"]

    @property
    def images(self) -> dict[str, float]:
        """How many images trained and validated it, and how many were skipped: "train", "val", "skipped"."""
        split = {key: mapping(one) for key, one in mapping(self.dataset.get("images")).items()}
        counted = {key: sum(number(one, name) or 0 for name in one) for key, one in split.items()}
        counted |= mapping(self.dataset.get("samples"))
        given = mapping(self.metrics.get("images")) or {**counted, "skipped": self.dataset.get("skipped")}
        return {key: value for key in ("train", "val", "skipped") if (value := number(given, key)) is not None}

    @property
    def trained_on(self) -> dict[str, float]:
        """Training images of each class; empty where nobody counted them, as of images that come in a stream."""
        given = mapping(mapping(self.dataset.get("images")).get("train"))
        counts = {name: count for name in given if (count := number(given, name)) is not None}
        return counts if any(counts.values()) else {}

    @property
    def top1(self) -> float | None:
        """Validation top-1 of what ships, else the best epoch's."""
        recorded = first_number("top1", self.scores, {"top1": self.shipped.get("val_top1")})
        return (
            recorded
            if recorded is not None
            else max((e["val_top1"] for e in self.epochs if "val_top1" in e), default=None)
        )

    @property
    def budget(self) -> dict[str, float]:
        """The limits that were asked for, by name ("max_latency_ms", ...)."""
        given = mapping(self.metrics.get("budget") or self.config.get("budget") or self.manifest.get("budget"))
        given = given or {key: value for key, value in self.config.items() if key.startswith("max_")}
        limits = {key: number(given, key) for key in given}
        return {key: value for key, value in limits.items() if value is not None}

    @property
    def bound(self) -> tuple[float | None, str]:
        """What must be within a latency budget, ms, and of which clock: "wall", or "cpu" on a busy machine."""
        clock = text(self.benchmark, "bound_clock") or ("cpu" if self.benchmark.get("busy") else "wall")
        interval = self.benchmark.get("cpu_ci95" if clock == "cpu" else "ci95")
        recorded = candidate_bound(self.benchmark)
        return (recorded if recorded is not None else float(interval[1]) if interval else None), clock

    @property
    def predicted(self) -> bool:
        """Whether a lookup table of another device says the latencies, and nothing measured them."""
        return any(one.get("predicted") is True for one in (self.benchmark, *self.candidates))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Each limit of the budget beside the shipped net's own figure."""
        bound, clock = self.bound
        time = "p50 process CPU time" if clock == "cpu" else "p50 wall time"
        time = "latency that a table predicts, not measured" if self.predicted else time
        figures: dict[str, tuple[float | None, str]] = {
            "max_latency_ms": (
                bound,
                f"upper 95 % bound of the {time}",
            ),
            "max_madds": (self.madds, "multiply-adds"),
            "max_params": (self.params, "parameters"),
            "max_size_bytes": (self.file_bytes, "size of the file"),
            "max_memory_bytes": (number(self.profile, "peak_activation_bytes"), "peak activation memory"),
        }
        return tuple(
            Limit(key, limit, *figures.get(key, (None, "not checked here"))) for key, limit in self.budget.items()
        )

    @property
    def within_budget(self) -> bool | None:
        """None without a budget; a recorded no stays a no."""
        if not self.limits:
            return None
        return all(limit.ok for limit in self.limits) and self.metrics.get("within_budget") is not False

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Training curves of the candidates, rung after rung."""
        return tuple(
            Curve(
                int(rung.get("rung", place)), str(one.get("model", "?")), candidate_key(one), objects(one.get("curve"))
            )
            for place, rung in enumerate(self.rungs)
            for one in objects(rung.get("candidates"))
        )


def candidate_key(candidate: Record) -> tuple[Any, ...]:
    """What tells candidates apart: model, input size, runtime."""
    return (candidate.get("model"), tuple(candidate.get("input_size") or ()), candidate.get("runtime"))


def candidate_bound(candidate: Record) -> float | None:
    """Upper 95 % bound of a candidate's p50, ms."""
    value = candidate.get("bound_ms")
    return number({"ms": value[0] if isinstance(value, list) and value else value}, "ms")
