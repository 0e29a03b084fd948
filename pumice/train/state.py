"""`resume.pt`: everything that the next step depends on, as tensors and plain values."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from pumice.errors import BadInput
from pumice.files import atomic
from pumice.train.module import Classifier
from pumice.train.shard import load_optimizer, optimizer_state, weights_of

FORMAT = 1
State = dict[str, Any]


def capture(trainer: pl.Trainer, module: Classifier) -> State:
    """The state between two steps.  All processes must ask; the first gets it, of a network in shares alone.

    step: optimiser steps done.  net, average, partner: weights.  optimizer, precision: of torch and of Lightning's
    scaler.  losses: sum and number of this epoch's losses.  history: a row per finished epoch.  best: see `Classifier`.
    classes: of the data.  teacher: digest of its weights.  seconds: trained so far.
    """
    module.read_losses()
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
    }


def restore(trainer: pl.Trainer, module: Classifier, state: State) -> None:
    """Put optimiser and scaler back; `Classifier.begin_at` has put back the rest before the trainer existed."""
    load_optimizer(module.net, module.optimizers(use_pl_optimizer=False), state["optimizer"])
    if state["precision"]:
        trainer.precision_plugin.load_state_dict(state["precision"])


def write_state(path: Path, state: State) -> None:
    """Write it atomically."""
    with atomic(path) as scratch:
        torch.save(state, scratch)


def read_state(path: Path) -> State:
    """Read it; nothing is unpickled but tensors and plain values.

    Raises:
        BadInput: it is damaged, or of a newer Pumice.
    """
    import pickle

    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        newer = state["format"] > FORMAT
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} cannot be read as the state of a run; remove it to start the run again") from error
    if newer:
        raise BadInput(f"{path} was written by a newer Pumice; upgrade with `pip install -U pumice`")
    return state
