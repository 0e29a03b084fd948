"""What a segmentation net answers -> a class for every pixel of the image.  Pillow and numpy alone."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def class_map(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The class of the highest logit at each pixel of an image, (H, W); among equals the lower class.

    Logits are resized bilinearly, corner to corner, and those of a larger map averaged.

    Args:
        logits: (classes, h, w).
        size: height and width of the image.
    """
    best = resized(logits[0], size)
    found = np.zeros(size, np.uint8)
    for label in range(1, len(logits)):
        rival = resized(logits[label], size)
        found[rival > best] = label
        best = np.maximum(best, rival)
    return found


def resized(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) -> (H, W)."""
    if plane.shape == size:
        return plane
    height, width = size
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.BILINEAR))
