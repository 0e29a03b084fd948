"""`resume.pt`: everything that the next step depends on, as tensors and plain values, and a checksum."""

import errno
import io
import os
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import lightning.pytorch as pl
import torch

from pumice.errors import BadInput, reason_of
from pumice.files import atomic, flush_to_disk
from pumice.train.module import Learner
from pumice.train.shard import load_optimizer, optimizer_state, weights_of

FORMAT = 2
UNSUMMED = 1  # format of version 0.1.0, without a checksum
MARK = b"\npumice state sha256 "  # then 64 hexadecimal digits, which end the file
State = dict[str, Any]


class Damaged(BadInput):
    """A state file that is not what was written."""


def capture(trainer: pl.Trainer, module: Learner) -> State:
    """The state between two steps; `restore` and `Learner` put it back.

    All processes must ask; the first gets it, of a network in shares alone.

    step: optimiser steps done.  net, average, partner: weights.  optimizer, precision: of torch and of Lightning's
    scaler.  losses: sum and number of this epoch's losses.  history: a row per finished epoch.  best: see `Learner`.
    classes: of the data.  teacher: digest of its weights.  seconds: trained so far.  stream: where a stream is, None of
    data that have an index.

    Raises:
        CheckFailed: the weights are no longer finite numbers; such a state is of no use to anybody.
    """
    module.check_weights()
    return {
        "format": FORMAT,
        "step": module.steps_done,
        "net": weights_of(module.net),
        "average": weights_of(module.averaged[0]) if module.averaged else None,
        "partner": None if module.partner is None else module.partner.state_dict(),
        "teacher": module.objective.teacher_digest,
        "optimizer": optimizer_state(module.net, module.optimizers(use_pl_optimizer=False)),
        "precision": trainer.precision_plugin.state_dict(),
        "losses": list(module.losses),
        "history": module.history,
        "best": module.best,
        "classes": list(module.classes),
        "seconds": module.seconds,
        "stream": module.stream.saved(*divmod(module.steps_done, module.steps_per_epoch)),
    }


def restore(trainer: pl.Trainer, module: Learner, state: State) -> None:
    """Put optimiser and scaler back; `Learner` has put back the rest before the trainer existed."""
    load_optimizer(module.net, module.optimizers(use_pl_optimizer=False), state["optimizer"])
    if state["precision"]:
        trainer.precision_plugin.load_state_dict(state["precision"])


def write_state(path: Path, state: State, *, previous: Path | None = None) -> None:
    """Write it atomically, its SHA-256 at the end.

    torch's own format has sums and does not look at them: a bit that has flipped is read as another weight.  The sum
    is of what was meant to be written, and it is inside the file, so that no kill can part the two.

    Args:
        path: the file.
        state: see `capture`.
        previous: the name that the file which is there takes, once the new one is whole on the disk.

    Raises:
        OSError: it cannot be written; then nothing has changed.
    """
    with atomic(path) as scratch:
        with scratch.open("wb") as file:
            summed = _Summed(file)
            try:
                torch.save(state, cast(BinaryIO, summed))
            except RuntimeError:  # torch's complaint about the error that the disk has raised
                if summed.error is None:
                    raise
            summed.write(MARK + summed.sum.hexdigest().encode())  # raises the disk's own error
        if previous is not None and path.exists():
            flush_to_disk(scratch)
            os.replace(path, previous)


def read_state(path: Path) -> State:
    """Read it; nothing is unpickled but tensors and plain values.

    Raises:
        BadInput: it is of a newer Pumice.
        Damaged: it is not what was written.
        FileNotFoundError: there is none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise Damaged(f"{path} is damaged ({reason_of(error)})") from error
    body, end = content[: -len(MARK) - 64], content[-len(MARK) - 64 :]
    summed = end.startswith(MARK)
    if summed and end != MARK + sha256(body).hexdigest().encode():
        raise Damaged(f"{path} is damaged (checksum)")
    try:
        state: State = torch.load(io.BytesIO(body if summed else content), map_location="cpu", weights_only=True)
        newer = state["format"] > FORMAT
    except Exception as error:  # of what is no state, any error
        raise Damaged(f"{path} is damaged ({'content' if summed else 'checksum'})") from error
    if not summed and state["format"] != UNSUMMED:
        raise Damaged(f"{path} is damaged (checksum)")
    if newer:
        raise BadInput(f"{path} was written by a newer Pumice; upgrade with `pip install -U pumice`")
    return state


class _Summed:
    """A file that sums what is written to it, and keeps the error of a disk, which torch would hide."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sum = file, sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, unless writing has failed before."""
        if self.error is None:
            self.sum.update(data)
            try:
                self.file.write(data)
                return len(data)
            except OSError as error:
                self.error = error
        raise self.error

    def flush(self) -> None:
        """Hand on what is buffered."""
        if self.error is None:
            self.file.flush()
