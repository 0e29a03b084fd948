"""Everything that decides how a network is trained, as JSON values.  No torch here.

`RUN/config.json` holds one `TrainConfig`; the same configuration, data and machine give the same weights.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.train.values import checked, read_value

Schedule = Literal["cosine", "step", "constant", "linear", "polynomial", "exponential", "multistep", "cyclic"]
EmaWarmup = Literal["sqrt", "tf", "none"]
Precision = Literal["32", "bf16-mixed", "16-mixed"]

# A field is set as SECTION.FIELD, `optim.lr=0.1`; two of them have a shorter name inside their section.
SECTIONS: dict[str, tuple[str, ...]] = {
    "data": (
        "data",
        "val_fraction",
        "strict",
        "img_size",
        "crop_pct",
        "mean",
        "std",
        "channels",
        "batch_size",
        "workers",
    ),
    "model": ("model", "pretrained", "weights", "freeze", "drop_rate", "drop_path_rate", "bn_momentum", "bn_eps"),
    "optim": (
        "optimizer",
        "lr",
        "momentum",
        "weight_decay",
        "opt_eps",
        "decay_norm_bias",
        "decay_depthwise",
        "schedule",
        "warmup_epochs",
        "warmup_start",
        "decay_after_warmup",
        "decay_epochs",
        "decay_rate",
        "decay_power",
        "milestones",
        "cycle_epochs",
        "final_lr",
        "grad_clip",
    ),
    "augment": (
        "rrc_scale",
        "rrc_ratio",
        "pad_crop",
        "hflip",
        "color_jitter",
        "auto_augment",
        "re_prob",
        "mixup",
        "mixup_ramp_epochs",
    ),
    "train": (
        "task",
        "epochs",
        "label_smoothing",
        "group_lasso",
        "ema_decay",
        "ema_warmup",
        "seed",
        "precision",
        "channels_last",
        "devices",
        "accelerator",
        "strategy",
        "save_every_s",
        "time_limit_s",
    ),
}
SHORT = {"model.name": "model", "optim.name": "optimizer"}


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    recipe, published: the name of the recipe that this came from, and what it publishes for the fields that a run of
        another length, batch or size has changed (see `pumice.recipes.scale`); they record, and decide nothing.
    data, val_fraction, strict: see `open_data`.
    img_size: pixels of the square that the network reads; None takes the network's own.
    crop_pct: share of the shorter side that validation sees; None takes that of the weights.
    mean, std, channels: of the input, in units of [0, 1]; None takes those of the weights, or of ImageNet.
    model_options: further arguments of `create_model` (`model.width=0.6`).
    pretrained, weights: start from published weights or from a file; the head is made anew for the data's classes.
    freeze: "none"; "backbone" trains the last layer only; a number freezes the backbone for so many epochs.
    drop_rate: None leaves the network's own.
    bn_momentum: of the batch norms' running statistics; None leaves the network's own, which may be too slow for a run
        of a few hundred steps.
    bn_eps: of every batch norm; None leaves the network's own.
    optimizer: "sgd" (Nesterov), "momentum" (SGD without Nesterov), "rmsprop" (TensorFlow's: eps inside the root,
        averages begin at 1), "adamw" or any name that timm knows.
    opt_eps: of the optimiser's denominator; None leaves timm's.
    decay_norm_bias, decay_depthwise: whether weight decay acts on norms and biases, and on depthwise kernels, too.
    schedule, warmup_start, decay_after_warmup, decay_epochs, decay_rate, decay_power, milestones, cycle_epochs: see
        `pumice.train.schedule.lr_at`.
    final_lr: lowest learning rate as a fraction of `lr`.
    group_lasso: what `pumice.models.condense.group_lasso` is multiplied with before it joins the loss of a net that
        learns its groups; the authors of CondenseNet take 1e-5 on ImageNet and 0 on CIFAR.
    mixup: alpha of the Beta distribution, 0 for none; it rises from 0 over the first `mixup_ramp_epochs` epochs.
    rrc_scale, rrc_ratio: least and greatest share of the image's area that a random crop keeps, and its width over
        its height.
    pad_crop: pixels; instead of the random crop above, shift the whole image by up to so many, as is usual on CIFAR.
    hflip, re_prob: chances of mirroring an image and of erasing a part of it.
    color_jitter: strength, or [brightness, contrast, saturation] or [brightness, contrast, saturation, hue].
    auto_augment: a policy that timm knows ("rand-m7-mstd0.5-inc1").
    ema_decay: moving average of the weights; None for none.
    ema_warmup: how its decay rises, see `pumice.train.ema.Ema`.
    save_every_s: seconds between two saves of the state within an epoch; every epoch's end is saved anyway.
    time_limit_s: end at the first step after so many seconds, as if the epochs were over.
    """

    recipe: str | None = None
    published: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    model: str = "mobilenetv3_small_050"
    task: Literal["classify"] = "classify"
    model_options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | None = None
    freeze: Literal["none", "backbone"] | int = "none"
    drop_rate: float | None = None
    drop_path_rate: float = 0.0
    bn_momentum: float | None = None
    bn_eps: float | None = None
    val_fraction: float = 0.2
    strict: bool = False
    img_size: int | None = None
    crop_pct: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: Literal["RGB", "BGR"] | None = None
    batch_size: int = 64
    workers: int = 0
    epochs: int = 30
    optimizer: str = "adamw"
    lr: float = 0.002
    momentum: float = 0.9
    weight_decay: float = 0.02
    opt_eps: float | None = None
    decay_norm_bias: bool = False
    decay_depthwise: bool = True
    schedule: Schedule = "cosine"
    warmup_epochs: float = 3.0
    warmup_start: float = 0.0
    decay_after_warmup: bool = True
    decay_epochs: float = 2.4
    decay_rate: float = 0.97
    decay_power: float = 1.0
    milestones: tuple[float, ...] = ()
    cycle_epochs: float = 5.0
    final_lr: float = 0.01
    grad_clip: float | None = None
    label_smoothing: float = 0.1
    group_lasso: float = 0.0
    mixup: float = 0.0
    mixup_ramp_epochs: float = 0.0
    ema_decay: float | None = None
    ema_warmup: EmaWarmup = "sqrt"
    rrc_scale: tuple[float, float] = (0.35, 1.0)
    rrc_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    pad_crop: int = 0
    hflip: float = 0.5
    color_jitter: float | tuple[float, ...] = 0.2
    auto_augment: str | None = None
    re_prob: float = 0.0
    seed: int = 0
    precision: Precision = "32"
    channels_last: bool = False
    devices: int | str = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    save_every_s: float = 300.0
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        hints = get_type_hints(TrainConfig)
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name), hints[f.name]))
        impossible = [
            (self.epochs < 1, "epochs", "at least 1"),
            (self.batch_size < 2, "batch_size", "at least 2, because batch norm needs two images"),
            (self.img_size is not None and self.img_size < 8, "img_size", "at least 8"),
            (self.crop_pct is not None and not 0 < self.crop_pct <= 1, "crop_pct", "in (0, 1], or none"),
            (self.bn_momentum is not None and not 0 < self.bn_momentum <= 1, "bn_momentum", "in (0, 1], or none"),
            (self.bn_eps is not None and self.bn_eps <= 0, "bn_eps", "above 0, or none"),
            (self.mean is not None and len(self.mean) != 3, "mean", "three numbers, or none"),
            (
                self.std is not None and (len(self.std) != 3 or min(self.std) <= 0),
                "std",
                "three above 0, or none",
            ),
            (self.workers < 0, "workers", "0 or more"),
            (self.lr <= 0, "lr", "above 0"),
            (self.weight_decay < 0, "weight_decay", "0 or more"),
            (self.warmup_epochs < 0, "warmup_epochs", "0 or more"),
            (self.opt_eps is not None and self.opt_eps <= 0, "opt_eps", "above 0, or none"),
            (not 0 <= self.warmup_start <= 1, "warmup_start", "a share of lr, in [0, 1]"),
            (self.decay_power <= 0, "decay_power", "above 0"),
            (sorted(self.milestones) != list(self.milestones), "milestones", "rising epochs"),
            (self.cycle_epochs <= 0, "cycle_epochs", "above 0"),
            (self.decay_epochs <= 0, "decay_epochs", "above 0"),
            (self.grad_clip is not None and self.grad_clip <= 0, "grad_clip", "above 0, or none"),
            (not 0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)"),
            (self.group_lasso < 0, "group_lasso", "0 or more"),
            (self.mixup < 0, "mixup", "0 or more"),
            (self.mixup_ramp_epochs < 0, "mixup_ramp_epochs", "0 or more"),
            (self.ema_decay is not None and not 0 < self.ema_decay < 1, "ema_decay", "in (0, 1), or none"),
            (not 0 < self.rrc_scale[0] <= self.rrc_scale[1] <= 1, "rrc_scale", "two rising numbers in (0, 1]"),
            (not 0 < self.rrc_ratio[0] <= self.rrc_ratio[1], "rrc_ratio", "two rising numbers above 0"),
            (self.pad_crop < 0, "pad_crop", "0 or more pixels"),
            (not _jitters(self.color_jitter), "color_jitter", "one number, three or four, each 0 or more"),
            (not 0 <= self.hflip <= 1, "hflip", "in [0, 1]"),
            (not 0 <= self.re_prob <= 1, "re_prob", "in [0, 1]"),
            (not 0 < self.val_fraction < 1, "val_fraction", "in (0, 1)"),
            (isinstance(self.freeze, int) and self.freeze < 0, "freeze", "none, backbone or a number of epochs"),
            (self.time_limit_s is not None and self.time_limit_s <= 0, "time_limit_s", "above 0, or none"),
        ]
        for wrong, name, rule in impossible:
            if wrong:
                raise BadInput(f"{name}={getattr(self, name)} cannot work; it must be {rule}")

    def with_overrides(self, pairs: list[str]) -> "TrainConfig":
        """The same with fields set as on the command line: `["optim.lr=0.1", "model.width=0.6", "epochs=3"]`.

        A name is a field, alone or behind its section or `train.`; any other `model.` name is an option of the network.

        Raises:
            BadInput: a pair has no `=`, its name is unknown, or its value is of another type.
        """
        changes, options = read_overrides(pairs)
        return replace(self, **changes, model_options={**self.model_options, **options})

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


def read_overrides(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields and the options of the network that settings of the command line name; see `with_overrides`.

    Raises:
        BadInput: a pair has no `=`, or its name is unknown.
    """
    changes: dict[str, Any] = {}
    options: dict[str, Any] = {}
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
    return changes, options


def settings() -> dict[str, str]:
    """Every name that `with_overrides` knows -> the field it sets."""
    names = {f"{section}.{name}": name for section, members in SECTIONS.items() for name in members}
    names |= {f"train.{name}": name for name in names.values()}
    return names | SHORT | {name: name for name in names.values()}


def field_of(name: str) -> str | None:
    """The field that a setting's name means, None when there is none."""
    return settings().get(name)


def _jitters(strength: float | tuple[float, ...]) -> bool:
    """Whether timm can read it."""
    parts = strength if isinstance(strength, tuple) else (strength,) * 3
    return len(parts) in (3, 4) and min(parts) >= 0
