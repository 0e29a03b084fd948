"""What the fields of a configuration may be, each alone and together.  No torch here."""

from typing import TYPE_CHECKING

from pumice.errors import BadInput
from pumice.tasks.names import CLASSIFY, create_task

if TYPE_CHECKING:
    from pumice.train.config import TrainConfig


def check_rules(config: "TrainConfig") -> None:
    """Whether the values are possible and go together.

    Raises:
        BadInput: they do not.
    """
    impossible = [
        (config.epochs < 1, "epochs", "at least 1"),
        (config.batch_size < 2, "batch_size", "at least 2, because batch norm needs two images"),
        (config.size is not None and min(config.size) < 8, "img_size", "at least 8"),
        (config.crop_pct is not None and not 0 < config.crop_pct <= 1, "crop_pct", "in (0, 1], or none"),
        (config.bn_momentum is not None and not 0 < config.bn_momentum <= 1, "bn_momentum", "in (0, 1], or none"),
        (config.bn_eps is not None and config.bn_eps <= 0, "bn_eps", "above 0, or none"),
        (config.mean is not None and len(config.mean) != 3, "mean", "three numbers, or none"),
        (
            config.std is not None and (len(config.std) != 3 or min(config.std) <= 0),
            "std",
            "three above 0, or none",
        ),
        (config.workers < 0, "workers", "0 or more"),
        (config.epoch_images is not None and config.epoch_images < 2, "epoch_images", "at least 2, or none"),
        (config.val_images < 1, "val_images", "at least 1"),
        (config.shuffle_buffer < 1, "shuffle_buffer", "at least 1; 1 does not shuffle within shards"),
        (
            config.balanced and config.streaming,
            "balanced",
            "false where data are streamed, whose classes come as they come",
        ),
        (isinstance(config.devices, int) and config.devices < 1, "devices", "at least 1, or auto"),
        (config.nodes < 1, "nodes", "at least 1"),
        (config.accumulate < 1, "accumulate", "at least 1"),
        (config.lr <= 0, "lr", "above 0"),
        (config.weight_decay < 0, "weight_decay", "0 or more"),
        (config.warmup_epochs < 0, "warmup_epochs", "0 or more"),
        (config.opt_eps is not None and config.opt_eps <= 0, "opt_eps", "above 0, or none"),
        (not 0 <= config.warmup_start <= 1, "warmup_start", "a share of lr, in [0, 1]"),
        (config.decay_power <= 0, "decay_power", "above 0"),
        (sorted(config.milestones) != list(config.milestones), "milestones", "rising epochs"),
        (config.cycle_epochs <= 0, "cycle_epochs", "above 0"),
        (config.decay_epochs <= 0, "decay_epochs", "above 0"),
        (config.grad_clip is not None and config.grad_clip <= 0, "grad_clip", "above 0, or none"),
        (not 0 <= config.label_smoothing < 1, "label_smoothing", "in [0, 1)"),
        (
            config.condense_epochs is not None and not 0 < config.condense_epochs < config.epochs,
            "condense_epochs",
            f"above 0 and below the {config.epochs} epochs of the run, or none",
        ),
        (config.group_lasso < 0, "group_lasso", "0 or more"),
        (config.mixup < 0, "mixup", "0 or more"),
        (config.mixup_ramp_epochs < 0, "mixup_ramp_epochs", "0 or more"),
        (config.ema_decay is not None and not 0 < config.ema_decay < 1, "ema_decay", "in (0, 1), or none"),
        (config.distill_weight is not None and config.distill_weight < 0, "distill_weight", "0 or more, or none"),
        (
            config.distill_temperature is not None and config.distill_temperature <= 0,
            "distill_temperature",
            "above 0, or none",
        ),
        (not 0 < config.rrc_scale[0] <= config.rrc_scale[1] <= 1, "rrc_scale", "two rising numbers in (0, 1]"),
        (not 0 < config.rrc_ratio[0] <= config.rrc_ratio[1], "rrc_ratio", "two rising numbers above 0"),
        (config.pad_crop < 0, "pad_crop", "0 or more pixels"),
        (not _jitters(config.color_jitter), "color_jitter", "one number, three or four, each 0 or more"),
        (not 0 <= config.hflip <= 1, "hflip", "in [0, 1]"),
        (not 0 <= config.re_prob <= 1, "re_prob", "in [0, 1]"),
        (not 0 < config.val_fraction < 1, "val_fraction", "in (0, 1)"),
        (isinstance(config.freeze, int) and config.freeze < 0, "freeze", "none, backbone or a number of epochs"),
        (config.time_limit_s is not None and config.time_limit_s <= 0, "time_limit_s", "above 0, or none"),
    ]
    for wrong, name, rule in impossible:
        if wrong:
            raise BadInput(f"{name}={getattr(config, name)} cannot work; it must be {rule}")
    _check_distillation(config)
    _check_task(config)


def _check_distillation(config: "TrainConfig") -> None:
    """Whether the fields of the section `distill` go together.

    Raises:
        BadInput: they do not.
    """
    if config.partner is not None and config.teacher is not None:
        raise BadInput("a partner and a teacher exclude each other; give one of them")
    if config.teacher_weights is not None and config.teacher_pretrained:
        raise BadInput("teacher_weights and teacher_pretrained exclude each other; give one of them")
    if config.teacher is not None and (config.distill_weight or 0) > 1:
        raise BadInput(f"distill_weight={config.distill_weight} cannot work; of a teacher it must be in [0, 1]")
    shared = ("distill_weight", "distill_temperature")
    for owner, names in (
        ("teacher", ("teacher_weights", "teacher_pretrained")),
        ("partner", ("distill_gradient", *shared)),
    ):
        for name in names:
            changed = getattr(config, name) != config.__dataclass_fields__[name].default
            served = getattr(config, owner) is not None or (name in shared and config.teacher is not None)
            if changed and not served:
                raise BadInput(f"{name}={getattr(config, name)} has nothing to act on; name a {owner}")


def _check_task(config: "TrainConfig") -> None:
    """Whether the fields go with the task.

    Raises:
        BadInput: they do not.
    """
    if config.task == CLASSIFY:
        if config.task_options:
            raise BadInput(f"task.{next(iter(config.task_options))} is an option of dense tasks; leave it out")
        return
    own = config.__dataclass_fields__["label_smoothing"].default
    for used, name in (
        (config.partner is not None, "partner"),
        (config.teacher is not None, "teacher"),
        (config.mixup > 0, "mixup"),
        (config.label_smoothing not in (0, own), "label_smoothing"),
        (config.balanced, "balanced"),
        (config.streaming, "streaming"),
    ):
        if used:
            raise BadInput(f"{name}={getattr(config, name)} is for task=classify; leave it out to {config.task}")
    create_task(config.task, config.task_options)


def _jitters(strength: float | tuple[float, ...]) -> bool:
    """Whether timm can read it."""
    parts = strength if isinstance(strength, tuple) else (strength,) * 3
    return len(parts) in (3, 4) and min(parts) >= 0
