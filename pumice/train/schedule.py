"""The learning rate and mixup as functions of the step alone, so that a resumed run needs no scheduler state."""

import math

from pumice.train.config import TrainConfig

BEATS = 5


def lr_at(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of the optimiser step number `step`, counted from 0.

    Warm-up rises linearly from `warmup_start * lr` and reaches `lr` at its last step; one longer than a third of the
    run is cut to that.  What follows is counted from there, or, without `decay_after_warmup`, from the run's start:

    cosine       half a cosine down to `final_lr * lr` (Loshchilov and Hutter, "SGDR", arXiv:1608.03983, one cycle)
    linear       a straight line down to `final_lr * lr`
    polynomial   the same, the remaining share of the run to the power `decay_power` (Caffe's "poly")
    step         times `decay_rate` after every `decay_epochs` epochs (TensorFlow's staircase)
    exponential  the same, a little at every step
    multistep    times `decay_rate` at each of `milestones`, epochs of the run
    cyclic       `lr` falls in 5 equal parts to a fifth of itself and begins anew, every `cycle_epochs` epochs; one part
                 at a fifth comes first; times `decay_rate` at each of `milestones` (Mehta et al., "ESPNetv2",
                 arXiv:1811.11431, where a part is an epoch)
    hybrid       cyclic without its drops until the one of `milestones`, then a straight line from a fifth of `lr` down
                 to `final_lr * lr` (the code of ESPNetV2's authors for dense tasks)
    constant     stays

    None of them falls below `final_lr * lr`.
    """
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total // 3)
    if step < warmup:
        start = config.lr * config.warmup_start
        return start + (config.lr - start) * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    first = warmup if config.decay_after_warmup else 0
    if config.schedule == "step":
        decays = int((step - first) / (config.decay_epochs * steps_per_epoch))
        return config.lr * max(config.decay_rate**decays, config.final_lr)
    if config.schedule == "exponential":
        share = config.decay_rate ** ((step - first) / (config.decay_epochs * steps_per_epoch))
        return config.lr * max(share, config.final_lr)
    if config.schedule in ("multistep", "cyclic"):
        passed = sum(step >= milestone * steps_per_epoch - 1e-6 for milestone in config.milestones)
        share = config.decay_rate**passed
        if config.schedule == "cyclic":
            share *= _beat((step - first) / (config.cycle_epochs * steps_per_epoch))
        return config.lr * max(share, config.final_lr)
    if config.schedule == "hybrid":
        bend = config.milestones[0] * steps_per_epoch
        if step < bend - 1e-6:
            return config.lr * _beat((step - first) / (config.cycle_epochs * steps_per_epoch))
        left = 1 - min(1.0, (step - bend) / max(1, total - bend))
        return config.lr * (config.final_lr + (1 / BEATS - config.final_lr) * left)
    done = min(1.0, (step - first) / max(1, total - first))
    if config.schedule == "cosine":
        return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done)))
    power = config.decay_power if config.schedule == "polynomial" else 1.0
    return config.lr * (config.final_lr + (1 - config.final_lr) * (1 - done) ** power)


def mixup_at(config: TrainConfig, epoch: int) -> float:
    """mixup's alpha in an epoch, counted from 0: a line from 0 to `mixup` over the first `mixup_ramp_epochs` epochs."""
    return config.mixup if epoch >= config.mixup_ramp_epochs else config.mixup * epoch / config.mixup_ramp_epochs


def _beat(cycles: float) -> float:
    """The share of the peak after so many cycles: a fifth, then 1, 4/5, 3/5, 2/5, 1/5 in turn."""
    beat = int(cycles * BEATS + 1e-6)
    return 1 / BEATS if beat == 0 else 1 - (beat - 1) % BEATS / BEATS
