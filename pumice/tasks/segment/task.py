"""Semantic segmentation as a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pumice.data.mask_augment import MaskAugment
from pumice.data.masks import MaskSet, count_pixels, sizes_of
from pumice.data.preprocess import Preprocess
from pumice.data.tiles import TilePlan
from pumice.errors import BadInput
from pumice.tasks.segment.judge import SegmentJudge
from pumice.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset


@dataclass(frozen=True)
class SegmentOptions:
    """How a segmentation net learns and is judged.

    scale, ratio, hflip, color_jitter: see `MaskAugment`.
    weights, enet_c: of the classes in the loss, see `class_weights`.
    tiles: learn from pieces of images at their own size, and judge tile by tile; else the whole image is resized to the
        network's input, and scale 1 means that.
    overlap: of tiles, see `tiles`.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    ratio: tuple[float, float] = (0.9, 1.1)
    hflip: float = 0.5
    color_jitter: float = 0.3
    weights: Literal["none", "enet", "balanced"] = "none"
    enet_c: float = 1.02
    tiles: bool = False
    overlap: float = 0.25

    def __post_init__(self) -> None:
        # JSON has lists alone.
        object.__setattr__(self, "scale", tuple(self.scale))
        object.__setattr__(self, "ratio", tuple(self.ratio))
        self.augment()
        if self.enet_c <= 1:
            raise BadInput(f"enet_c={self.enet_c} is impossible; give more than 1, such as 1.02")
        if not 0 <= self.overlap < 1:
            raise BadInput(f"overlap={self.overlap} is impossible; give 0 to below 1")

    def augment(self) -> MaskAugment:
        """The changes of training images."""
        return MaskAugment(self.scale, self.ratio, self.hflip, self.color_jitter)


class Segment(Task):
    """A class for every pixel.  Networks answer logits (N, classes, h, w); samples are a MaskSet."""

    name: ClassVar[str] = "segment"
    columns: ClassVar[tuple[str, ...]] = ("miou", "accuracy")
    Options: ClassVar[type] = SegmentOptions
    options: SegmentOptions

    def __init__(self, options: SegmentOptions | None = None) -> None:
        super().__init__(options)
        self._learnt_from: MaskSet | None = None

    def outputs(self, classes: tuple[str, ...]) -> int:
        """As many as there are classes."""
        return len(classes)

    def training_set(self, samples: MaskSet, preprocess: Preprocess, seed: int) -> "Dataset[Any]":
        """Input (3, H, W) float32 and mask (H, W) uint8, VOID for void."""
        from pumice.data.mask_pipeline import MaskTraining

        self._learnt_from = samples
        return MaskTraining(samples, preprocess, self.options.augment(), seed, stretch=not self.options.tiles)

    def judging_set(self, samples: MaskSet, preprocess: Preprocess) -> "Dataset[Tensor]":
        """The input of each sample, or of each tile of each."""
        from pumice.data.mask_pipeline import MaskJudging

        return MaskJudging(samples, preprocess, self._plan(samples, preprocess))

    def criterion(self, net: "nn.Module", preprocess: Preprocess) -> "nn.Module":
        """PixelLoss, weighted by the pixels of what `training_set` was last made for."""
        from pumice.tasks.segment.loss import PixelLoss, class_weights

        if self.options.weights == "none":
            return PixelLoss()
        if self._learnt_from is None:
            raise ValueError("weights of classes need the training set; call `training_set` first")
        pixels = count_pixels(self._learnt_from)[:, :-1].sum(axis=0)
        return PixelLoss(class_weights(self.options.weights, pixels, self.options.enet_c))

    def judge(self, samples: MaskSet, preprocess: Preprocess, decode: Mapping[str, Any]) -> SegmentJudge:
        """A SegmentJudge; `decode` holds nothing that it needs."""
        return SegmentJudge(samples, preprocess.size, self._plan(samples, preprocess))

    def _plan(self, samples: MaskSet, preprocess: Preprocess) -> TilePlan | None:
        if not self.options.tiles:
            return None
        return TilePlan(sizes_of(samples), preprocess.size, self.options.overlap)
