"""Freed memory stays with a process that trains on a CPU, and goes back to the system afterwards."""

import multiprocessing
import resource
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from pumice.data.images import Splits
from pumice.train import trainer
from pumice.train.heap import _glibc, give_back, memory_kept
from pumice.train.interrupt import Interrupt
from tests.train.conftest import Tiny, tiny_config

pytestmark = pytest.mark.skipif(_glibc() is None, reason="the C library is another")
BLOCK, SOME = 256, 64  # MiB


def resident() -> float:
    """MiB of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def left_by_a_block() -> float:
    """MiB that stay when a block has been written and freed."""
    before = resident()
    block = torch.ones(BLOCK, 2**18)
    del block
    return resident() - before


def test_freed_memory_is_kept_and_goes_back_at_the_end() -> None:
    """In a process of its own: where other tests have trained, a block finds room that they have left."""
    worker = multiprocessing.get_context("spawn").Process(target=kept_and_back)
    worker.start()
    worker.join()
    assert worker.exitcode == 0


def kept_and_back() -> None:
    before = resident()
    assert left_by_a_block() < SOME
    with memory_kept():
        assert left_by_a_block() > BLOCK - SOME
        # The next ones lie where the first has been; one of them may not fit, where something small came between.
        assert sum(left_by_a_block() for _ in range(6)) < BLOCK + SOME
        give_back()
        assert resident() - before < SOME
        assert left_by_a_block() > BLOCK - SOME
    assert resident() - before < SOME  # a later block may lie where these have been, and then stays


class Look(pl.Callback):  # type: ignore[misc]
    """Frees a block in the last step of an epoch and sees what validation finds of it."""

    def __init__(self) -> None:
        self.before = self.after_step = self.at_validation = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if module.between_epochs:
            self.before = resident()
            left_by_a_block()
            self.after_step = resident() - self.before

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.at_validation = resident() - self.before


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_keeps_it_but_for_processes_that_validation_forks(few_digits: Splits, workers: int) -> None:
    look, before = Look(), resident()
    config = tiny_config(epochs=1, workers=workers)
    trainer.run_epochs(Tiny(), few_digits, config, Interrupt(), more=(look,))
    assert look.after_step > BLOCK - SOME
    assert (look.at_validation < SOME) == bool(workers)
    assert resident() - before < 2 * SOME  # what the first run of a process loads


def test_weights_do_not_depend_on_it(few_digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for kept in (memory_kept, nullcontext):
        monkeypatch.setattr(trainer, "memory_kept", kept)
        torch.manual_seed(0)
        states.append(trainer.train_once(Tiny(), few_digits, tiny_config())[0]["net"])
    one, other = states
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
