"""The joints of the persons in one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.pose_crop import cut, region_of
from pumice.data.poses import PoseSet
from pumice.data.skeleton import Skeleton
from pumice.errors import CheckFailed
from pumice.tasks.drawing import with_joints
from pumice.tasks.found import Box, Found, Reader
from pumice.tasks.keypoints.decode import flip_tested, joints_in_image
from pumice.tasks.names import OPTIONS, create_task
from pumice.tasks.task import Run

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class FoundPoses(Found):
    """Persons: their boxes, and (J, 3) joints each: x, y in pixels of the image, and score.

    seen: score above which a joint is drawn and counts in the score of its person.
    """

    skeleton: Skeleton
    boxes: tuple[Box, ...]
    joints: tuple[NDArray[np.float64], ...]
    seen: float

    def score(self, person: int) -> float:
        """That of the box times the mean of the joints that are seen."""
        scores = self.joints[person][:, 2]
        seen, box = scores[scores > self.seen], self.boxes[person]
        return float(seen.mean() if len(seen) else 0.0) * (box[4] if len(box) > 4 else 1.0)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        names = self.skeleton.joints
        return {
            "persons": [
                {
                    "box": [round(float(side), 2) for side in self.boxes[i][:4]],
                    "score": round(self.score(i), 4),
                    "joints": [
                        {"name": name, "x": round(x, 2), "y": round(y, 2), "score": round(score, 4)}
                        for name, (x, y, score) in zip(names, joints.tolist(), strict=True)
                    ],
                }
                for i, joints in enumerate(self.joints)
            ]
        }

    def rows(self) -> list[list[str]]:
        """Of each person the score, how many joints are seen, and the box."""
        return [
            [
                f"person {i + 1}",
                f"{self.score(i):.2f}",
                f"{int((joints[:, 2] > self.seen).sum())} of {len(joints)}",
                " ".join(f"{side:.0f}" for side in self.boxes[i][:4]),
            ]
            for i, joints in enumerate(self.joints)
        ]

    def drawn(self, image: "Image.Image") -> "Image.Image":
        """Joints and the lines between them."""
        shown = [np.column_stack([joints[:, :2], joints[:, 2] > self.seen]) for joints in self.joints]
        return with_joints(image, shown, self.skeleton.edges)


class KeypointsReader(Reader):
    """Cuts persons out of an image and finds the peaks of their heatmaps."""

    columns = ("person", ">score", ">joints", "left top right bottom")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.skeleton = Skeleton.from_json(self.classes, self.decode)
        self.options = create_task("keypoints", self.decode.get(OPTIONS)).options
        self.seen = float(self.options.visible)

    def told_from(self, score: float) -> None:
        """Draw and count only joints that score more."""
        self.seen = score

    def inputs(self, image: "Image.Image", boxes: Sequence[Box]) -> NDArray[np.float32]:
        """A person per box."""
        size = self.preprocess.size
        pieces = [cut(image, region_of(box[:4], size), size) for box in self._boxes(image, boxes)]
        return self.preprocess.inputs(np.stack(pieces))

    def answering(self, run: Run) -> Run:
        """With a flip test, if the network was judged with one."""
        return flip_tested(run, self.skeleton.flip) if self.options.flip_test else run

    def read(self, outputs: NDArray[np.float32], image: "Image.Image", boxes: Sequence[Box]) -> FoundPoses:
        """See `Reader.read`."""
        if not np.isfinite(outputs).all():
            raise CheckFailed("the network's outputs are not finite numbers, so there is nothing to read in them")
        where = self._boxes(image, boxes)
        stride = int(self.decode.get("stride", 4))
        joints = joints_in_image(outputs, [box[:4] for box in where], self.preprocess.size, stride)
        return FoundPoses(self.skeleton, tuple(where), tuple(joints), self.seen)

    def nothing(self) -> FoundPoses:
        """Nobody."""
        return FoundPoses(self.skeleton, (), (), self.seen)

    def truth(self, samples: PoseSet, index: int) -> FoundPoses:
        """The labelled joints."""
        pose = samples.poses[index]
        return FoundPoses(samples.skeleton, (pose.box,), (pose.joints,), 0.0)

    def boxes_of(self, samples: PoseSet, index: int) -> Sequence[Box]:
        """The person's."""
        return (samples.poses[index].box,)

    def view(self, image: "Image.Image", samples: PoseSet, index: int) -> tuple[int, int, int, int]:
        """Around the person."""
        region = region_of(samples.poses[index].box, self.preprocess.size)
        left, top = region.x - region.width / 2, region.y - region.height / 2
        right, bottom = min(left + region.width, image.width), min(top + region.height, image.height)
        return max(0, round(left)), max(0, round(top)), round(right), round(bottom)

    def _boxes(self, image: "Image.Image", boxes: Sequence[Box]) -> Sequence[Box]:
        return boxes or [(0, 0, image.width, image.height)]
