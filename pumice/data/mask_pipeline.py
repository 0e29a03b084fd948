"""Torch data sets of images with masks."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pumice.data.mask_augment import MaskAugment, change
from pumice.data.masks import MaskSet
from pumice.data.order import Key, mix
from pumice.data.preprocess import Preprocess
from pumice.data.tiles import TilePlan, tile_pixels


class MaskTraining(Dataset[tuple[Tensor, Tensor]]):
    """Augmented network input (3, H, W) float32 and mask (H, W) uint8, for the keys of an EpochSampler.

    Args:
        samples: the set.
        preprocess: gives size, interpolation, mean, std and channel order.
        augment: what to change.
        seed: of the changes.
        stretch: see `change`.
    """

    def __init__(
        self, samples: MaskSet, preprocess: Preprocess, augment: MaskAugment, seed: int, *, stretch: bool = True
    ) -> None:
        self.samples, self.preprocess, self.augment = samples, preprocess, augment
        self.seed, self.stretch = seed, stretch

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        rng = np.random.default_rng(mix(self.seed, epoch, index))
        image, mask = self.samples.pair(index)
        pixels, target = change(image, mask, self.preprocess, self.augment, rng, stretch=self.stretch)
        return torch.from_numpy(self.preprocess.normalise(pixels)), torch.from_numpy(target)


class MaskJudging(Dataset[Tensor]):
    """Network input (3, H, W) float32 of each sample, or of each tile of each, without any randomness."""

    def __init__(self, samples: MaskSet, preprocess: Preprocess, plan: TilePlan | None = None) -> None:
        self.samples, self.preprocess, self.plan = samples, preprocess, plan

    def __len__(self) -> int:
        return len(self.samples if self.plan is None else self.plan)

    def __getitem__(self, index: int) -> Tensor:
        if self.plan is None:
            return torch.from_numpy(self.preprocess(self.samples.image(index)))
        sample, tile = self.plan[index]
        pixels = tile_pixels(self.samples.image(sample), tile, self.preprocess)
        return torch.from_numpy(self.preprocess.inputs(pixels))
