"""Everything that decides how a network is trained, as JSON values.  No torch here.

`RUN/config.json` holds one `TrainConfig`; the same configuration, data and machine give the same weights.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pumice.errors import BadInput, nearest

Schedule = Literal["cosine", "step", "constant"]
Precision = Literal["32", "bf16-mixed", "16-mixed"]
Gradient = Literal["net", "both", "mutual"]

# A field is set as SECTION.FIELD, `optim.lr=0.1`; some of them have a shorter name inside their section.
SECTIONS: dict[str, tuple[str, ...]] = {
    "data": (
        *("data", "val", "val_fraction", "strict", "label_column", "balanced", "img_size", "crop_pct", "batch_size"),
        *("workers", "streaming", "epoch_images", "val_images", "shuffle_buffer"),
    ),
    "model": ("model", "pretrained", "weights", "freeze", "freeze_norm", "drop_rate", "drop_path_rate", "bn_momentum"),
    "optim": (
        "optimizer",
        "lr",
        "momentum",
        "weight_decay",
        "decay_norm_bias",
        "schedule",
        "warmup_epochs",
        "decay_epochs",
        "decay_rate",
        "final_lr",
        "grad_clip",
    ),
    "augment": ("rrc_scale", "hflip", "color_jitter", "auto_augment", "re_prob", "mixup"),
    "condense": ("condense_epochs", "group_lasso"),
    "distill": (
        "partner",
        "teacher",
        "teacher_weights",
        "teacher_pretrained",
        "distill_weight",
        "distill_temperature",
        "distill_gradient",
    ),
    "train": (
        "task",
        "epochs",
        "label_smoothing",
        "ema_decay",
        "seed",
        "precision",
        "channels_last",
        "devices",
        "nodes",
        "accelerator",
        "strategy",
        "accumulate",
        "sync_bn",
        "save_every_s",
        "time_limit_s",
    ),
}
SHORT = {
    "model.name": "model",
    "optim.name": "optimizer",
    "condense.epochs": "condense_epochs",
    "distill.weight": "distill_weight",
    "distill.temperature": "distill_temperature",
    "distill.gradient": "distill_gradient",
}


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    data, val, val_fraction, strict, label_column: see `open_data`.
    balanced: show every class equally often; see `EpochSampler`.
    streaming, epoch_images, val_images, shuffle_buffer: see `open_stream`; `wds:https://...` is streamed anyway.
    img_size: pixels of the square that the network reads; None takes the network's own.
    crop_pct: share of the shorter side that validation sees; None takes that of the weights.
    model_options: further arguments of `create_model` (`model.width=0.6`).
    pretrained, weights: start from published weights or from a file; the head is made anew for the data's classes.
    freeze: "none"; "backbone" trains the last layer only; a number freezes the backbone for so many epochs.
    freeze_norm: batch norms keep the running statistics that they begin with and normalise by them; their weights and
        biases are trained.
    drop_rate: None leaves the network's own.
    bn_momentum: of the batch norms' running statistics; None leaves the network's own, which may be too slow for a run
        of a few hundred steps.
    batch_size: images of one optimiser step, of all devices and all accumulated parts together.  So it goes with `lr`,
        and devices, nodes and `accumulate` change neither the steps of an epoch nor the images of a step; each of
        them divides it.  A batch norm sees a part: batch_size / (devices * nodes * accumulate) images.
    optimizer: "sgd" (Nesterov), "rmsprop" (TensorFlow's), "adamw" or any name that timm knows.
    decay_norm_bias: whether weight decay acts on norms and biases too.
    schedule: "cosine" falls to `final_lr`; "step" multiplies by `decay_rate` every `decay_epochs` epochs.
    final_lr: lowest learning rate as a fraction of `lr`.
    condense_epochs: how long a net that learns its groups is pruned, equal times between one pruning and the next; None
        for the first half of the run, as in the paper.
    group_lasso: what `pumice.models.condense.group_lasso` is multiplied with before it joins the loss of a net that
        learns its groups; the authors of CondenseNet take 1e-5 on ImageNet and 0 on CIFAR.
    mixup: alpha of the Beta distribution, 0 for none.
    rrc_scale: least and greatest share of the image's area that a random crop keeps.
    hflip, re_prob: chances of mirroring an image and of erasing a part of it; color_jitter: strength.
    auto_augment: a policy that timm knows ("rand-m7-mstd0.5-inc1").
    ema_decay: moving average of the weights, warmed up so that short runs gain as well; None for none.
    devices: of each machine, one process each; "auto" takes all GPUs.
    nodes: machines; a launcher (torchrun, SLURM) starts the processes of more than one.
    strategy: "auto" and "ddp" keep all weights on every device; "fsdp" shares out weights, gradients and optimiser
        state; any other name is Lightning's.
    accumulate: parts that the batch of a step is worked through in, one after the other, to save memory.
    sync_bn: batch norms take their statistics over the parts of all GPUs.
    partner: a network that trains beside this one and is followed by it (`pumice.train.partner`): "full_rank" is a
        MicroNet's own, any other name that net as it is published, under the same settings.  `freeze` and the moving
        average are about the network alone.
    teacher: a trained network, for the classes of the data, whose answers this one learns from
        (`pumice.train.distill`): a run folder, a checkpoint, or a name of `create_model` with weights.
    teacher_weights, teacher_pretrained: where the weights of a name come from; a run and a checkpoint have theirs.
    distill_weight, distill_temperature: of the divergence from the answers of a partner (1 and 1 if None), or of a
        teacher (0.9, which leaves the labels 0.1, and 4).
    distill_gradient: what a partner's divergence moves: the network ("net"), the partner too ("both"), or each of them
        toward the other ("mutual").
    save_every_s: seconds between two saves of the state within an epoch; every epoch's end is saved anyway.
    time_limit_s: end at the first step after so many seconds, as if the epochs were over.
    """

    data: str = "digits"
    model: str = "mobilenetv3_small_050"
    task: Literal["classify"] = "classify"
    model_options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | None = None
    freeze: Literal["none", "backbone"] | int = "none"
    freeze_norm: bool = False
    drop_rate: float | None = None
    drop_path_rate: float = 0.0
    bn_momentum: float | None = None
    val_fraction: float = 0.2
    strict: bool = False
    val: str | None = None
    label_column: str | None = None
    balanced: bool = False
    streaming: bool = False
    epoch_images: int | None = None
    val_images: int = 5000
    shuffle_buffer: int = 1000
    img_size: int | None = None
    crop_pct: float | None = None
    batch_size: int = 64
    workers: int = 0
    epochs: int = 30
    optimizer: str = "adamw"
    lr: float = 0.002
    momentum: float = 0.9
    weight_decay: float = 0.02
    decay_norm_bias: bool = False
    schedule: Schedule = "cosine"
    warmup_epochs: float = 3.0
    decay_epochs: float = 2.4
    decay_rate: float = 0.97
    final_lr: float = 0.01
    grad_clip: float | None = None
    label_smoothing: float = 0.1
    condense_epochs: float | None = None
    group_lasso: float = 0.0
    mixup: float = 0.0
    ema_decay: float | None = None
    partner: str | None = None
    teacher: str | None = None
    teacher_weights: str | None = None
    teacher_pretrained: bool = False
    distill_weight: float | None = None
    distill_temperature: float | None = None
    distill_gradient: Gradient = "net"
    rrc_scale: tuple[float, float] = (0.35, 1.0)
    hflip: float = 0.5
    color_jitter: float = 0.2
    auto_augment: str | None = None
    re_prob: float = 0.0
    seed: int = 0
    precision: Precision = "32"
    channels_last: bool = False
    devices: int | str = 1
    nodes: int = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    accumulate: int = 1
    sync_bn: bool = False
    save_every_s: float = 300.0
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        hints = get_type_hints(TrainConfig)
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f.name, getattr(self, f.name), hints[f.name]))
        impossible = [
            (self.epochs < 1, "epochs", "at least 1"),
            (self.batch_size < 2, "batch_size", "at least 2, because batch norm needs two images"),
            (self.img_size is not None and self.img_size < 8, "img_size", "at least 8"),
            (self.crop_pct is not None and not 0 < self.crop_pct <= 1, "crop_pct", "in (0, 1], or none"),
            (self.bn_momentum is not None and not 0 < self.bn_momentum <= 1, "bn_momentum", "in (0, 1], or none"),
            (self.workers < 0, "workers", "0 or more"),
            (self.epoch_images is not None and self.epoch_images < 2, "epoch_images", "at least 2, or none"),
            (self.val_images < 1, "val_images", "at least 1"),
            (self.shuffle_buffer < 1, "shuffle_buffer", "at least 1; 1 does not shuffle within shards"),
            (
                self.balanced and self.streaming,
                "balanced",
                "false where data are streamed, whose classes come as they come",
            ),
            (isinstance(self.devices, int) and self.devices < 1, "devices", "at least 1, or auto"),
            (self.nodes < 1, "nodes", "at least 1"),
            (self.accumulate < 1, "accumulate", "at least 1"),
            (self.lr <= 0, "lr", "above 0"),
            (self.weight_decay < 0, "weight_decay", "0 or more"),
            (self.warmup_epochs < 0, "warmup_epochs", "0 or more"),
            (self.decay_epochs <= 0, "decay_epochs", "above 0"),
            (self.grad_clip is not None and self.grad_clip <= 0, "grad_clip", "above 0, or none"),
            (not 0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)"),
            (
                self.condense_epochs is not None and not 0 < self.condense_epochs < self.epochs,
                "condense_epochs",
                f"above 0 and below the {self.epochs} epochs of the run, or none",
            ),
            (self.group_lasso < 0, "group_lasso", "0 or more"),
            (self.mixup < 0, "mixup", "0 or more"),
            (self.ema_decay is not None and not 0 < self.ema_decay < 1, "ema_decay", "in (0, 1), or none"),
            (self.distill_weight is not None and self.distill_weight < 0, "distill_weight", "0 or more, or none"),
            (
                self.distill_temperature is not None and self.distill_temperature <= 0,
                "distill_temperature",
                "above 0, or none",
            ),
            (not 0 < self.rrc_scale[0] <= self.rrc_scale[1] <= 1, "rrc_scale", "two rising numbers in (0, 1]"),
            (not 0 <= self.hflip <= 1, "hflip", "in [0, 1]"),
            (not 0 <= self.re_prob <= 1, "re_prob", "in [0, 1]"),
            (not 0 < self.val_fraction < 1, "val_fraction", "in (0, 1)"),
            (isinstance(self.freeze, int) and self.freeze < 0, "freeze", "none, backbone or a number of epochs"),
            (self.time_limit_s is not None and self.time_limit_s <= 0, "time_limit_s", "above 0, or none"),
        ]
        for wrong, name, rule in impossible:
            if wrong:
                raise BadInput(f"{name}={getattr(self, name)} cannot work; it must be {rule}")
        self._check_distillation()

    def _check_distillation(self) -> None:
        """Whether the fields of the section `distill` go together.

        Raises:
            BadInput: they do not.
        """
        if self.partner is not None and self.teacher is not None:
            raise BadInput("a partner and a teacher exclude each other; give one of them")
        if self.teacher_weights is not None and self.teacher_pretrained:
            raise BadInput("teacher_weights and teacher_pretrained exclude each other; give one of them")
        if self.teacher is not None and (self.distill_weight or 0) > 1:
            raise BadInput(f"distill_weight={self.distill_weight} cannot work; of a teacher it must be in [0, 1]")
        shared = ("distill_weight", "distill_temperature")
        for owner, names in (
            ("teacher", ("teacher_weights", "teacher_pretrained")),
            ("partner", ("distill_gradient", *shared)),
        ):
            for name in names:
                changed = getattr(self, name) != TrainConfig.__dataclass_fields__[name].default
                served = getattr(self, owner) is not None or (name in shared and self.teacher is not None)
                if changed and not served:
                    raise BadInput(f"{name}={getattr(self, name)} has nothing to act on; name a {owner}")

    def with_overrides(self, pairs: list[str]) -> "TrainConfig":
        """The same with fields set as on the command line: `["optim.lr=0.1", "model.width=0.6", "epochs=3"]`.

        A name is a field, alone or behind its section or `train.`; any other `model.` name is an option of the network.

        Raises:
            BadInput: a pair has no `=`, its name is unknown, or its value is of another type.
        """
        changes: dict[str, Any] = {}
        options = dict(self.model_options)
        for pair in pairs:
            name, found, text = pair.partition("=")
            if not found:
                raise BadInput(f"{pair!r} sets nothing; write it as {name}=VALUE")
            known = field_of(name)
            if known is not None:
                changes[known] = read_value(text)
            elif name.startswith("model."):
                options[name.removeprefix("model.")] = read_value(text)
            else:
                raise BadInput(f"there is no setting {name!r}{nearest(name, list(settings()))}")
        return replace(self, **changes, model_options=options)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TrainConfig":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is unknown, of another type or impossible.
        """
        known = [f.name for f in fields(cls)]
        for name in value:
            if name not in known:
                raise BadInput(f"this configuration has an unknown field {name!r}{nearest(name, known)}")
        return cls(**value)


def settings() -> dict[str, str]:
    """Every name that `with_overrides` knows -> the field it sets."""
    names = {f"{section}.{name}": name for section, members in SECTIONS.items() for name in members}
    names |= {f"train.{name}": name for name in names.values()}
    return names | SHORT | {name: name for name in names.values()}


def field_of(name: str) -> str | None:
    """The field that a setting's name means, None when there is none."""
    return settings().get(name)


def read_value(text: str) -> Any:
    """`0.1` -> 0.1, `true` -> True, `[0.5, 1]` -> a list, anything else as it stands."""
    if text.lower() in ("none", "null"):
        return "none"  # a word of `freeze`, and None where a field may be None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _checked(name: str, value: Any, hint: Any) -> Any:
    """The value as its field's type.

    Raises:
        BadInput: it is of another type.
    """
    choices = get_args(hint) if isinstance(hint, UnionType) or str(get_origin(hint)) == "typing.Union" else (hint,)
    for choice in sorted(choices, key=lambda c: c is not NoneType):  # None first: "none" is also a word
        ok, fitted = _fit(value, choice)
        if ok:
            return fitted
    raise BadInput(f"{name}={value!r} is not {' or '.join(_words(c) for c in choices)}")


def _fit(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a JSON value is of a type, and the value as that type."""
    if hint is NoneType:
        return value in (None, "none"), None
    if get_origin(hint) is Literal:
        text = str(value)  # `precision=32` reads as a number
        return text in get_args(hint), text
    if get_origin(hint) is tuple:
        ok = isinstance(value, list | tuple) and len(value) == len(get_args(hint)) and all(map(_is_number, value))
        return ok, tuple(float(v) for v in value) if ok else None
    if get_origin(hint) is dict:
        return isinstance(value, dict), value
    if hint is float:
        return _is_number(value), float(value) if _is_number(value) else None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint), value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _words(hint: Any) -> str:
    """A type as a user says it."""
    if hint is NoneType:
        return "none"
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return "a list of numbers"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(hint, "a record")
