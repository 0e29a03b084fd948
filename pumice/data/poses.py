"""Images with persons and their joints; a sample is one person."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.images import Load
from pumice.data.skeleton import Skeleton

AREA_OF_BOX = 0.53  # the share of a box that a person fills, where the data do not say: as CrowdPose is judged


@dataclass(frozen=True, eq=False)
class Pose:
    """One person in an image.

    image: the name of the image, the same for all who are in it.
    box: left, top, right, bottom, pixels.
    joints: (J, 3) float64: x, y in pixels of the whole image, and COCO's visibility: 0 not labelled, 1 labelled and
        hidden, 2 seen.
    area: of the person's outline, square pixels.
    id: by which the data call the person.
    crowd: COCO's `iscrowd`: many at once, neither learnt nor counted as missed.
    score: of a box that a detector found; None of one that people drew.  A detected person has no labelled joints.
    """

    image: str
    box: tuple[float, float, float, float]
    joints: NDArray[np.float64]
    area: float
    id: int
    crowd: bool = False
    score: float | None = None

    @property
    def labelled(self) -> int:
        """Joints that are labelled, COCO's `num_keypoints`."""
        return int((self.joints[:, 2] > 0).sum())

    @property
    def learnable(self) -> bool:
        """Whether there is a pose to learn: a single person with labelled joints."""
        return not self.crowd and self.labelled > 0


@dataclass(frozen=True, eq=False)
class PoseSet:
    """Persons to find the joints of.

    skeleton: their joints.
    names: a name per person: that of the image, then its id.
    loaders: a function per person that gives the whole image as RGB; persons of one image share it.
    poses: the persons.
    others: who is in the images too and counts in judging alone: crowds, persons without labelled joints and, where
        `poses` come from a detector, everyone who is annotated.
    """

    skeleton: Skeleton
    names: tuple[str, ...] = field(repr=False)
    loaders: tuple[Load, ...] = field(repr=False)
    poses: tuple[Pose, ...] = field(repr=False)
    others: tuple[Pose, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.loaders) == len(self.poses):
            raise ValueError(
                f"{len(self.names)} names, {len(self.loaders)} images and {len(self.poses)} poses do not match"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the joints, in order."""
        return self.skeleton.joints

    @property
    def annotated(self) -> tuple[Pose, ...]:
        """Everyone whom people annotated in the images, by which poses are judged."""
        return (*(pose for pose in self.poses if pose.score is None), *self.others)

    def __len__(self) -> int:
        return len(self.poses)

    def image(self, index: int) -> Image.Image:
        """The whole image of person `index`, RGB.

        Raises:
            BadImage: its file has been removed or damaged since the set was opened.
        """
        return self.loaders[index]()

    def subset(self, indices: Iterable[int]) -> "PoseSet":
        """The persons at these indices, in that order, with the others of their images; no image is copied or read.

        All of them keep all the others, those of images in which a detector found nobody too.
        """
        indices = tuple(indices)
        poses = tuple(self.poses[i] for i in indices)
        images = {pose.image for pose in poses}
        whole = set(indices) == set(range(len(self)))
        return PoseSet(
            self.skeleton,
            tuple(self.names[i] for i in indices),
            tuple(self.loaders[i] for i in indices),
            poses,
            self.others if whole else tuple(pose for pose in self.others if pose.image in images),
        )


def boxed(skeleton: Skeleton, name: str, load: Load, boxes: Iterable[tuple[Any, ...]]) -> PoseSet:
    """An image to predict as a set: a person per box.

    boxes: left, top, right, bottom in pixels and, where a detector found it, a score; none mean the whole image, which
        is read for its size.
    """
    found = list(boxes)
    if not found:
        width, height = load().size
        found = [(0, 0, width, height, 1.0)]
    nothing = np.zeros((len(skeleton.joints), 3))
    poses = []
    for i, (left, top, right, bottom, *score) in enumerate(found):
        box = float(left), float(top), float(right), float(bottom)
        area = AREA_OF_BOX * (box[2] - box[0]) * (box[3] - box[1])
        poses.append(Pose(name, box, nothing, area, i, score=float(score[0]) if score else 1.0))
    return PoseSet(skeleton, tuple(f"{name}#{i}" for i in range(len(poses))), (load,) * len(poses), tuple(poses))
