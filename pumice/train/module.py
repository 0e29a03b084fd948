"""The training and validation step of a network, and what an epoch came to."""

import math
import random
import time
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from pumice.errors import BadInput, Diverged
from pumice.models.condense import group_lasso
from pumice.train.config import TrainConfig
from pumice.train.culprit import bad_parameter, failure, in_words, lower_rate
from pumice.train.freeze import freeze_norms, set_frozen
from pumice.train.heap import give_back
from pumice.train.judging import PARTNER, Judging
from pumice.train.objective import Objective
from pumice.train.optimizer import create_optimizer
from pumice.train.schedule import lr_at, mixup_at
from pumice.train.shard import shard
from pumice.train.stream import Stream
from pumice.train.together import Together

_MASK = (1 << 64) - 1


def seed_step(seed: int, step: int, part: int = 0) -> None:
    """Seed every generator from the run's seed, the step and which part of its images this process works on.

    So a resumed run draws what it would have drawn.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbouring steps are unrelated.
    """
    mixed = (seed << 40) + (part << 32) + step
    for multiplier, shift in ((0x9E3779B97F4A7C15, 30), (0xBF58476D1CE4E5B9, 27), (0x94D049BB133111EB, 31)):
        mixed = (mixed + 1) * multiplier & _MASK
        mixed ^= mixed >> shift
    torch.manual_seed(mixed >> 1)
    np.random.seed(mixed & 0xFFFFFFFF)  # noqa: NPY002 - timm's mixup draws from the global generator
    random.seed(mixed)


class Learner(pl.LightningModule):  # type: ignore[misc]
    """A network that maps (N, C, H, W) to what its task reads, with how it is trained.

    The one count that everything follows from is `steps_done`, optimiser steps since the run's beginning; Lightning's
    own counts are those of this process, which may have begun in the middle.

    objective: what a step minimises; it holds the partner, where there is one.
    averaged: at most one network, the moving average of the weights (a list hides it from torch.nn).
    history: a row per finished epoch, the columns of metrics.csv.
    judging: what validation makes of the network's answers.
    best: epoch, scores and `Judging.place` of the best epoch; None before the first.
    losses: sum and number of the training losses of the epoch under way, over the parts of all processes.
    """

    def __init__(
        self,
        net: nn.Module,
        config: TrainConfig,
        classes: tuple[str, ...],
        stream: Stream,
        state: dict[str, Any] | None,
        objective: Objective,
        judging: Judging,
    ) -> None:
        super().__init__()
        self.net, self.config, self.classes, self.stream = net, config, classes, stream
        self.steps_per_epoch = len(stream.loader) // config.accumulate
        self.together = Together()
        self.objective, self.judging = objective, judging
        self.averaged: list[nn.Module] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.losses = (0.0, 0)
        self.first_step, self.seconds_before = 0, 0.0
        self.started = time.monotonic()
        self.place = (0, -1)  # epoch and number of the last batch
        self._epoch_began, self._images = 0.0, 0
        self._pace = {"images_per_s": 0.0, "data_wait": 0.0}
        self._mixup = None
        if config.mixup:
            from timm.data.mixup import Mixup

            self._mixup = Mixup(config.mixup, label_smoothing=config.label_smoothing, num_classes=len(classes))
        if state is not None:
            if state.get("teacher") != objective.teacher_digest:
                raise BadInput(f"the weights of {config.teacher} are no longer those that this run was begun with")
            net.load_state_dict(state["net"])
            if self.partner is not None:
                self.partner.load_state_dict(state["partner"])
            self.first_step, self.seconds_before = state["step"], state["seconds"]
            self.history, self.best, self.losses = list(state["history"]), state["best"], tuple(state["losses"])
            stream.load(state.get("stream"))
        stream.position = divmod(self.first_step, self.steps_per_epoch)
        if config.freeze == "backbone":
            set_frozen(net, True)  # before several processes agree on which gradients they share

    @property
    def steps_done(self) -> int:
        """Optimiser steps since the beginning of the run."""
        return self.first_step + self.global_step

    def mid_step(self, batch_idx: int) -> bool:
        """Whether this batch is a part of a step, but not its last one."""
        return (batch_idx + 1) % self.config.accumulate != 0

    @property
    def between_epochs(self) -> bool:
        """Whether the last step was the last of its epoch."""
        return self.steps_done % self.steps_per_epoch == 0

    @property
    def seconds(self) -> float:
        """Time trained, by this process and those before it."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def out_of_time(self) -> bool:
        """Whether the state that this process began with is where the time limit has ended the run."""
        limit, validated = self.config.time_limit_s, self.history and self.history[-1]["step"] == self.first_step
        return limit is not None and self.seconds_before > limit and bool(validated)

    @property
    def judged(self) -> nn.Module:
        """The network that validation judges and that is kept: the average where there is one."""
        return self.averaged[0] if self.averaged else self.net

    @property
    def partner(self) -> nn.Module | None:
        """The network that trains beside this one, if any."""
        return self.objective.partner

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One of `create_optimizer`, of the partner's weights too."""
        optimizer = create_optimizer(self.net, self.config)
        if self.partner is not None:
            for group in create_optimizer(self.partner, self.config).param_groups:
                optimizer.add_param_group(group)
        return optimizer

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the network's gradients as if it trained alone, and the partner's likewise."""
        if self.partner is None or gradient_clip_val is None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        own = set(self.net.parameters())
        ordered = [p for group in optimizer.param_groups for p in group["params"]]  # as alone, to the last bit
        for ours in (True, False):
            nn.utils.clip_grad_norm_([p for p in ordered if (p in own) == ours], gradient_clip_val)

    def setup(self, stage: str) -> None:
        """Meet the other processes.

        Raises:
            BadInput: they go on from another step or have other data.
        """
        self.together = Together(self.trainer.world_size)
        if not self.together.same((self.first_step, self.steps_per_epoch)):
            raise BadInput("the processes of this run see different data or run folders; let them share both")

    def configure_model(self) -> None:
        """Share the weights out."""
        if self.config.strategy == "fsdp":
            for net in (self.net, *self.averaged):
                shard(net, self.device, self.trainer.world_size)

    def on_train_epoch_start(self) -> None:
        """Point the stream at the next batch; freeze or free the backbone."""
        epoch, batch = self.stream.position = divmod(self.steps_done, self.steps_per_epoch)
        if batch == 0:
            self.losses = (0.0, 0)
        self._epoch_began, self._images = time.perf_counter(), 0
        freeze = self.config.freeze
        self.net.train()
        self.objective.train()
        if freeze != "none":
            set_frozen(self.net, freeze == "backbone" or epoch < int(freeze))
        if self.config.freeze_norm:
            freeze_norms(self.net)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate of this step and the generators of this part of it."""
        for group in self.optimizers(use_pl_optimizer=False).param_groups:
            scale = group.get("scale_of_lr", 1.0)
            group["lr"] = scale * lr_at(self.config, self.steps_done, self.steps_per_epoch)
        parts = self.config.accumulate
        seed_step(self.config.seed, self.steps_done, self.global_rank * parts + batch_idx % parts)

    def training_step(self, batch: tuple[Tensor, Any], batch_idx: int) -> Tensor:
        """Loss of one batch: images (N, C, H, W), and classes (N,) or what the task's criterion reads.

        The loss, the mean of all processes', is looked at before the weights are changed, while what made it can still
        be found; on a GPU this waits for the forward pass.

        Raises:
            Diverged: it, or the partner's, is not a finite number.
        """
        losses = self.losses_of(batch)
        own = {whose: float(loss.detach()) for whose, loss in losses.items()}
        values = {whose: self.together.mean(value) for whose, value in own.items()}
        epoch, first = self.stream.position
        before, self.place = self.place, (epoch, first + batch_idx // self.config.accumulate)
        if not all(map(math.isfinite, values.values())):
            part = batch_idx % self.config.accumulate
            seed_step(self.config.seed, self.steps_done, self.global_rank * self.config.accumulate + part)
            raise Diverged(failure(self, values, own, batch, before, part))
        self.losses = (self.losses[0] + values["network"], self.losses[1] + 1)
        return torch.stack(list(losses.values())).sum()

    def losses_of(self, batch: tuple[Tensor, Any]) -> dict[str, Tensor]:
        """The losses whose sum a step descends, by whose they are."""
        images, target = batch
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        if self._mixup is not None:
            even = len(images) // 2 * 2  # it mixes pairs, in place: a batch that fails is looked at as it came
            self._mixup.mixup_alpha = mixup_at(self.config, self.steps_done // self.steps_per_epoch)
            self._mixup.mixup_enabled = self._mixup.mixup_alpha > 0
            images, target = self._mixup(images[:even].clone(), target[:even])
        losses = self.objective(self.net, images, target)
        if self.config.group_lasso:
            losses["network"] = losses["network"] + self.config.group_lasso * group_lasso(self.net)
        return losses

    def check_weights(self) -> None:
        """See that the last step has left finite weights, before they are judged or saved.

        Raises:
            Diverged: it has not; names the first such parameter and the files of the batch.
        """
        if (name := bad_parameter(self)) is not None:
            what = f"step {self.steps_done} made the weights {name} infinite or no number"
            raise Diverged(f"{what}, with {in_words(self.stream, self.place)}; {lower_rate(self.config)}")

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Any], batch_idx: int) -> None:
        """Count the images; make ready for the processes that validation forks."""
        self._images += len(batch[0])
        if self.config.workers and self.between_epochs and not self.mid_step(batch_idx):
            give_back()

    def on_validation_start(self) -> None:
        """How fast the epoch trained, validation apart; of a resumed epoch, what this process did of it."""
        seconds = time.perf_counter() - self._epoch_began
        self._pace = {
            "images_per_s": round(self._images * self.trainer.world_size / seconds, 2),
            "data_wait": round(min(1.0, self.stream.waited / seconds), 4),
        }

    def on_validation_epoch_start(self) -> None:
        """See that there is something to judge, with one process's statistics of batch norms, which are kept."""
        self.check_weights()
        self.together.as_the_first([*self.judged.buffers(), *self.objective.buffers()])
        self.judging.begin()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep what is answered to one batch."""
        self.judging.take(self.judged, self.partner, batch)

    def on_validation_epoch_end(self) -> None:
        """Score all samples together, each once, and write down what the epoch came to."""
        columns = self.judging.end(self.together)
        row = {
            "epoch": -(-self.steps_done // self.steps_per_epoch),
            "step": self.steps_done,
            "lr": lr_at(self.config, self.steps_done - 1, self.steps_per_epoch),
            "train_loss": self.losses[0] / max(1, self.losses[1]),
            **{name: value for name, value in columns.items() if name != PARTNER},
            "seconds": round(self.seconds, 3),
            **self._pace,
            **{name: value for name, value in columns.items() if name == PARTNER},
        }
        self.history = [*self.history, row]
        if self.best is None or self.judging.better(self.best):
            assert self.judging.scores is not None
            self.best = {"epoch": row["epoch"], **self.judging.place(), "scores": self.judging.scores.to_json()}
