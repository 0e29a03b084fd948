"""Collects the heatmaps that a network answers, keeps the joints, and scores them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.poses import PoseSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.keypoints.decode import joints_in_image
from pumice.tasks.keypoints.scores import PoseScores, Rules, score
from pumice.tasks.task import Judge


class PoseJudge(Judge):
    """Keeps (J, 3) of each person: x, y in pixels of the whole image, and score."""

    def __init__(self, samples: PoseSet, preprocess: Preprocess, decode: Mapping[str, Any], rules: Rules) -> None:
        self.samples, self.size, self.rules = samples, preprocess.size, rules
        self.stride = int(decode.get("stride", 4))
        self._kept: dict[int, NDArray[np.float64]] = {}

    def add(self, indices: Sequence[int], outputs: NDArray[np.float32]) -> None:
        """Take heatmaps (N, J, H / stride, W / stride).

        Raises:
            BadInput: the network has other joints, or answers for another size of input.
        """
        wanted = (len(self.samples.classes), *(side // self.stride for side in self.size))
        if outputs.shape[1:] != wanted:
            raise BadInput(
                f"the network gave outputs of shape {outputs.shape[1:]} for heatmaps of shape {wanted}; "
                "use a network made for these joints"
            )
        boxes = [self.samples.poses[index].box for index in indices]
        found = joints_in_image(outputs, boxes, self.size, self.stride)
        found[~np.isfinite(outputs).all(axis=(1, 2, 3))] = np.nan  # a peak among what is no number means nothing
        for index, joints in zip(indices, found, strict=True):
            self._kept.setdefault(index, joints)

    def answers(self) -> list[Any]:
        """[index, joints] of each person, in order."""
        return [[index, joints.tolist()] for index, joints in sorted(self._kept.items())]

    def take(self, answers: list[Any]) -> None:
        """Add another judge's answers."""
        for index, joints in answers:
            self._kept.setdefault(int(index), np.asarray(joints, np.float64))

    def scores(self) -> PoseScores:
        """See `score`.

        Raises:
            BadInput: see `score`.
            CheckFailed: a heatmap had a pixel that was no finite number.
        """
        if not all(np.isfinite(joints).all() for joints in self._kept.values()):
            raise CheckFailed("the network's outputs are not finite numbers, so they cannot be scored")
        return score(self.samples, self._kept, self.rules)
