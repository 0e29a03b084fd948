"""What decides a NetAdapt run, as JSON values.  No torch here."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from pumice.errors import BadInput, nearest

Form = Literal["v3", "original"]
Choose = Literal["ratio", "accuracy"]
NewWeights = Literal["cut", "random"]

FORMS: dict[Form, tuple[float, float, Choose]] = {
    "v3": (0.01, 1.0, "ratio"),
    "original": (0.025, 0.96, "accuracy"),
}
"""step, decay and choice of each form."""


@dataclass(frozen=True)
class Settings:
    """form: "v3" is MobileNetV3's (arXiv:1905.02244, section 4.3), "original" NetAdapt's (arXiv:1804.03230).

    step: share of the seed's cost that a step takes off at least; None for the form's own, 0.01 or 0.025.  Where no
        channel group alone takes off so much, half of it, down to an eighth.
    decay: of that share from one step to the next; None for the form's own, 1 or 0.96.
    choose: "ratio" takes the proposal of the least loss of accuracy for what it saves, "accuracy" the most accurate;
        None for the form's own.
    tune_steps: optimiser steps of short-term tuning, of every proposal of every step (T in the paper).
    tune_lr: of these, constant.
    batch_size: of all training.
    new_weights: "cut" keeps what is left of a narrowed layer, "random" makes the layers of a changed shape anew.
    holdout: share of the training images by which proposals are judged and which none is trained on; from 2 on, their
        number.
    round_to: widths are multiples of this where a group has room.
    statistics: batches from which the batch norms of a proposal are estimated anew before it is judged.
    max_steps: the search ends here even above its target.
    seed_epochs: train the net to begin with for so many epochs; 0 takes its weights as they are.
    long_epochs: of long-term tuning of the last net; 0 for none.
    retrain_epochs: of training the last net from scratch, on all training images; 0 for none.
    training: fields of `TrainConfig` in which all training differs from `pumice.search.netadapt.start.BASE`.
    """

    form: Form = "v3"
    step: float | None = None
    decay: float | None = None
    choose: Choose | None = None
    tune_steps: int = 10_000
    tune_lr: float = 0.0005
    batch_size: int = 64
    new_weights: NewWeights = "cut"
    holdout: float = 0.1
    round_to: int = 8
    statistics: int = 8
    max_steps: int = 200
    seed_epochs: int = 0
    long_epochs: int = 0
    retrain_epochs: int = 40
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (("form", tuple(FORMS)), ("choose", (None, "ratio", "accuracy"))):
            if getattr(self, name) not in known:
                raise BadInput(f"{name} {getattr(self, name)!r} is unknown; choose {' or '.join(filter(None, known))}")
        if self.new_weights not in ("cut", "random"):
            raise BadInput(f"new_weights {self.new_weights!r} is unknown; choose cut or random")
        if not (0 < self.first < 1 and 0 < self.shrinking <= 1):
            raise BadInput(f"step {self.first:g} and decay {self.shrinking:g} must lie above 0 and below 1")
        if not (0 < self.holdout < 1 or (self.holdout >= 2 and self.holdout == int(self.holdout))):
            raise BadInput(f"holdout {self.holdout:g} is no share, such as 0.1, and no number of images from 2 on")
        for name, least in (
            *(("batch_size", 2), ("round_to", 1), ("max_steps", 1), ("tune_steps", 0), ("statistics", 0)),
            *(("seed_epochs", 0), ("long_epochs", 0), ("retrain_epochs", 0)),
        ):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise BadInput(f"{name} must be a whole number from {least} on, not {getattr(self, name)!r}")
        if not self.tune_lr > 0:
            raise BadInput(f"tune_lr {self.tune_lr!r} must be above 0")

    @property
    def first(self) -> float:
        """step, the form's own where none is given."""
        return FORMS[self.form][0] if self.step is None else self.step

    @property
    def shrinking(self) -> float:
        """decay, the form's own where none is given."""
        return FORMS[self.form][1] if self.decay is None else self.decay

    @property
    def rule(self) -> Choose:
        """choose, the form's own where none is given."""
        return FORMS[self.form][2] if self.choose is None else self.choose

    def share(self, number: int) -> float:
        """Share of the seed's cost that step `number`, counted from 0, takes off at least."""
        return self.first * self.shrinking**number

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Settings":
        """Inverse of `to_json`.

        Raises:
            BadInput: a name is unknown, or a value is impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in value:
            if name not in known:
                raise BadInput(f"netadapt has no setting {name!r}{nearest(name, known)}")
        return cls(**value)
