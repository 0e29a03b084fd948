"""The data set that needs no files: 1,797 real scanned digits that come with scikit-learn.

Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998: 8x8 pixels,
values 0 to 16.
"""

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.images import ImageSet, Splits
from pumice.data.split import split_set
from pumice.errors import BadInput

CLASSES = tuple("0123456789")


def open_digits(*, seed: int = 0, val_fraction: float = 0.2) -> Splits:
    """The digits, split reproducibly.

    Raises:
        BadInput: scikit-learn is not installed.
    """
    pixels, labels = _pixels()
    images = ImageSet(
        CLASSES,
        labels,
        tuple(f"digits/{i:04d}" for i in range(len(labels))),
        tuple(partial(_rgb, image) for image in pixels),
    )
    train, val = split_set(images, val_fraction=val_fraction, seed=seed)
    return Splits("digits", train, val)


def _rgb(grey: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(grey).convert("RGB")


@cache
def _pixels() -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """(1797, 8, 8) grey pixels, 0 to 255, and labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise BadInput("the digits come with scikit-learn; install it with `pip install 'pumice[train]'`") from error
    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), tuple(int(label) for label in digits.target)
