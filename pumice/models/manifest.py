"""What travels inside every checkpoint and exported file, so that a model can be rebuilt, fed and read."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

Padding = Literal["symmetric", "same"]
FORMAT = 1


@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `create_model` that rebuild a network, and two settings that weights bring with them.

    options: family options that differ from the named variant's own (a width, say).
    padding: "same" is TensorFlow's rule, which depends on the input size.
    bn_eps: None leaves the network's own.
    output_stride: below 32, strides became dilation: the same tensors, another function.
    widths: how a pruned network is narrower than the named one, see `pumice.models.narrow`.
    """

    name: str
    num_classes: int = 1000
    in_chans: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    padding: Padding = "symmetric"
    bn_eps: float | None = None
    output_stride: int = 32
    widths: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A network, its task, the names of its classes in order, how to feed it and what it was made for.

    budget: limits that the file was made within, as `fit` was given them ("max_latency_ms", ...), empty if none.
    decode: how the output of a dense net is read, as its task's decoder wants it (priors, joints to swap, ...).
    """

    model: ModelConfig
    preprocess: Preprocess = field(default_factory=Preprocess)
    classes: tuple[str, ...] = ()
    task: str = "classify"
    budget: dict[str, Any] = field(default_factory=dict)
    decode: dict[str, Any] = field(default_factory=dict)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.model.in_chans, *self.preprocess.size)

    def needs_classifier(self, reason: str) -> None:
        """
        Raises:
            BadInput: the network is for another task; `reason` says what a classifier is needed for.
        """
        if self.task != "classify":
            raise BadInput(f"{self.model.name} is a net to {self.task}, and {reason}; choose a net to classify")

    def needs(self, task: str) -> None:
        """
        Raises:
            BadInput: the network is for another task.
        """
        if self.task != task:
            raise BadInput(f"{self.model.name} is a net to {self.task}, not to {task}; choose a net to {task}")

    def at(self, height: int, width: int) -> "Manifest":
        """The same, for another input size."""
        return replace(self, preprocess=replace(self.preprocess, size=(height, width)))

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {
            "format": FORMAT,
            **asdict(self),
            "preprocess": self.preprocess.to_json(),
            "classes": list(self.classes),
        }

    def dumps(self) -> str:
        """One line of JSON, for the metadata of a file."""
        return json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Manifest":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is missing or unknown, or the record is of a newer Pumice.
        """
        if value.get("format", FORMAT) > FORMAT:
            raise BadInput("this file was written by a newer Pumice; upgrade with `pip install -U pumice`")
        try:
            return cls(
                model=ModelConfig(**value["model"]),
                preprocess=Preprocess.from_json(value["preprocess"]),
                classes=tuple(value["classes"]),
                task=value["task"],
                budget=value["budget"],
                decode=value.get("decode", {}),
            )
        except (KeyError, TypeError) as error:
            raise BadInput(f"this model record cannot be read: {error}") from error

    @classmethod
    def loads(cls, text: str) -> "Manifest":
        """Inverse of `dumps`."""
        return cls.from_json(json.loads(text))
