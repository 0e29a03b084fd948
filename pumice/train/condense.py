"""Nets that learn their groups: pruned while they train, condensed at the end.  See `pumice.models.condense`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import nn

from pumice.models.checkpoint import load_checkpoint, manifest_of, read_manifest, save_checkpoint
from pumice.models.condense import condense, has_forms, is_pruned, learned, prunings_due, set_progress
from pumice.models.families import options_of
from pumice.models.manifest import Manifest
from pumice.train.config import TrainConfig
from pumice.train.module import Learner

FILE = "condensed.safetensors"


class Condense(pl.Callback):  # type: ignore[misc]
    """Does the prunings that are due, before the step.

    They follow from the steps done, and what is done is in the net's buffers; so a resumed run prunes as it would have.
    A moving average takes over the mask with the other buffers, after the step.
    """

    def __init__(self) -> None:
        self.done: frozenset[int] | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Prune where the schedule has moved on."""
        assert isinstance(pl_module, Learner)
        config = pl_module.config
        epochs = config.epochs if config.condense_epochs is None else 2 * config.condense_epochs
        progress = min(1.0, pl_module.steps_done / (epochs * pl_module.steps_per_epoch))  # all are done at its half
        due = prunings_due(pl_module.net, progress)
        if due != self.done:  # to look at the tensors in every step would be to wait for the device
            set_progress(pl_module.net, progress)
            self.done = due


def learning_form(config: TrainConfig) -> TrainConfig:
    """The configuration with the form of its net that learns, where there are two and nothing chooses one.

    An option does (`model.condensed=true`), and so do published weights and a checkpoint in the form that runs.
    """
    if not has_forms(config.model) or "condensed" in config.model_options or config.pretrained:
        return config
    file = config.weights
    made = read_manifest(file) if file is not None and file.endswith(".safetensors") else None
    if made is not None and made.model.options.get("condensed", True):
        return config
    return replace(config, model_options={**config.model_options, "condensed": False})


def learns_groups(net: nn.Module) -> bool:
    """Whether a net has convolutions to prune."""
    return any(True for _ in learned(net))


def save_condensed(out: Path) -> tuple[nn.Module, Manifest] | None:
    """Write the condensed form of RUN/last.safetensors beside it; None when prunings are missing.

    The last net, as the authors have it, not the best one: that may be from before the last pruning.
    """
    net, manifest = load_checkpoint(out / "last.safetensors")
    if not is_pruned(net):
        return None
    classifier = {**options_of(manifest.model.name), **manifest.model.options}["classifier"]
    small = condense(net, classifier)
    made = replace(manifest, model=manifest_of(small).model)
    save_checkpoint(out / FILE, small, made)
    return small, made
