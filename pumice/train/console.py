"""What a person sees of a training run, on standard error."""

import sys
from typing import Any

import lightning.pytorch as pl

from pumice.train.module import Learner


class Console(pl.Callback):  # type: ignore[misc]
    """A progress bar on a terminal; everywhere one line per epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        assert isinstance(pl_module, Learner)
        terminal = Terminal(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)
        total = pl_module.config.epochs * pl_module.steps_per_epoch
        self.task = self.bar.add_task("training", total=total, completed=pl_module.steps_done)
        if trainer.is_global_zero:
            if pl_module.first_step:
                print(f"going on at step {pl_module.first_step} of {total}", file=sys.stderr, flush=True)
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        assert isinstance(pl_module, Learner)
        self.bar.update(self.task, completed=pl_module.steps_done)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line."""
        assert isinstance(pl_module, Learner)
        row = pl_module.history[-1]
        if trainer.is_global_zero:
            line = (
                f"epoch {row['epoch']}/{pl_module.config.epochs}  train loss {row['train_loss']:.3f}  "
                f"{pl_module.judging.line(row)}  {row['seconds']:.0f} s"
            )
            print(line, file=sys.stderr, flush=True) if self.bar.disable else self.bar.console.print(line)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the bar, also when training ends in an error."""
        if hasattr(self, "bar"):
            self.bar.stop()
