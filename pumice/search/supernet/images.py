"""Training images in two parts: for the weights, and for the architecture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.utils.data import DataLoader

from pumice.data.augment import Augment
from pumice.data.images import ImageSet
from pumice.data.loaders import training_loader
from pumice.data.memory import keep_decoded
from pumice.data.order import EpochSampler
from pumice.data.pipeline import TrainImages
from pumice.data.preprocess import Preprocess
from pumice.data.split import split_set

Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]
"""The batches (images (N, 3, H, W), labels (N,)) of an epoch, a function of its number."""


@dataclass(frozen=True)
class Feeding:
    """How images reach a supernet.

    share: of the training images, those that train theta.
    augment: None for the defaults, "none" for none.
    channels_last: the order of the weights in memory; up to twice as fast on a CPU, but torch 2.14 breaks its memory
        there in strided 1 x 1 convolutions of 4 channels.
    """

    preprocess: Preprocess
    batch_size: int = 192
    augment: Augment | Literal["none"] | None = None
    share: float = 0.2
    workers: int = 0
    channels_last: bool = False


def two_parts(images: ImageSet, feeding: Feeding, seed: int) -> tuple[Batches, Batches]:
    """Batches for the weights and for theta; no image is in both.

    Raises:
        BadInput: see `TrainImages`, `split_set` and `training_loader`.
    """
    parts = split_set(images, val_fraction=feeding.share, seed=seed)
    augment = Augment() if feeding.augment is None else feeding.augment
    loaders = [
        training_loader(
            TrainImages(keep_decoded(part), feeding.preprocess, augment, seed),
            feeding.batch_size,
            seed=seed + i,
            workers=feeding.workers,
        )
        for i, part in enumerate(parts)
    ]
    return _by_epoch(loaders[0]), _by_epoch(loaders[1])


def _by_epoch(loader: DataLoader[tuple[Tensor, Tensor]]) -> Batches:
    def batches(epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        assert isinstance(loader.sampler, EpochSampler)
        loader.sampler.set_epoch(epoch)
        return loader

    return batches
