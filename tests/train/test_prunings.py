"""Every pruning of a net that learns its groups is done exactly once, at its optimiser step, and by training alone."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from pumice.data.images import Splits
from pumice.models.condense import learned, set_progress
from pumice.models.create import create_model
from pumice.nn.learned_group import LearnedGroupConv
from pumice.train.condense import Condense
from pumice.train.config import TrainConfig
from pumice.train.interrupt import Interrupt
from pumice.train.module import Learner
from pumice.train.objective import Objective
from pumice.train.trainer import run_epochs
from tests.train.conftest import tiny_config

C4: dict[str, Any] = {"layers": 1, "growth": 4}
C8: dict[str, Any] = {"layers": 1, "growth": 8, "groups": 8, "condense_factor": 8}


def net_of(options: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    return create_model("condensenet50_cifar", num_classes=10, condensed=False, **options)


def masks(net: nn.Module) -> list[Tensor]:
    return [layer.conv.mask.clone() for _, layer in learned(net)]


def density(net: nn.Module) -> float:
    """Of the masks, which must agree."""
    (share,) = {float(mask.mean()) for mask in masks(net)}
    return share


@pytest.fixture
def prunings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, float]]]:
    """(count before, density after) of every time that a mask changed, whoever did it."""
    seen: list[tuple[int, float]] = []
    untouched = LearnedGroupConv.prune

    def prune(self: LearnedGroupConv, stage: int) -> None:
        before, count = self.conv.mask.clone(), int(self.count)
        untouched(self, stage)
        if not torch.equal(before, self.conv.mask):
            seen.append((count * self.condense_factor // self.in_channels, float(self.conv.mask.mean())))

    monkeypatch.setattr(LearnedGroupConv, "prune", prune)
    return seen


class Watch(pl.Callback):  # type: ignore[misc]
    """Density before every step and while every validation batch is judged; between steps it may do something more."""

    def __init__(self, between: Callable[[nn.Module], None] | None = None) -> None:
        self.trained: list[float] = []
        self.judged: list[float] = []
        self.between = between

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.trained.append(density(pl_module.net))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.between is not None:
            self.between(pl_module.net)

    def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.judged.append(density(pl_module.judged))


def watched(
    splits: Splits,
    config: TrainConfig,
    options: dict[str, Any],
    between: Callable[[nn.Module], None] | None = None,
) -> tuple[Watch, nn.Module]:
    watch, net = Watch(between), net_of(options)
    with Interrupt() as interrupt:
        run_epochs(net, splits, config, interrupt, more=(watch,))
    return watch, net


def config_of(**changes: Any) -> TrainConfig:
    return tiny_config(**{"ema_decay": None, "img_size": 16, **changes})


@pytest.mark.parametrize(
    ("options", "changes", "want"),
    [
        (C4, {"batch_size": 32}, [1.0] * 2 + [0.75] * 2 + [0.5] * 2 + [0.25] * 6),
        (C4, {"batch_size": 50, "epochs": 3}, [1.0] * 2 + [0.75] * 2 + [0.5] * 2 + [0.25] * 6),
        (C4, {"batch_size": 200, "epochs": 3}, [1.0, 0.5, 0.25]),  # two prunings at once
        (C4, {"batch_size": 32, "condense_epochs": 1.5}, [1.0] * 3 + [0.75] * 3 + [0.5] * 3 + [0.25] * 3),
        (C8, {"batch_size": 16}, None),
    ],
)
def test_the_whole_schedule(
    options: dict[str, Any],
    changes: dict[str, Any],
    want: list[float] | None,
    few_digits: Splits,
    prunings: list[tuple[int, float]],
) -> None:
    watch, net = watched(few_digits, config_of(**changes), options)
    factor = options.get("condense_factor", 4)
    layers = len(list(learned(net)))
    if want is None:  # C - 1 prunings at n / (2 (C - 1)) of the steps, each before the first step from there on
        due = [len(watch.trained) * n / (2 * (factor - 1)) for n in range(1, factor)]
        want = [1 - sum(step >= moment for moment in due) / factor for step in range(len(watch.trained))]
    assert watch.trained == pytest.approx(want)
    assert density(net) == 1 / factor
    changes_seen = sum(a != b for a, b in zip(watch.trained, watch.trained[1:], strict=False))
    assert len(prunings) == layers * changes_seen  # no mask changed at any other time
    assert len(set(prunings)) == changes_seen


def test_judging_never_prunes(few_digits: Splits, prunings: list[tuple[int, float]]) -> None:
    """The pruning that is due after the first epoch waits for the next step; passes in between change nothing."""
    passes = 0

    def judge(net: nn.Module) -> None:
        nonlocal passes
        before = masks(net)
        was = net.training
        for training in (False, True):
            states = {k: v.clone() for k, v in net.state_dict().items()}
            with torch.random.fork_rng(), torch.no_grad():
                net.train(training)(torch.zeros(2, 3, 16, 16))
            net.load_state_dict(states)
            passes += 1
        net.train(was)
        assert all(map(torch.equal, before, masks(net)))

    plain, net = watched(few_digits, config_of(), C4)
    assert plain.judged == [0.5, 0.25]
    done = list(prunings)
    prunings.clear()
    judged, other = watched(few_digits, config_of(), C4, judge)
    assert passes == 24
    assert (judged.trained, judged.judged, prunings) == (plain.trained, plain.judged, done)
    for key, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


class Counted(Learner):
    """A learner whose steps are said by the test."""

    steps_done = 0


def test_small_batches_of_one_step_share_its_pruning() -> None:
    """As gradients are accumulated: the masks are those of before the first of them, whatever the weights do."""
    config = config_of(epochs=2)
    net = net_of(C4)
    stream: Any = SimpleNamespace(loader=range(6))
    unused: Any = None
    module = Counted(net, config, tuple("0123456789"), stream, None, Objective(0.0), unused)
    callback, trainer = Condense(), pl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    got = []
    for step in range(12):
        module.steps_done = step
        for batch in range(3):
            before = masks(net)
            callback.on_train_batch_start(trainer, module, None, 3 * step + batch)
            changed = not all(map(torch.equal, before, masks(net)))
            assert not (changed and batch), "within a step"
            got += [step] if changed else []
            for _, layer in learned(net):
                nn.init.normal_(layer.conv.weight)
    assert got == [2, 4, 6]
    assert density(net) == 0.25
    for _, layer in learned(net):
        given_up = layer.by_group(layer.conv.mask)[0] == 0
        assert (given_up.sum(1) == layer.in_channels * 3 // 4).all()


def test_processes_of_equal_weights_prune_alike() -> None:
    """What differs between processes, statistics and gradients of their own images, takes no part in it."""
    nets = [net_of(C4), net_of(C4)]
    for rank, net in enumerate(nets):
        torch.manual_seed(rank)
        net.train()(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert not torch.equal(*(next(iter(learned(net)))[1].norm.running_mean for net in nets))
    for progress in (0.2, 0.4, 0.6):
        for net in nets:
            set_progress(net, progress)
        assert all(map(torch.equal, masks(nets[0]), masks(nets[1])))
    assert density(nets[0]) == 0.25


def test_a_partner_is_not_pruned(few_digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.train.partner.build_net", lambda config, classes: net_of(C8))
    net = net_of(C4)
    config = config_of(partner="condensenet50_cifar", model_options={}, group_lasso=1e-3)
    with Interrupt() as interrupt:
        _, module = run_epochs(net, few_digits, config, interrupt)
    assert module.partner is not None
    assert density(net) == 0.25
    assert density(module.partner) == 1.0
