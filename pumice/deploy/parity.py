"""A file held against its network by a yardstick that a lazy network cannot pass: the spread between images.

An error relative to the largest output says little of a network whose outputs hardly change with the image: everything
agrees with it.  Relative to how far the outputs of different images lie apart, it says whether images are told apart
as before.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.compare import TOLERANCE, choices, relative_error, same_top1
from pumice.deploy.network import frozen
from pumice.deploy.session import open_session
from pumice.errors import BadInput

LIMIT = 1e-3
"""Largest error that passes, relative to the spread."""
LEAST_SPREAD = 1e-2
"""Of the largest output.  Below, `LIMIT` of the spread comes near to the rounding of float32 (1e-6 of the largest)."""


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    error_to_spread: max |file - network| / spread; infinite for other shapes, values that are not finite or no spread.
    top1: share of choices (images, for a classifier) with the same best class; ties agree.
    testable: whether the network tells the images apart at all; where it does not, agreement proves nothing.
    """

    error_to_spread: float
    top1: float
    testable: bool

    @property
    def ok(self) -> bool:
        """Whether the network could be tested and the file is right."""
        return self.testable and self.error_to_spread <= LIMIT and self.top1 == 1


def spread(outputs: NDArray[np.float32]) -> float:
    """How far outputs of different images lie apart at most, in one number of the output: max over it of max - min."""
    return float(np.ptp(outputs, axis=0).max()) if np.isfinite(outputs).all() else 0.0


def relative_to_spread(got: NDArray[np.float32], want: NDArray[np.float32]) -> float:
    """max |got - want| / spread(want); infinite where shapes differ, a value is not finite or nothing is spread."""
    apart = spread(want)
    if apart == 0 or got.shape != want.shape or not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got - want).max()) / apart


def testable(outputs: NDArray[np.float32]) -> bool:
    """Whether the images are far enough apart in the outputs for agreement to mean something."""
    return spread(outputs) > LEAST_SPREAD * float(np.abs(outputs).max())


def compare(got: NDArray[np.float32], want: NDArray[np.float32], task: str = "classify") -> Parity:
    """Hold outputs (N, ...) of a file against the network's."""
    shapes = np.isfinite(relative_error(got, want))
    same = shapes and same_top1(choices(got, task), choices(want, task), TOLERANCE)
    return Parity(relative_to_spread(got, want), float(np.mean(same)), testable(want))


def parity(
    file: str | Path,
    model: nn.Module,
    images: NDArray[np.float32],
    *,
    runtime: str = "auto",
    task: str = "classify",
) -> Parity:
    """Run a file and its network on the same images.

    Args:
        file: a model file, or a folder with one.
        model: the network that it was made of.
        images: (N, C, H, W) as the network reads them, two or more.
        runtime: that runs the file.
        task: how the best class is read from the outputs.

    Raises:
        BadInput: the file cannot be opened, or there are fewer than two images.
    """
    if len(images) < 2:
        raise BadInput("the spread between images needs two images or more")
    channels, height, width = images.shape[1:]
    with open_session(file, runtime=runtime, batch=None, input_size=(channels, height, width)) as session:
        got = session.run(images)
    with torch.inference_mode():
        want = frozen(model)(torch.from_numpy(images)).numpy()
    return compare(got, want, task)
