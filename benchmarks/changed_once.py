"""Training images that are changed once for all the runs of a seed, in memory that their processes share.

A sample is a function of the run's seed, the epoch and the image, whatever the network: so the runs of a seed show the
same ones, and most of the time of a small network's training goes into making them.  Kept are the bytes before they
are normalised, 3 of a pixel; what a network reads is the same to the last bit.
"""

from mmap import mmap
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pumice.data import pipeline
from pumice.data.augment import Augment
from pumice.data.images import ImageSet
from pumice.data.order import Key, mix
from pumice.data.pipeline import Changed, TrainImages, seeded
from pumice.data.preprocess import Preprocess
from pumice.train.config import TrainConfig

Kind = tuple[int, tuple[int, int], str, Augment]  # seed, size, interpolation, changes


def kind_of(seed: int, preprocess: Preprocess, augment: Augment) -> Kind:
    """What decides the bytes of a sample, beside epoch and image."""
    return seed, preprocess.size, preprocess.interpolation, augment


def augment_of(config: TrainConfig) -> Augment:
    """The changes of a run."""
    return Augment(
        scale=config.rrc_scale,
        ratio=config.rrc_ratio,
        pad=config.pad_crop,
        hflip=config.hflip,
        color_jitter=config.color_jitter,
        auto_augment=config.auto_augment,
        re_prob=config.re_prob,
    )


class ChangedOnce(TrainImages):
    """Gives the samples of `kept`, (epochs, images, 3, H, W) bytes, and makes those that are not there.

    `install` puts it in the place of TrainImages, `keep` and `change` fill `kept` before the runs are forked.
    """

    kept: ClassVar[dict[Kind, NDArray[np.uint8]]] = {}

    def __init__(self, images: ImageSet, preprocess: Preprocess, augment: Augment | Literal["none"], seed: int) -> None:
        super().__init__(images, preprocess, augment, seed)
        self.pixels = None if isinstance(augment, str) else self.kept.get(kind_of(seed, preprocess, augment))

    def __getitems__(self, keys: list[Key]) -> list[tuple[Tensor, int]]:
        """A batch, normalised as a whole."""
        if self.pixels is None:
            return [self[key] for key in keys]
        epochs, indices = zip(*keys, strict=True)
        pixels = np.moveaxis(self.pixels[list(epochs), list(indices)], -3, -1)
        samples = torch.from_numpy(self.changed.preprocess.normalise(pixels))
        return [(sample, self.images.labels[index]) for sample, index in zip(samples, indices, strict=True)]


def keep(kind: Kind, epochs: int, images: int) -> None:
    """Find room; memory is used as it is filled."""
    shape = (epochs, images, 3, *kind[1])
    ChangedOnce.kept[kind] = np.frombuffer(mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)


def change(kind: Kind, epoch: int, images: ImageSet) -> None:
    """Fill an epoch."""
    seed, size, interpolation, augment = kind
    changed = Changed(Preprocess(size=size, interpolation=interpolation), augment)
    assert changed.change is not None
    assert changed.erase is None  # it works on what is normalised
    rows = ChangedOnce.kept[kind][epoch]
    for index in range(len(images)):
        with seeded(mix(seed, epoch, index), numpy_too=changed.numpy_too):
            rows[index] = np.asarray(changed.change(images.image(index)))


def install() -> None:
    """From here on training reads what is kept."""
    pipeline.TrainImages = ChangedOnce  # type: ignore[misc]
