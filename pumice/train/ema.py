"""A moving average of the weights: what is validated, kept as best and shipped."""

from typing import Any

import lightning.pytorch as pl
import torch

from pumice.train.config import EmaWarmup
from pumice.train.module import Learner


class Ema(pl.Callback):  # type: ignore[misc]
    """After step n = 1, 2, ...: average = d * average + (1 - d) * weights, with d = min(decay, rise(n)).

    rise(n): 1 - 1 / sqrt(n) with warmup "sqrt", (1 + n) / (10 + n) with "tf", 1 with "none".

    With "sqrt" the average spans the last sqrt(n) steps until `decay` holds, so that a short run is not dominated by
    its start (timm's ModelEmaV3, whose own power of 2/3 lags by a fifth of a run of 130 steps).  "tf" is what
    TensorFlow's ExponentialMovingAverage does when it is told the step.  Buffers are copied: batch-norm statistics are
    running averages already, and averaged twice they belong to weights long gone.

    Args:
        decay: its final value.
        start: an average to go on from.
        warmup: see above.
    """

    def __init__(self, decay: float, start: dict[str, torch.Tensor] | None = None, warmup: EmaWarmup = "sqrt") -> None:
        self.decay, self.start, self.warmup = decay, start, warmup

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the average at the initial weights."""
        from timm.utils.model_ema import ModelEmaV3

        assert isinstance(pl_module, Learner)
        # timm's rise is 1 - (1 + (step - 1) / gamma) ** -power.
        gamma, power = (9.0, 1.0) if self.warmup == "tf" else (1.0, 0.5)
        self.ema = ModelEmaV3(
            pl_module.net,
            decay=self.decay,
            use_warmup=self.warmup != "none",
            warmup_gamma=gamma,
            warmup_power=power,
            exclude_buffers=True,
        )
        self.ema.requires_grad_(False)
        if self.start is not None:
            self.ema.module.load_state_dict(self.start)
        pl_module.averaged = [self.ema.module]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to the device that the network is on by now."""
        self.ema.to(pl_module.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average."""
        assert isinstance(pl_module, Learner)
        if pl_module.mid_step(batch_idx):
            return
        # Two steps on, timm's rise is (1 + n) / (10 + n), and without a rise the first step does not copy the weights.
        ahead = 0 if self.warmup == "sqrt" else 2
        self.ema.update(pl_module.net, step=pl_module.steps_done + ahead)
