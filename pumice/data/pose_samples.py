"""Persons as network inputs and heatmaps, each a function of seed, epoch and index alone.

Xiao et al., arXiv:1804.06208, and for half bodies Wang et al., "Cascade Feature Aggregation", 2019, arXiv:1902.07837.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pumice.data.order import Key, mix
from pumice.data.pose_crop import Region, cut, moved, region_of, to_input
from pumice.data.poses import Pose, PoseSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

STRIDE = 4  # input pixels a pixel of a heatmap
HALF_BODY_MARGIN = 1.5  # a box around joints alone ends at them
FEWEST = 3  # joints of a half body


@dataclass(frozen=True)
class PoseChanges:
    """The random changes of training.

    rotate: degrees, at most, either way.  rotate_prob: probability of turning at all.
    scale: share by which the region is larger or smaller, at most.
    hflip: probability of a mirror image, in which left and right joints change places.
    half_body: probability that of a person with more than half of the joints labelled the upper or the lower half
        alone is shown.
    """

    rotate: float = 45.0
    rotate_prob: float = 0.6
    scale: float = 0.35
    hflip: float = 0.5
    half_body: float = 0.3


class PoseTraining(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Augmented inputs (3, H, W) float32 and targets, for the keys of an EpochSampler.

    Targets: `heatmaps` (J, H / 4, W / 4) float32, see `heatmaps`; `weights` (J,), 1 of a joint that is labelled and
    lies in the input, else 0.

    sigma: of the heatmaps, in their pixels for an input 256 pixels high; it grows with the input.

    Raises:
        BadInput: sides of the input that are no multiples of 4.
    """

    def __init__(
        self, poses: PoseSet, preprocess: Preprocess, seed: int, changes: PoseChanges | None = None, sigma: float = 2.0
    ) -> None:
        height, width = preprocess.size
        if height % STRIDE or width % STRIDE:
            raise BadInput(f"an input of {height} x {width} has no heatmaps of a quarter; give multiples of {STRIDE}")
        self.poses, self.preprocess, self.seed = poses, preprocess, seed
        self.changes = PoseChanges() if changes is None else changes
        self.spread = sigma * STRIDE * height / 256
        self.flip = list(poses.skeleton.flip)

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, key: Key) -> tuple[Tensor, dict[str, Tensor]]:
        epoch, index = key
        pose, size = self.poses.poses[index], self.preprocess.size
        region = self.region(pose, np.random.default_rng(mix(self.seed, epoch, index)))
        joints = pose.joints[self.flip] if region.mirrored else pose.joints
        places = moved(joints[:, :2], to_input(region, size))
        inside = ((places >= 0) & (places < size[::-1])).all(axis=1)
        weights = (inside & (joints[:, 2] > 0)).astype(np.float32)
        maps = heatmaps(places, size, self.spread) * weights[:, None, None]
        pixels = cut(self.poses.image(index), region, size)
        # In numpy to the end: torch splits even such small arrays among threads, which then wait for each other.
        return torch.from_numpy(self.preprocess.normalise(pixels)), {
            "heatmaps": torch.from_numpy(maps),
            "weights": torch.from_numpy(weights),
        }

    def region(self, pose: Pose, random: np.random.Generator) -> Region:
        """What is shown of a person.  The same numbers are drawn whatever is done with them."""
        half, upper, zoom, turns, angle, mirror = random.random(6)
        changes, size = self.changes, self.preprocess.size
        region = region_of(pose.box, size)
        if half < changes.half_body and (part := self.half(pose, upper < 0.5)) is not None:
            region = part
        grown = 1 + changes.scale * (2 * zoom - 1)
        return region._replace(
            width=region.width * grown,
            height=region.height * grown,
            angle=changes.rotate * (2 * angle - 1) if turns < changes.rotate_prob else 0.0,
            mirrored=bool(mirror < changes.hflip),
        )

    def half(self, pose: Pose, upper: bool) -> Region | None:
        """The region of the upper or the lower body, of the other where it has too few joints; None of neither."""
        lower = np.isin(np.arange(len(self.flip)), self.poses.skeleton.lower)
        labelled = pose.joints[:, 2] > 0
        if labelled.sum() <= len(labelled) / 2 or not lower.any() or lower.all():
            return None
        for part in (~lower, lower) if upper else (lower, ~lower):
            places = pose.joints[labelled & part, :2]
            spans = np.ptp(places, axis=0) if len(places) else np.zeros(2)
            if len(places) >= FEWEST and spans.min() > 0:
                return region_of((*places.min(axis=0), *places.max(axis=0)), self.preprocess.size, HALF_BODY_MARGIN)
        return None


class PoseJudging(Dataset[Tensor]):
    """The network input (3, H, W) float32 of each person, without any randomness."""

    def __init__(self, poses: PoseSet, preprocess: Preprocess) -> None:
        self.poses, self.preprocess = poses, preprocess

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, index: int) -> Tensor:
        size = self.preprocess.size
        pixels = cut(self.poses.image(index), region_of(self.poses.poses[index].box, size), size)
        return torch.from_numpy(self.preprocess.inputs(pixels))


def heatmaps(places: NDArray[np.float64], size: tuple[int, int], spread: float) -> NDArray[np.float32]:
    """(J, H / 4, W / 4): exp(-d^2 / 2 spread^2), d the distance of a pixel's middle from the joint, input pixels.

    places: (J, 2), x and y of the joints in an input of `size`.  The middle is not rounded to a pixel.
    """
    (height, width), (x, y) = size, places.T[:, :, None]
    across, down = ((np.arange(side // STRIDE) + 0.5) * STRIDE for side in (width, height))
    rows, columns = (np.exp(-0.5 * ((a - p) / spread) ** 2) for a, p in ((down, y), (across, x)))
    for far in (rows, columns):
        far[far < 1e-9] = 0  # numbers too small for float32 are slow
    return (rows[:, :, None] * columns[:, None, :]).astype(np.float32)
