"""A moving average of the weights: what is validated, kept as best and shipped."""

from typing import Any

import lightning.pytorch as pl
import torch

from pumice.train.module import Classifier


class Ema(pl.Callback):  # type: ignore[misc]
    """After step n = 1, 2, ...: average = d * average + (1 - d) * weights, with d = min(decay, 1 - 1 / sqrt(n)).

    The average spans the last sqrt(n) steps until `decay` holds, so that a short run is not dominated by its start
    (timm's ModelEmaV3, whose own power of 2/3 lags by a fifth of a run of 130 steps).  Buffers are copied: batch-norm
    statistics are running averages already, and averaged twice they belong to weights long gone.

    Args:
        decay: its final value.
        start: an average to go on from.
    """

    def __init__(self, decay: float, start: dict[str, torch.Tensor] | None = None) -> None:
        self.decay, self.start = decay, start

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the average at the initial weights."""
        from timm.utils.model_ema import ModelEmaV3

        assert isinstance(pl_module, Classifier)
        self.ema = ModelEmaV3(pl_module.net, decay=self.decay, use_warmup=True, warmup_power=0.5, exclude_buffers=True)
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
        assert isinstance(pl_module, Classifier)
        if pl_module.mid_step(batch_idx):
            return
        self.ema.update(pl_module.net, step=pl_module.steps_done)
