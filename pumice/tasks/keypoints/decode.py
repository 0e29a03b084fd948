"""Heatmaps -> joints, in numpy: Xiao et al., ECCV 2018, arXiv:1804.06208, section 2 and their evaluation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pumice.data.pose_crop import moved, region_of, to_image
from pumice.tasks.task import Run


def peaks(heatmaps: NDArray[np.float32], stride: int) -> NDArray[np.float64]:
    """(N, J, h, w) -> (N, J, 3): x and y in pixels of the input, and the height of the peak.

    The peak is the first highest pixel, moved from its middle by a quarter of a pixel towards the higher of its
    neighbours, along either axis; not at an edge, where there is but one.
    """
    n, j, h, w = heatmaps.shape
    flat = heatmaps.reshape(n, j, h * w)
    best = flat.argmax(axis=2)
    y, x = np.divmod(best, w)
    rows, columns = np.ogrid[:n, :j]
    inside_x, inside_y = (x > 0) & (x < w - 1), (y > 0) & (y < h - 1)
    left, right = (heatmaps[rows, columns, y, np.clip(x + step, 0, w - 1)] for step in (-1, 1))
    above, below = (heatmaps[rows, columns, np.clip(y + step, 0, h - 1), x] for step in (-1, 1))
    across = x + 0.5 + 0.25 * np.sign(right - left) * inside_x
    down = y + 0.5 + 0.25 * np.sign(below - above) * inside_y
    score = np.take_along_axis(flat, best[:, :, None], axis=2)[:, :, 0]
    return np.stack([across * stride, down * stride, score], axis=2).astype(np.float64)


def joints_in_image(
    heatmaps: NDArray[np.float32], boxes: Sequence[Sequence[float]], size: tuple[int, int], stride: int
) -> NDArray[np.float64]:
    """(N, J, h, w) of the persons in these boxes -> (N, J, 3): x and y in pixels of their whole image, and a score.

    size: height and width of the network's input.
    """
    found = peaks(heatmaps, stride)
    for person, box in zip(found, boxes, strict=True):
        person[:, :2] = moved(person[:, :2], to_image(region_of(box, size), size))
    return found


def flip_tested(run: Run, flip: Sequence[int]) -> Run:
    """`run` with each answer the mean of that to the input and that to its mirror image, mirrored back.

    flip: for each joint the one that takes its place in a mirror image.
    """

    def both(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        straight = run(batch)
        # Width is the last dimension of planes; that of pixels, which a baked file reads, is the channels.
        width = -2 if batch.dtype == np.uint8 else -1
        mirrored = run(np.ascontiguousarray(np.flip(batch, width)))
        return (straight + mirrored[:, list(flip), :, ::-1]) * np.float32(0.5)

    return both
