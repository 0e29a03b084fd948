"""What a run leaves in its folder while it trains."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from pumice.data.images import ImageSet
from pumice.files import read_json, write_json, write_text
from pumice.models.checkpoint import save_checkpoint
from pumice.models.manifest import Manifest
from pumice.tasks.predictions import answers, write_answers
from pumice.train.interrupt import Interrupt, Interrupted
from pumice.train.module import Classifier
from pumice.train.shard import weights_of
from pumice.train.state import capture, write_state

SCORES = ("lr", "train_loss", "val_loss", "val_top1", "val_top5", "val_balanced")
CLOCK = ("seconds", "images_per_s", "data_wait")
"""Columns that differ from run to run: time trained, pace of the epoch, its share spent waiting for batches."""
COLUMNS = ("epoch", "step", *SCORES, *CLOCK)
PARTNER = "partner_top1"  # a column more where there is a partner


class Records(pl.Callback):  # type: ignore[misc]
    """Weights, metrics and the state to resume from, after every epoch; the state more often in long epochs.

    last.safetensors and best.safetensors hold what validation judged, and predictions.csv is what the best one says of
    each validation image.  Only the first of several processes writes.
    """

    def __init__(self, out: Path, manifest: Manifest, save_every_s: float, val: ImageSet) -> None:
        self.out, self.manifest, self.save_every_s, self.val = out, manifest, save_every_s, val
        self.saved = time.monotonic()
        self._board: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add to environment.json what only torch knows: the device, and how many threads and processes work."""
        path = self.out / "environment.json"
        if trainer.is_global_zero and path.is_file():
            device = trainer.strategy.root_device
            found = {
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
                "threads": torch.get_num_threads(),
                "processes": trainer.world_size,
            }
            write_json(path, {**read_json(path), **found})

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the state when it is time; not after the last step of an epoch, which is yet to be validated."""
        assert isinstance(pl_module, Classifier)
        if pl_module.mid_step(batch_idx) or pl_module.between_epochs:
            return
        if pl_module.together.any(time.monotonic() - self.saved > self.save_every_s):
            self.save(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's files."""
        assert isinstance(pl_module, Classifier)
        weights = weights_of(pl_module.judged)
        if trainer.is_global_zero:
            save_checkpoint(self.out / "last.safetensors", weights, self.manifest)
            assert pl_module.best is not None
            if pl_module.best["epoch"] == pl_module.history[-1]["epoch"]:
                save_checkpoint(self.out / "best.safetensors", weights, self.manifest)
                assert pl_module.judgement is not None
                write_answers(self.out / "predictions.csv", answers(self.val, pl_module.judgement))
            write_metrics(self.out / "metrics.csv", pl_module.history)
            self.plot(pl_module.history[-1])
        self.save(trainer, pl_module)

    def save(self, trainer: pl.Trainer, module: Classifier) -> None:
        """Write resume.pt; no process goes on before it is there, so that none ends the run while it is written."""
        state = capture(trainer, module)
        if trainer.is_global_zero:
            write_state(self.out / "resume.pt", state)
        module.together.wait()
        self.saved = time.monotonic()

    def plot(self, row: dict[str, Any]) -> None:
        """Add an epoch to the TensorBoard log, which is opened late because importing it takes a second."""
        if self._board is None:
            from lightning.pytorch.loggers import TensorBoardLogger

            self._board = TensorBoardLogger(self.out, name="tensorboard", version="")
        columns = (*SCORES, PARTNER, *CLOCK[1:])
        self._board.log_metrics({k: row[k] for k in columns if k in row}, step=row["epoch"])
        self._board.save()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the log."""
        if self._board is not None:
            self._board.finalize("success")


class Stop(pl.Callback):  # type: ignore[misc]
    """Ends training at the first step after the user asked for it, or after the time limit; runs after `Records`.

    On request it raises Interrupted, the state saved by `records`; a time limit validates and ends as the last epoch
    does.
    """

    def __init__(self, interrupt: Interrupt, time_limit_s: float | None, records: Records | None = None) -> None:
        self.interrupt, self.time_limit_s, self.records = interrupt, time_limit_s, records

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a signal waits for the end of the step."""
        self.interrupt.patient = True
        self.interrupt.listen()  # Lightning has put a listener of its own before ours

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock and at the signals; all processes stop at the same step."""
        assert isinstance(pl_module, Classifier)
        if pl_module.mid_step(batch_idx):
            return
        together = pl_module.together
        if self.time_limit_s is not None and together.any(pl_module.seconds > self.time_limit_s):
            trainer.should_stop = True
        elif not pl_module.between_epochs and together.any(self.interrupt.asked):
            if self.records is not None:
                self.records.save(trainer, pl_module)
            raise Interrupted

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The state has just been saved by `records`."""
        assert isinstance(pl_module, Classifier)
        if pl_module.together.any(self.interrupt.asked):
            raise Interrupted


def write_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write metrics.csv, one row per epoch."""
    text = io.StringIO()
    columns = (*COLUMNS, PARTNER) if rows and PARTNER in rows[0] else COLUMNS
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
