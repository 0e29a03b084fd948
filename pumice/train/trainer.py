"""Lightning's Trainer around one network, without a run folder."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn

from pumice.data.images import Splits
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.names import CLASSIFY
from pumice.train.classifying import class_parts, create_objective
from pumice.train.condense import Condense, learns_groups
from pumice.train.config import TrainConfig
from pumice.train.dense import dense_parts
from pumice.train.ema import Ema
from pumice.train.heap import memory_kept
from pumice.train.in_place import in_place
from pumice.train.interrupt import Interrupt, Interrupted
from pumice.train.launch import started
from pumice.train.module import Learner
from pumice.train.objective import Objective
from pumice.train.parts import Place
from pumice.train.records import Records, Stop
from pumice.train.state import State, capture, restore
from pumice.train.stream import Stream
from pumice.train.together import lost


class Restore(pl.Callback):  # type: ignore[misc]
    """Puts optimiser and scaler back as soon as they exist."""

    def __init__(self, state: State) -> None:
        self.state = state

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put them back."""
        assert isinstance(pl_module, Learner)
        restore(trainer, pl_module, self.state)


class EachEpoch(pl.Callback):  # type: ignore[misc]
    """Tells somebody the row of every epoch, and ends training where the answer is to stop."""

    def __init__(self, tell: Callable[[dict[str, float]], bool]) -> None:
        self.tell = tell

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell, and stop."""
        assert isinstance(pl_module, Learner)
        if self.tell(pl_module.history[-1]):
            trainer.should_stop = True


def run_epochs(
    net: nn.Module,
    splits: Splits,
    config: TrainConfig,
    interrupt: Interrupt,
    *,
    state: State | None = None,
    until_epoch: int | None = None,
    records: Records | None = None,
    more: tuple[pl.Callback, ...] = (),
    objective: Objective | None = None,
) -> tuple[pl.Trainer, Learner]:
    """Train in place, from `state` on, to the end of `until_epoch` (the last one if None).

    Raises:
        BadInput: settings that this machine or these data do not allow.
        CheckFailed: the loss is no longer a number; memory ran out; another process has died.
        Interrupted: the user asked for it.
    """
    if config.group_lasso and not learns_groups(net):
        raise BadInput("group_lasso is for nets that learn their groups; this one does not, so leave it at 0")
    if config.condense_epochs is not None and not learns_groups(net):
        raise BadInput("condense_epochs is for nets that learn their groups; this one does not, so leave it out")
    if objective is None and config.task == CLASSIFY:
        objective = create_objective(net, config, splits.classes)
    callbacks = [
        *([Condense()] if learns_groups(net) else []),
        *(
            [Ema(config.ema_decay, None if state is None else state["average"], config.ema_warmup)]
            if config.ema_decay
            else []
        ),
        *([Restore(state)] if state is not None else []),
        *([records] if records is not None else []),
        *more,
        Stop(interrupt, config.time_limit_s, records),
    ]
    with _quiet():
        trainer = _trainer(config, callbacks)
        _check(config, net, trainer, splits.train_images)
        on_gpu = trainer.strategy.root_device.type == "cuda"
        place = Place(trainer.global_rank, trainer.world_size, on_gpu)
        parts = (
            class_parts(net, splits, config, objective, place)
            if objective is not None
            else dense_parts(net, splits, config, place)
        )
        if config.channels_last and config.strategy != "fsdp":  # which shares out rows of the usual format
            net.to(memory_format=torch.channels_last)
            parts.objective.to(memory_format=torch.channels_last)
        stream = Stream(parts.train, parts.called)
        module = Learner(net, config, splits.classes, stream, state, parts.objective, parts.judging)
        epochs = min(config.epochs, until_epoch or config.epochs) - module.first_step // module.steps_per_epoch
        if epochs > 0 and not module.out_of_time:
            trainer.fit_loop.max_epochs = epochs
            kept = memory_kept() if trainer.strategy.root_device.type == "cpu" else nullcontext()
            try:
                with _memory_in_words(config), in_place(net, module.partner), kept:
                    trainer.fit(module, module.stream, parts.val)
            except RuntimeError as error:
                if trainer.world_size == 1 or not lost(error):
                    raise
                raise CheckFailed(
                    "another process of this run has ended; its own words are above or in its log"
                ) from error
    return trainer, module


def _check(config: TrainConfig, net: nn.Module, trainer: pl.Trainer, images: int) -> None:
    """Refuse what does not go together.

    Raises:
        BadInput: see above.
    """
    world, asked = trainer.world_size, trainer.num_devices * trainer.num_nodes
    parts = world * config.accumulate
    if (count := started()) is not None and count != asked:
        raise BadInput(
            f"{count} processes were started, but train.devices and train.nodes ask for {asked}; "
            f"set train.devices to the processes of a machine and train.nodes to the machines"
        )
    if config.batch_size % parts:
        raise BadInput(
            f"batch_size={config.batch_size} cannot be shared by {world} devices in {config.accumulate} parts each; "
            f"give a multiple of {parts}"
        )
    if min(config.batch_size, images) < 2 * parts:
        raise BadInput(
            f"{images} training images in batches of {config.batch_size} are too few to train on in {parts} parts; "
            f"each needs at least 2"
        )
    if world > 1 and isinstance(config.freeze, int):
        raise BadInput("freezing for some epochs works on one device; set model.freeze=backbone or train.devices=1")
    if config.sync_bn and (trainer.strategy.root_device.type != "cuda" or config.strategy == "fsdp"):
        raise BadInput("sync_bn works on GPUs with strategy=ddp only; leave it out")
    alone = learns_groups(net) or config.precision == "16-mixed" or config.partner is not None
    if config.strategy == "fsdp" and alone:
        raise BadInput("learned groups, a partner and precision=16-mixed do not work with fsdp; set strategy=ddp")


def train_once(
    net: nn.Module,
    splits: Splits,
    config: TrainConfig,
    *,
    state: State | None = None,
    until_epoch: int | None = None,
    each_epoch: Callable[[dict[str, float]], bool] | None = None,
    objective: Objective | None = None,
) -> tuple[State, list[dict[str, float]]]:
    """Train a network in place without a run folder, as the rungs of successive halving do.

    Args:
        net: see `build_net`; without a state, training starts from its weights.
        splits: the data.
        config: `epochs` is the length of the schedule; `data`, `model` and `weights` are not looked at.
        state: what an earlier call returned for this network, to go on from.
        until_epoch: stop after this epoch of the schedule; the weights are those of an uninterrupted run.
        each_epoch: told every epoch's row; whether to stop there.
        objective: what a classifier's step minimises; by default what the configuration says.

    Returns:
        the state, which `train(..., state=)` accepts too (`judged_weights` are those to keep), and a row per epoch.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after the step.
        BadInput, CheckFailed: see `run_epochs`.
    """
    try:
        with Interrupt() as interrupt:
            more = () if each_epoch is None else (EachEpoch(each_epoch),)
            trainer, module = run_epochs(
                net, splits, config, interrupt, state=state, until_epoch=until_epoch, more=more, objective=objective
            )
            if state is not None and module.global_step == 0:
                return state, list(state["history"])
            return deepcopy(capture(trainer, module)), module.history
    except Interrupted:
        raise KeyboardInterrupt from None


def judged_weights(state: State) -> dict[str, torch.Tensor]:
    """The weights that validation judged: the moving average where there is one."""
    return state["net"] if state["average"] is None else state["average"]


def _trainer(config: TrainConfig, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's Trainer with nothing of its own switched on.

    Raises:
        BadInput: this machine has no such accelerator, precision or strategy.
    """
    accelerator = config.accelerator
    on_gpu = accelerator in ("cuda", "gpu") or (accelerator == "auto" and torch.cuda.is_available())
    if on_gpu:  # deterministic algorithms make torch fill all new memory, which nothing here reads before it is written
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        return pl.Trainer(
            num_nodes=config.nodes,
            max_epochs=config.epochs,
            accelerator=accelerator,
            devices=config.devices,
            strategy=ModelParallelStrategy() if config.strategy == "fsdp" else config.strategy,
            precision=config.precision,
            gradient_clip_val=config.grad_clip,
            accumulate_grad_batches=config.accumulate,
            sync_batchnorm=config.sync_bn,
            callbacks=callbacks,
            deterministic="warn" if on_gpu else None,  # the same weights again; a CPU gives them anyway
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ImportError, ValueError, RuntimeError, KeyError) as error:
        setting = (
            f"accelerator={accelerator}, devices={config.devices}, nodes={config.nodes}, precision={config.precision}"
        )
        reason = " ".join(str(error).split())
        raise BadInput(f"this machine cannot train with {setting}, strategy={config.strategy}: {reason}") from error


@contextmanager
def _memory_in_words(config: TrainConfig) -> Iterator[None]:
    """Raises CheckFailed where the memory of the device, or of the processes that prepare images, has run out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CheckFailed(
            f"the device's memory is full; train with less than batch_size={config.batch_size}"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise CheckFailed(
            "a process that prepares images has died, most likely because memory ran out; free some and go on with "
            f"`pumice train --resume`, or train with less than data.workers={config.workers}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice, which is about settings that Pumice has chosen, and its list of devices."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            # Of distributed training, from torch 2.11 on: the network was wrapped in another stream than it runs in.
            warnings.filterwarnings("ignore", "The AccumulateGrad node's stream does not match")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
