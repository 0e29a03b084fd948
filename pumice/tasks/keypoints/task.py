"""Keypoints as a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pumice.data.poses import PoseSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.tasks.keypoints.decode import flip_tested
from pumice.tasks.keypoints.judge import PoseJudge
from pumice.tasks.keypoints.pck import By
from pumice.tasks.keypoints.scores import PoseScores, Rules
from pumice.tasks.task import Run, Task, TaskScores

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset


@dataclass(frozen=True)
class PoseOptions:
    """How a net for keypoints learns and is judged.

    rotate, rotate_prob, scale, hflip, half_body: see `PoseChanges`.
    sigma: of the heatmaps, see `PoseTraining`.
    hardest: see `HeatmapLoss`.
    flip_test: judge by the mean of the heatmaps of a person and of its mirror image.
    pck, pck_by, visible, doubles: see `Rules`.
    """

    rotate: float = 45.0
    rotate_prob: float = 0.6
    scale: float = 0.35
    hflip: float = 0.5
    half_body: float = 0.3
    sigma: float = 2.0
    hardest: int = 0
    flip_test: bool = False
    pck: float = 0.2
    pck_by: By = "box"
    visible: float = 0.2
    doubles: float = 0.9

    def __post_init__(self) -> None:
        for name in ("rotate_prob", "hflip", "half_body"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"task.{name}={getattr(self, name)} is no probability; give 0 to 1")
        impossible = [
            (not 0 <= self.rotate <= 180, "rotate", "degrees from 0 to 180"),
            (not 0 <= self.scale < 1, "scale", "a share from 0 to below 1"),
            (self.sigma <= 0, "sigma", "pixels of a heatmap, above 0"),
            (self.hardest < 0, "hardest", "a number of joints, or 0 for all"),
            (self.pck <= 0, "pck", "a share above 0, such as 0.2"),
            (not 0 < self.doubles <= 1, "doubles", "a similarity above 0, up to 1"),
        ]
        for wrong, name, rule in impossible:
            if wrong:
                raise BadInput(f"task.{name}={getattr(self, name)} is impossible; give {rule}")


class Keypoints(Task):
    """A heatmap per joint of a person.  Networks answer (N, joints, H / 4, W / 4); samples are a PoseSet."""

    name: ClassVar[str] = "keypoints"
    columns: ClassVar[tuple[str, ...]] = ("pck", "oks_ap")
    Options: ClassVar[type] = PoseOptions
    Scores: ClassVar[type[TaskScores]] = PoseScores
    options: PoseOptions

    def outputs(self, classes: tuple[str, ...]) -> int:
        """As many as there are joints."""
        return len(classes)

    def carried(self, samples: PoseSet) -> dict[str, Any]:
        """The skeleton: joints to swap, sigmas, edges."""
        return samples.skeleton.to_json()

    def training_set(self, samples: PoseSet, preprocess: Preprocess, seed: int) -> "Dataset[Any]":
        """PoseTraining."""
        from pumice.data.pose_samples import PoseChanges, PoseTraining

        o = self.options
        changes = PoseChanges(o.rotate, o.rotate_prob, o.scale, o.hflip, o.half_body)
        return PoseTraining(samples, preprocess, seed, changes, o.sigma)

    def judging_set(self, samples: PoseSet, preprocess: Preprocess) -> "Dataset[Tensor]":
        """PoseJudging."""
        from pumice.data.pose_samples import PoseJudging

        return PoseJudging(samples, preprocess)

    def criterion(self, net: "nn.Module", preprocess: Preprocess) -> "nn.Module":
        """HeatmapLoss."""
        from pumice.tasks.keypoints.loss import HeatmapLoss

        return HeatmapLoss(self.options.hardest)

    def answering(self, run: Run, samples: PoseSet) -> Run:
        """With a flip test, if so asked."""
        return flip_tested(run, samples.skeleton.flip) if self.options.flip_test else run

    def judge(self, samples: PoseSet, preprocess: Preprocess, decode: Mapping[str, Any]) -> PoseJudge:
        """A PoseJudge; of `decode` it needs the stride."""
        o = self.options
        return PoseJudge(samples, preprocess, decode, Rules(o.pck, o.pck_by, o.visible, o.doubles))
