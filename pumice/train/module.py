"""The training and validation step of a classifier, and what an epoch came to."""

import random
import time
from functools import partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput, CheckFailed, nearest
from pumice.models.condense import group_lasso
from pumice.tasks.classify import score
from pumice.train.config import TrainConfig
from pumice.train.freeze import set_frozen
from pumice.train.schedule import lr_at, mixup_at
from pumice.train.stream import Stream

_MASK = (1 << 64) - 1


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed every generator from the run's seed and the step, so that a resumed run draws what it would have drawn.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbouring steps are unrelated.
    """
    mixed = (seed << 40) + (rank << 32) + step
    for multiplier, shift in ((0x9E3779B97F4A7C15, 30), (0xBF58476D1CE4E5B9, 27), (0x94D049BB133111EB, 31)):
        mixed = (mixed + 1) * multiplier & _MASK
        mixed ^= mixed >> shift
    torch.manual_seed(mixed >> 1)
    np.random.seed(mixed & 0xFFFFFFFF)  # noqa: NPY002 - timm's mixup draws from the global generator
    random.seed(mixed)


def loss_of(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in float32.  Targets: classes (N,), or distributions (N, classes), smoothed already."""
    smoothing = label_smoothing if target.ndim == 1 else 0.0
    return functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)


def create_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """timm's optimiser of that name; norms and biases are not decayed unless `decay_norm_bias`.

    Raises:
        BadInput: timm does not know the name, or that optimiser has no eps to set.
    """
    from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers

    name = {"rmsprop": "rmsproptf"}.get(config.optimizer, config.optimizer)
    known = list_optimizers()
    if name not in known:
        raise BadInput(f"there is no optimiser {config.optimizer!r}{nearest(name, known)}")
    if config.opt_eps is not None and not get_optimizer_info(name).has_eps:
        raise BadInput(f"{config.optimizer} has no eps; leave optim.opt_eps out, or choose rmsprop")
    return create_optimizer_v2(
        net,
        opt=name,
        lr=config.lr,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        filter_bias_and_bn=not config.decay_norm_bias,
        param_group_fn=None if config.decay_depthwise else partial(_sparing_depthwise, config),
        **({} if config.opt_eps is None else {"eps": config.opt_eps}),
    )


def _sparing_depthwise(config: TrainConfig, net: nn.Module) -> list[dict[str, Any]]:
    """timm's groups of parameters, with depthwise kernels among those that are not decayed."""
    from timm.optim import param_groups_weight_decay

    spared = {
        f"{name}.weight" if name else "weight"
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels
    }
    own: set[str] = getattr(net, "no_weight_decay", set)()
    groups: list[dict[str, Any]] = param_groups_weight_decay(
        net,
        config.weight_decay,
        weight_decay_exclude_1d=not config.decay_norm_bias,
        no_weight_decay_list=spared | set(own),
    )
    return groups


class Classifier(pl.LightningModule):  # type: ignore[misc]
    """A network that maps (N, C, H, W) to logits, with how it is trained.

    The one count that everything follows from is `steps_done`, optimiser steps since the run's beginning; Lightning's
    own counts are those of this process, which may have begun in the middle.

    averaged: at most one network, the moving average of the weights (a list hides it from torch.nn).
    history: a row per finished epoch, the columns of metrics.csv.
    best: epoch, top1, loss and scores of the best epoch, by accuracy, then by loss; None before the first.
    losses: sum and number of the training losses of the epoch under way.
    """

    def __init__(
        self,
        net: nn.Module,
        config: TrainConfig,
        classes: tuple[str, ...],
        stream: Stream,
        state: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.net, self.config, self.classes, self.stream = net, config, classes, stream
        self.steps_per_epoch = len(stream.loader)
        self.averaged: list[nn.Module] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.losses = (0.0, 0)
        self.first_step, self.seconds_before = 0, 0.0
        self.started = time.monotonic()
        self._unread: tuple[int, Tensor] | None = None
        self._outputs: list[tuple[Tensor, Tensor]] = []
        self._mixup = None
        if config.mixup:
            from timm.data.mixup import Mixup

            self._mixup = Mixup(config.mixup, label_smoothing=config.label_smoothing, num_classes=len(classes))
        if state is not None:
            net.load_state_dict(state["net"])
            self.first_step, self.seconds_before = state["step"], state["seconds"]
            self.history, self.best, self.losses = list(state["history"]), state["best"], tuple(state["losses"])
        stream.position = divmod(self.first_step, self.steps_per_epoch)

    @property
    def steps_done(self) -> int:
        """Optimiser steps since the beginning of the run."""
        return self.first_step + self.global_step

    @property
    def between_epochs(self) -> bool:
        """Whether the last step was the last of its epoch."""
        return self.steps_done % self.steps_per_epoch == 0

    @property
    def seconds(self) -> float:
        """Time trained, by this process and those before it."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def judged(self) -> nn.Module:
        """The network that validation judges and that is kept: the average where there is one."""
        return self.averaged[0] if self.averaged else self.net

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """See `create_optimizer`."""
        return create_optimizer(self.net, self.config)

    def setup(self, stage: str) -> None:
        """Take this process's share of the images."""
        self.stream.sampler.rank = self.global_rank

    def on_train_epoch_start(self) -> None:
        """Point the stream at the next batch; freeze or free the backbone."""
        epoch, batch = self.stream.position = divmod(self.steps_done, self.steps_per_epoch)
        if batch == 0:
            self.losses = (0.0, 0)
        freeze = self.config.freeze
        self.net.train()
        if freeze != "none":
            set_frozen(self.net, freeze == "backbone" or epoch < int(freeze))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate and the generators of this step."""
        for group in self.optimizers(use_pl_optimizer=False).param_groups:
            group["lr"] = lr_at(self.config, self.steps_done, self.steps_per_epoch)
        seed_step(self.config.seed, self.steps_done, self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch: images (N, C, H, W) and classes (N,)."""
        images, target = batch
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        if self._mixup is not None:
            even = len(images) // 2 * 2  # it mixes pairs
            self._mixup.mixup_alpha = mixup_at(self.config, self.steps_done // self.steps_per_epoch)
            self._mixup.mixup_enabled = self._mixup.mixup_alpha > 0
            images, target = self._mixup(images[:even], target[:even])
        loss = loss_of(self.net(images), target, self.config.label_smoothing)
        if self.config.group_lasso:
            loss = loss + self.config.group_lasso * group_lasso(self.net)
        self.read_losses()
        self._unread = (self.steps_done + 1, loss.detach())
        return loss

    def read_losses(self) -> None:
        """Add the last loss to the epoch's sum.

        It is read one step late, so that a device is not waited for; before anything is saved it is read at once.

        Raises:
            CheckFailed: it is not a finite number.
        """
        if self._unread is None:
            return
        step, value = self._unread[0], float(self._unread[1])
        self._unread = None
        if value != value or abs(value) == float("inf"):
            lower = f"`--set optim.lr={self.config.lr / 4:.1g}`"
            raise CheckFailed(f"the loss at step {step} is {value}; train again with a lower learning rate, {lower}")
        self.losses = (self.losses[0] + value, self.losses[1] + 1)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the logits of one batch."""
        images, target = batch
        self._outputs.append((self.judged(images).float().cpu(), target.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Score all images together, and write down what the epoch came to."""
        self.read_losses()
        logits, labels = (torch.cat(part).numpy() for part in zip(*self._outputs, strict=True))
        self._outputs.clear()
        scores = score(logits, labels, self.classes)
        row = {
            "epoch": -(-self.steps_done // self.steps_per_epoch),
            "step": self.steps_done,
            "lr": lr_at(self.config, self.steps_done - 1, self.steps_per_epoch),
            "train_loss": self.losses[0] / max(1, self.losses[1]),
            "val_loss": scores.loss,
            "val_top1": scores.top1,
            "seconds": round(self.seconds, 3),
        }
        self.history = [*self.history, row]
        if self.best is None or (scores.top1, -scores.loss) > (self.best["top1"], -self.best["loss"]):
            place = {"epoch": row["epoch"], "top1": scores.top1, "loss": scores.loss}
            self.best = {**place, "scores": scores.to_json()}
