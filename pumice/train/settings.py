"""How the command line names the fields of a configuration: `optim.lr=0.1`.  No torch here."""

from typing import Any

from pumice.errors import BadInput, nearest
from pumice.values import read_value

# A field is set as SECTION.FIELD, `optim.lr=0.1`; some of them have a shorter name inside their section.
SECTIONS: dict[str, tuple[str, ...]] = {
    "data": (
        *("data", "val", "val_fraction", "strict", "label_column", "balanced", "img_size", "crop_pct", "mean", "std"),
        *("channels", "batch_size", "workers", "streaming", "epoch_images", "val_images", "shuffle_buffer"),
    ),
    "model": (
        *("model", "pretrained", "weights", "freeze", "freeze_norm", "drop_rate", "drop_path_rate", "bn_momentum"),
        "bn_eps",
    ),
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
        "ema_warmup",
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


def read_overrides(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The fields, the options of the network and those of the task that settings name; see `with_overrides`.

    Raises:
        BadInput: a pair has no `=`, or its name is unknown.
    """
    changes: dict[str, Any] = {}
    options: dict[str, Any] = {}
    of_task: dict[str, Any] = {}
    for pair in pairs:
        name, found, text = pair.partition("=")
        if not found:
            raise BadInput(f"{pair!r} sets nothing; write it as {name}=VALUE")
        known = field_of(name)
        if known is not None:
            changes[known] = read_value(text)
        elif name.startswith("model."):
            options[name.removeprefix("model.")] = read_value(text)
        elif name.startswith("task."):
            of_task[name.removeprefix("task.")] = read_value(text)
        else:
            raise BadInput(f"there is no setting {name!r}{nearest(name, list(settings()))}")
    return changes, options, of_task


def settings() -> dict[str, str]:
    """Every name that `with_overrides` knows -> the field it sets."""
    names = {f"{section}.{name}": name for section, members in SECTIONS.items() for name in members}
    names |= {f"train.{name}": name for name in names.values()}
    return names | SHORT | {name: name for name in names.values()}


def field_of(name: str) -> str | None:
    """The field that a setting's name means, None when there is none."""
    return settings().get(name)
