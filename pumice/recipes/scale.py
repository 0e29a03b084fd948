"""A published training fitted to other data: fewer images, smaller batches, fewer epochs, smaller images.

batch            the published one, but at most what leaves 16 steps an epoch (a power of two then); `--batch-size`
                 says another
learning rate    in proportion to the batch (Goyal et al., "Accurate, large minibatch SGD", arXiv:1706.02677, section
                 2.1, for SGD).  RMSprop follows it too, as its authors scale it: EfficientNet's code sets 0.016 for
                 every 256 images, and MobileNetV2's 0.045 for every 96.  Whether Adam should follow the square root
                 is debated; none of these trainings uses it.
epochs           warm-up, milestones, decay steps, cycles and mixup's ramp keep their share of the run
img-size         the learning rate stays; the least area of a random crop grows as the side shrinks, but to at most a
                 half: 8 % of 224 pixels are 28 % at 64 and 50 % at 32
fewer steps      a batch norm's momentum and 1 - decay of the weights' average grow so that they span the same share
                 of the run, the momentum to at most 0.1, the decay down to at least 0.9: an average over 10,000 steps
                 would hold nothing but the start of a run of 300
digits           neither mirrored nor recoloured, and cropped little, as in `small_data`

A field that the user has set stays as set.  With trained weights, preprocessing and eps are theirs.
"""

from dataclasses import replace
from typing import Any

from pumice.models.catalogue import entry
from pumice.recipes.small_data import DIGITS
from pumice.train.config import TrainConfig

LEAST_STEPS = 16
_DECAYING = ("step", "exponential")
# What a run decides for itself, whatever its recipe.
_OF_A_RUN = frozenset(
    (
        "published",
        "data",
        "model",
        "pretrained",
        "weights",
        "freeze",
        "seed",
        "strict",
        "val",
        "val_fraction",
        "label_column",
        "streaming",
        "epoch_images",
        "val_images",
        "shuffle_buffer",
        "workers",
        "devices",
        "nodes",
        "accumulate",
        "accelerator",
        "strategy",
        "precision",
        "channels_last",
        "save_every_s",
        "time_limit_s",
    )
)


def scaled(published: TrainConfig, given: dict[str, Any], images: int) -> TrainConfig:
    """A published training for so many training images, with some fields given.

    `published` of the result holds what the publication has for every field that differs.

    Args:
        published: of `pumice.recipes.names.published_recipe`.
        given: fields that the user has set.
        images: number of training images.

    Raises:
        BadInput: a given value cannot work.
    """
    config = replace(published, **given)
    fitted: dict[str, Any] = {"batch_size": _batch(published.batch_size, images)}
    fitted |= _own_preprocessing(config)
    config = replace(config, **_not_in(fitted, given))
    lr = published.lr * (config.batch_size / published.batch_size)
    fitted = {"lr": lr, **_lengths(published, config.epochs / published.epochs)}
    steps = config.epochs * max(1, images // config.batch_size)
    fitted |= _averages(published, published.published["images"], steps)
    fitted |= _crops(published, config)
    if config.data == "digits":
        least, most = fitted.get("rrc_scale", published.rrc_scale)
        whole = max(DIGITS["rrc_scale"][0], least)
        fitted |= DIGITS | {"rrc_scale": published.rrc_scale if published.pad_crop else (whole, most)}
    config = replace(config, **_not_in(fitted, given))
    before, after = published.to_json(), config.to_json()
    changed = {k: before[k] for k in before if before[k] != after[k] and k not in _OF_A_RUN}
    return replace(config, published=changed | published.published)


def sentence(config: TrainConfig) -> str:
    """What was scaled, in a line: what was published, and what this run does instead."""
    was = config.published
    batch = config.batch_size
    lr = f"lr {config.lr:.3g}"
    if batch != was["batch_size"]:
        lr += " (linear)" if config.lr == was["lr"] * (batch / was["batch_size"]) else " (given)"
    length = "1 epoch" if config.epochs == 1 else f"{config.epochs} epochs"
    parts = [f"batch {batch}", lr, length + _falls(config)]
    if "img_size" in was and config.size is not None:
        parts.append(f"{' x '.join(map(str, dict.fromkeys(config.size)))} pixels")
    if "rrc_scale" in was:
        parts.append(f"crops from {config.rrc_scale[0]:.0%} of the area")
    if "bn_momentum" in was:
        parts.append("batch-norm momentum " + (f"{config.bn_momentum:.2g}" if config.bn_momentum else "its own"))
    if "ema_decay" in was:
        parts.append(f"moving average {config.ema_decay:.3g}" if config.ema_decay else "no moving average")
    if "hflip" in was:
        parts.append("no mirror images")
    published = f"{config.recipe}: published for batch {was['batch_size']} over {was['epochs']} epochs"
    return f"{published}; here {', '.join(parts)}"


def _falls(config: TrainConfig) -> str:
    """The lengths that were scaled with the epochs, in brackets."""
    if config.epochs == config.published["epochs"]:
        return ""
    said = [f"warm-up {config.warmup_epochs:.2g} epochs"] if config.warmup_epochs else []
    if config.schedule in _DECAYING:
        said.append(f"decay every {config.decay_epochs:.2g} epochs")
    if config.schedule == "cyclic":
        said.append(f"cycles of {config.cycle_epochs:.2g} epochs")
    if config.milestones:
        said.append(f"{len(config.milestones)} drops from epoch {config.milestones[0]:.3g} on")
    return f" ({', '.join(said)})" if said else ""


def _batch(published: int, images: int) -> int:
    """The published batch, or the largest power of two below it that leaves enough steps an epoch."""
    most = max(8, images // LEAST_STEPS)
    return published if published <= most else 2 ** (most.bit_length() - 1)


def _lengths(published: TrainConfig, share: float) -> dict[str, Any]:
    """What the publication counts in epochs, for a run of so much of its length."""
    lengths: dict[str, Any] = {
        "warmup_epochs": published.warmup_epochs * share,
        "mixup_ramp_epochs": published.mixup_ramp_epochs * share,
        "milestones": tuple(milestone * share for milestone in published.milestones),
    }
    if published.schedule in _DECAYING:
        lengths["decay_epochs"] = published.decay_epochs * share
    if published.schedule == "cyclic":
        lengths["cycle_epochs"] = published.cycle_epochs * share
    return lengths


def _averages(published: TrainConfig, images: int, steps: int) -> dict[str, Any]:
    """Batch-norm momentum and the weights' average that span as much of a run of so many steps as of the published."""
    longer = published.epochs * (images // published.batch_size) / steps
    fitted: dict[str, Any] = {}
    if published.bn_momentum is not None and longer > 1:
        fitted["bn_momentum"] = max(published.bn_momentum, min(0.1, published.bn_momentum * longer))
    if published.ema_decay is not None and longer > 1:
        fitted["ema_decay"] = min(published.ema_decay, max(0.9, 1 - (1 - published.ema_decay) * longer))
    return fitted


def _crops(published: TrainConfig, config: TrainConfig) -> dict[str, Any]:
    """Random crops of a smaller image."""
    if config.task != "classify":
        return {}  # its changes are options of the task
    own = entry(config.model).input_size[1] if ":" not in config.model else 224
    before = min(published.size or (own,))
    now = min(config.size or (before,))
    if published.pad_crop:
        return {"pad_crop": round(published.pad_crop * now / before)}
    least, most = published.rrc_scale
    wider = max(least, min(0.5, least * before / now))
    return {"rrc_scale": (min(wider, most), most)}


def _own_preprocessing(config: TrainConfig) -> dict[str, Any]:
    """Without what belongs to trained weights, and without what other libraries' networks do not take."""
    if config.pretrained or config.weights is not None:
        return {"mean": None, "std": None, "channels": None, "bn_eps": None}
    return {"bn_eps": None} if ":" in config.model else {}


def _not_in(fitted: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fitted.items() if name not in given}
