"""Validation of a dense task in several processes: what each has judged is scored together, each sample once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pumice.data.masks import MaskSet
from pumice.data.preprocess import Preprocess
from pumice.tasks.segment.task import Segment
from pumice.train.judging import DenseJudging
from pumice.train.together import Together


class Two(Together):
    """The first of two processes; what the second says is given."""

    def __init__(self, others: list[Any]) -> None:
        super().__init__(1)
        self.world, self.others = 2, others

    def in_turn(self, mine: Tensor) -> Tensor:
        if mine.ndim == 1:  # lengths
            self.other = torch.frombuffer(bytearray(self._content()), dtype=torch.uint8)
            return torch.tensor([int(mine), len(self.other)])
        theirs = torch.zeros_like(mine)
        theirs[0, : len(self.other)] = self.other
        return torch.cat([mine, theirs])

    def _content(self) -> bytes:
        import json

        return json.dumps(self.others).encode()


def test_what_every_process_says_is_exchanged() -> None:
    long, short = [[1, 0.1, None], ["é" * 50]], [[2, 1 / 3]]
    assert Two(short).everyones(long) == [long, short]
    assert Two(long).everyones(short) == [short, long]
    assert Together().everyones(short) == [short]


def masks(*values: Sequence[int]) -> MaskSet:
    arrays = [np.array([row], np.uint8) for row in values]
    names = tuple(f"{i}" for i in range(len(values)))
    loaders = tuple(lambda: None for _ in values)  # type: ignore[misc]
    return MaskSet(("a", "b"), names, loaders, tuple(lambda array=array: array for array in arrays))  # type: ignore[misc, arg-type]


class Answers(nn.Module):
    """Logits (N, 2, 1, 2) that are its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_each_sample_is_scored_once() -> None:
    """Three samples in two processes: the second judges number 1 and, to fill up, number 0 once more."""
    truth = masks([0, 1], [1, 1], [0, 0])
    right = [[[[1.0, 0.0]], [[0.0, 1.0]]]]
    all_b = [[[[0.0, 0.0]], [[1.0, 1.0]]]]
    preprocess = Preprocess(size=(1, 2))

    def judging() -> DenseJudging:
        return DenseJudging(Segment(), truth, preprocess, {})

    second, first = judging(), judging()
    second.take(Answers(), None, (torch.tensor([1, 0]), torch.tensor(all_b + all_b)))
    first.take(Answers(), None, (torch.tensor([0, 2]), torch.tensor(right + all_b)))
    columns = first.end(Two(second._judge.answers()))
    assert columns["val_accuracy"] == pytest.approx(4 / 6)  # 0 as this process judged it, 1 right, 2 wrong
    assert first.scores is not None
    assert first.scores.count == 3
    assert first.better({"main": first.scores.main - 0.01})
    assert not first.better(first.place())
