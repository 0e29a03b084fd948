"""How far two sets of outputs are apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Two ways to sum the same float32 products differ by about 1e-6 of the largest output; a wrong weight by far more.
TOLERANCE = 1e-4
# Of best classes between a network and its 8-bit file: how far it may fall below what the file's record says of the
# images it was calibrated on, and what is never gone below.
SLACK, LEAST_AGREEMENT = 0.03, 0.8


def agreement_asked(quantised: Mapping[str, Any] | None) -> float:
    """The share of best classes that a file must have in common with its network: all, but for one of 8-bit integers.

    Args:
        quantised: what such a file says of its making (`read_quantised`), None for a float file.
    """
    if quantised is None:
        return 1.0
    return max(LEAST_AGREEMENT, float(quantised.get("agreement", 1.0)) - SLACK)


def relative_error(got: NDArray[np.float32], want: NDArray[np.float32]) -> float:
    """max |got - want| / max |want| over everything; infinite where shapes differ or a value is not finite."""
    if got.shape != want.shape or not (np.isfinite(got).all() and np.isfinite(want).all()):
        return float("inf")
    difference, scale = float(np.abs(got - want).max()), float(np.abs(want).max())
    if scale == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / scale


def same_top1(got: NDArray[np.float32], want: NDArray[np.float32], tolerance: float = TOLERANCE) -> NDArray[np.bool_]:
    """(N,) whether the best class of `got` is the best of `want`, or ties with it.

    Both logits may move by tolerance x max |want|, so a margin below twice that decides nothing.
    """
    if got.shape != want.shape or got.ndim != 2:
        return np.zeros(len(want), bool)
    rows = np.arange(len(want))
    margin = want.max(axis=1) - want[rows, got.argmax(axis=1)]
    return np.asarray(margin <= 2 * tolerance * np.abs(want).max(), bool)


def choices(outputs: NDArray[np.float32], task: str) -> NDArray[np.float32]:
    """(choices, options): what is chosen among, by the highest number.

    The classes of an image, of a pixel (N, classes, H, W), of a box (N, boxes, 4 + classes), or the pixels of a joint's
    heatmap (N, joints, h, w).
    """
    if task == "segment":
        return np.moveaxis(outputs, 1, -1).reshape(-1, outputs.shape[1])
    if task == "detect":
        return outputs[..., 4:].reshape(-1, outputs.shape[2] - 4)
    if task == "keypoints":
        return outputs.reshape(outputs.shape[0] * outputs.shape[1], -1)
    return outputs


def classes_in(outputs: NDArray[np.float32], task: str) -> int:
    """How many classes outputs are about, a detector's background left out; joints of keypoints."""
    if task in ("segment", "keypoints"):
        return outputs.shape[1]
    return outputs.shape[-1] - 5 if task == "detect" else outputs.shape[-1]


def variation(outputs: NDArray[np.float32]) -> float:
    """How much the outputs depend on the input: max |y_i - mean y| / max |y| over the images, 0 for one image."""
    scale = float(np.abs(outputs).max())
    if len(outputs) < 2 or scale == 0 or not np.isfinite(outputs).all():
        return 0.0
    return float(np.abs(outputs - outputs.mean(axis=0)).max()) / scale
