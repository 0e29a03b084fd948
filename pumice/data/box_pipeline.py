"""Torch data sets of images with boxes; every sample is a function of seed, epoch and index alone."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pumice.data.box_augment import BoxAugment, augmented
from pumice.data.boxes import BoxSet
from pumice.data.order import Key, mix
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

BoxTarget = dict[str, Tensor]


class BoxTraining(Dataset[tuple[Tensor, BoxTarget]]):
    """Augmented network input (3, H, W) float32 and its boxes, for the keys of an EpochSampler.

    The target has `boxes` (n, 4) float32, left, top, right, bottom in pixels of the input, and `labels` (n,) int64,
    indices into the classes, counted from 0 without the background.  Crowds are not in it; n may be 0.

    Args:
        samples: the set.
        preprocess: gives size, interpolation, mean, std and channel order.
        augment: what to change, or "none": the whole image.
        seed: of the changes.

    Raises:
        BadInput: the preprocessing cuts a part out of images.
    """

    def __init__(
        self, samples: BoxSet, preprocess: Preprocess, augment: BoxAugment | Literal["none"], seed: int
    ) -> None:
        self.samples, self.preprocess, self.seed = samples, _whole(preprocess), seed
        self.augment = UNCHANGED if isinstance(augment, str) else augment
        mean = preprocess.mean if preprocess.channels == "RGB" else preprocess.mean[::-1]
        self.fill: Any = tuple(min(max(round(255 * value), 0), 255) for value in mean)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Tensor, BoxTarget]:
        epoch, index = key
        target = self.samples.targets[index]
        counted = ~target.crowd
        pixels, boxes, kept = augmented(
            self.samples.image(index),
            target.boxes[counted],
            self.preprocess.size,
            self.augment,
            np.random.default_rng(mix(self.seed, epoch, index)),
            self.fill,
            self.preprocess.interpolation,
        )
        labels = target.labels[counted][kept]
        return torch.from_numpy(self.preprocess.normalise(pixels)), {
            "boxes": torch.from_numpy(boxes.astype(np.float32)),
            "labels": torch.from_numpy(labels),
        }


class BoxJudging(Dataset[Tensor]):
    """Network input (3, H, W) float32 of each image, whole, without any randomness.

    Raises:
        BadInput: as BoxTraining.
    """

    def __init__(self, samples: BoxSet, preprocess: Preprocess) -> None:
        self.samples, self.preprocess = samples, _whole(preprocess)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.preprocess(self.samples.image(index)))


def collate_boxes(items: list[tuple[Tensor, BoxTarget]]) -> tuple[Tensor, list[BoxTarget]]:
    """A batch: inputs (N, 3, H, W) and a target per image."""
    return torch.stack([pixels for pixels, _ in items]), [target for _, target in items]


UNCHANGED = BoxAugment(crop=False, zoom_out_prob=0, hflip=0, distort=0)


def _whole(preprocess: Preprocess) -> Preprocess:
    if preprocess.resize != "stretch":
        raise BadInput("detection needs whole images, but this preprocessing crops them; set its resize to stretch")
    return preprocess
