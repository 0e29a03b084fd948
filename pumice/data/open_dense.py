"""Boxes, masks or poses, as the task wants them."""

import os
from importlib import import_module
from typing import Any

from pumice.data.images import Splits
from pumice.errors import BadInput

_OPENERS = {
    "detect": "pumice.data.open_boxes:open_boxes",
    "segment": "pumice.data.open_masks:open_masks",
    "keypoints": "pumice.data.open_poses:open_poses",
}


def open_dense(source: str | os.PathLike[str], task: str, **settings: Any) -> Splits[Any]:
    """Open what a dense task learns from.

    Args:
        source: a folder, or what the opener takes besides.
        task: "detect", "segment" or "keypoints".
        settings: of `open_boxes`, `open_masks` or `open_poses`: strict, seed, val_fraction, ...

    Raises:
        BadInput: there is no such data, or it cannot be learnt from.
    """
    word = os.fspath(source)
    if not os.path.exists(word):
        raise BadInput(f"there is no folder {word} with images to {task}; give one with images and annotations")
    module, opener = _OPENERS[task].split(":")
    splits: Splits[Any] = getattr(import_module(module), opener)(word, **settings)
    return splits
