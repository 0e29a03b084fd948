"""What a run leaves in its folder while it trains."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from pumice.files import read_json, write_bytes, write_json
from pumice.models.checkpoint import checkpoint_bytes
from pumice.models.manifest import Manifest
from pumice.train.board import Board
from pumice.train.interrupt import Interrupt, Interrupted
from pumice.train.module import Learner
from pumice.train.shard import weights_of
from pumice.train.state import capture
from pumice.train.writer import Writer

CLOCK = ("seconds", "images_per_s", "data_wait")
"""Columns that differ from run to run: time trained, pace of the epoch, its share spent waiting for batches."""
SHOWN = ("lr", "train_loss", "val_*", "partner_*", *CLOCK[1:])


class Records(pl.Callback):  # type: ignore[misc]
    """Weights, metrics and the state to resume from, after every epoch; the state more often in long epochs.

    last.safetensors and best.safetensors hold what validation judged; what the best one answers is in the files of
    `Judging`.  Only the first of several processes writes.

    Args:
        writer: of the run folder.
        manifest: of the network.
        images: `fingerprint` of the data, kept with the state.
        save_every_s: see `TrainConfig`.
    """

    def __init__(self, writer: Writer, manifest: Manifest, images: dict[str, Any], save_every_s: float) -> None:
        self.writer, self.manifest, self.images = writer, manifest, images
        self.save_every_s = save_every_s
        self.saved = time.monotonic()
        self.board = Board(writer.out / "tensorboard", SHOWN)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add to environment.json what only torch knows: the device, and how many threads and processes work."""
        path = self.writer.out / "environment.json"
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
        assert isinstance(pl_module, Learner)
        if pl_module.mid_step(batch_idx) or pl_module.between_epochs:
            return
        if pl_module.together.any(time.monotonic() - self.saved > self.save_every_s):
            self.save(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's files."""
        assert isinstance(pl_module, Learner)
        weights = weights_of(pl_module.judged)
        if trainer.is_global_zero:
            content = checkpoint_bytes(weights, self.manifest)
            self.writer.put("last.safetensors", content)
            assert pl_module.best is not None
            if pl_module.best["epoch"] == pl_module.history[-1]["epoch"]:
                self.writer.put("best.safetensors", content)
                for name, answers in pl_module.judging.files().items():
                    self.writer.put(name, answers)
            self.writer.put("metrics.csv", metrics(pl_module.history))
        self.save(trainer, pl_module)

    def save(self, trainer: pl.Trainer, module: Learner) -> None:
        """Write resume.pt, after the files that it counts on and before the log, which is for looking at.

        No process goes on before it is there, so that none ends the run while it is written.
        """
        state = {**capture(trainer, module), "images": self.images}
        if trainer.is_global_zero:
            self.writer.save(state)
            if not self.writer.failure:
                self.log_epochs(module)
        module.together.wait()
        self.saved = time.monotonic()

    def log_epochs(self, module: Learner) -> None:
        """Bring the TensorBoard log up to the history."""
        self.board.write(module.history, time.time() - module.seconds)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what the disk has refused so far.

        Raises:
            CheckFailed: it still does.
        """
        assert isinstance(pl_module, Learner)
        if trainer.strategy.reduce_boolean_decision(bool(self.writer.failure), all=False):
            self.save(trainer, pl_module)
            self.writer.check()


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
        assert isinstance(pl_module, Learner)
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
        assert isinstance(pl_module, Learner)
        if pl_module.together.any(self.interrupt.asked):
            raise Interrupted


def write_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write metrics.csv."""
    write_bytes(path, metrics(rows))


def metrics(rows: list[dict[str, Any]]) -> bytes:
    """Content of metrics.csv, one row per epoch: its place, learning rate and loss, the scores, the clock."""
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row) or ("epoch", "step")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
