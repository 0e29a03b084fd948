"""The learning rate as a function of the step alone, so that a resumed run needs no scheduler state."""

import math

from pumice.train.config import TrainConfig


def lr_at(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of the optimiser step number `step`, counted from 0.

    Warm-up rises linearly and reaches `lr` at its last step.  Then "cosine" follows half a cosine down to
    `final_lr * lr` (Loshchilov and Hutter, "SGDR", arXiv:1608.03983, one cycle), "step" multiplies by `decay_rate`
    after every `decay_epochs` epochs, "constant" stays.  A warm-up longer than a third of the run is cut to that.
    """
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total // 3)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "step":
        decays = int((step - warmup) / (config.decay_epochs * steps_per_epoch))
        return config.lr * max(config.decay_rate**decays, config.final_lr)
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done)))
