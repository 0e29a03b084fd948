"""Images with boxes: what a detector learns from, whatever format they came in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from pumice.data.images import Load


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one image.

    boxes: (n, 4) float64, left, top, right, bottom in pixels from the image's corner; a whole image of W x H is
        0, 0, W, H.
    labels: (n,) int64, indices into the classes.
    crowd: (n,) bool, what is neither learnt nor counted as a miss: COCO's `iscrowd`, VOC's `difficult`.
    areas: (n,) float64, square pixels, by which COCO sorts objects into small, medium and large; of the object's
        outline where the data have one.
    ids: (n,) int64, by which the data call them.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.boxes.shape != (count, 4) or not len(self.crowd) == len(self.areas) == len(self.ids) == count:
            raise ValueError(
                f"{count} labels, boxes of shape {self.boxes.shape}, {len(self.crowd)} crowd marks, "
                f"{len(self.areas)} areas and {len(self.ids)} ids do not match"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        labels: ArrayLike,
        crowd: ArrayLike | None = None,
        areas: ArrayLike | None = None,
        ids: ArrayLike | None = None,
    ) -> "Boxes":
        """From anything numpy reads; without `areas` those of the boxes, without `ids` 0, 1, ..."""
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        count = len(corners)
        return cls(
            corners,
            np.asarray(labels, np.int64).reshape(-1),
            np.zeros(count, np.bool_) if crowd is None else np.asarray(crowd, np.bool_).reshape(-1),
            (corners[:, 2:] - corners[:, :2]).prod(axis=1) if areas is None else np.asarray(areas, np.float64),
            np.arange(count) if ids is None else np.asarray(ids, np.int64),
        )


@dataclass(frozen=True, eq=False)
class BoxSet:
    """Images with the boxes of the objects in them.

    classes: names of the classes, in order; the background is none of them.
    names: a name per image, the path below the folder, with forward slashes.
    loaders: a function per image that gives it as RGB.
    targets: the boxes per image; an image without objects has none.
    sizes: height and width per image, pixels.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...] = field(repr=False)
    loaders: tuple[Load, ...] = field(repr=False)
    targets: tuple[Boxes, ...] = field(repr=False)
    sizes: tuple[tuple[int, int], ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.loaders) == len(self.targets) == len(self.sizes):
            raise ValueError(
                f"{len(self.names)} names, {len(self.loaders)} images, {len(self.targets)} targets and "
                f"{len(self.sizes)} sizes do not match"
            )

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> Image.Image:
        """Image `index`, whole, RGB.

        Raises:
            BadImage: its file has been removed or damaged since the set was opened.
        """
        return self.loaders[index]()

    def subset(self, indices: Iterable[int]) -> "BoxSet":
        """The images at these indices, in that order, with the same classes; no image is copied or read."""
        indices = tuple(indices)
        return BoxSet(
            self.classes,
            tuple(self.names[i] for i in indices),
            tuple(self.loaders[i] for i in indices),
            tuple(self.targets[i] for i in indices),
            tuple(self.sizes[i] for i in indices),
        )
