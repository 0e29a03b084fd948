"""Scores of a dense network on a set, however it is run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pumice.data.preprocess import Preprocess
from pumice.progress import track
from pumice.tasks.runner import runner
from pumice.tasks.task import Judge, Samples, Task, TaskScores

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.session import Session


def evaluate(
    model: "Session | nn.Module",
    task: Task,
    samples: Samples,
    preprocess: Preprocess,
    decode: Mapping[str, Any],
    batch_size: int = 16,
) -> TaskScores:
    """Scores of a network, each sample fed as validation in training feeds it.

    decode: `Manifest.decode` of the network.

    Raises:
        BadInput: see `Judge.add` and `Judge.scores`.
        CheckFailed: an output was no finite number.
    """
    return judged(model, task, samples, preprocess, decode, batch_size).scores()


def judged(
    model: "Session | nn.Module",
    task: Task,
    samples: Samples,
    preprocess: Preprocess,
    decode: Mapping[str, Any],
    batch_size: int = 16,
) -> Judge:
    """The judge that has seen all outputs; see `evaluate`."""
    once, batch_size = runner(model, batch_size)
    run = task.answering(once, samples)
    inputs: Any = task.judging_set(samples, preprocess)
    judge = task.judge(samples, preprocess, decode)
    for start in track(range(0, len(inputs), batch_size), "evaluating"):
        indices = range(start, min(start + batch_size, len(inputs)))
        judge.add(indices, run(np.stack([np.asarray(inputs[i]) for i in indices])))
    return judge
