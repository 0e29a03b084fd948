"""The images that show a quantiser which ranges activations take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.images import ImageSet
from pumice.data.open import open_data
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.progress import track


def calibration_images(data: str, manifest: Manifest, count: int = 300, seed: int = 0) -> NDArray[np.float32]:
    """Images to learn from, evenly over the classes, as the network reads them.

    They are fed as in validation: what augmentation makes of images is not what the file will see.  Images of a dense
    task are drawn at random.

    Args:
        data: what the network's task learns from, as `pumice train` takes it.
        manifest: says the task and how images are fed.
        count: how many at most.
        seed: of the draw.

    Returns:
        (N, C, H, W) float32, class by class in turn.

    Raises:
        BadInput: there are no such data, or the network does not read RGB images.
    """
    return drawn_images(_training_set(data, manifest.task), data, manifest, count, seed)


def drawn_images(held: Any, data: str, manifest: Manifest, count: int = 300, seed: int = 0) -> NDArray[np.float32]:
    """`calibration_images` of a set that is open already; `data` is what to call it.

    Raises:
        BadInput: it is empty, or the network does not read RGB images.
    """
    if count < 1:
        raise BadInput(f"calibration takes at least 1 image, not {count}")
    channels = manifest.model.in_chans
    if channels != 3:
        raise BadInput(f"{manifest.model.name} reads {channels} channels, and the images of {data} have 3; give others")
    if not len(held):
        raise BadInput(f"{data} has no images to learn from that can be drawn; give a folder of images")
    labels = held.labels if isinstance(held, ImageSet) else (0,) * len(held)
    chosen = _drawn(labels, count, seed)
    return np.stack([manifest.preprocess(held.loaders[i]()) for i in track(chosen, "read images")])


def _training_set(data: str, task: str) -> Any:
    if task == "classify":
        return open_data(data).train
    from pumice.data.open_dense import open_dense

    return open_dense(data, task).train


def _drawn(labels: tuple[int, ...], count: int, seed: int) -> list[int]:
    """Indices: one of every class in turn, each class in an order of its own."""
    places: dict[int, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for index in np.random.default_rng(seed).permutation(len(labels)).tolist():
        label = labels[index]
        places[label] = places.get(label, 0) + 1
        ranked.append((places[label], label, index))
    return [index for *_, index in sorted(ranked)[:count]]
