"""Object detection as a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pumice.data.box_augment import BoxAugment
from pumice.data.boxes import BoxSet
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.tasks.detect.judge import DetectJudge
from pumice.tasks.detect.scores import DetectScores
from pumice.tasks.task import Task, TaskScores

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset

CHOICES = ("score", "nms", "candidates", "keep")


@dataclass(frozen=True)
class DetectOptions(BoxAugment):
    """How a detector learns and is read: the fields of `BoxAugment` and these.  0 is the network's own.

    match: IoU from which on a prior box, or a proposal, learns an object.
    negatives: for each matched prior, so many of the background are learnt, the hardest of the image.
    box_weight: of the loss of the boxes beside that of the classes.
    score, nms, candidates, keep: which detections count, see `Decoder`.
    """

    match: float = 0.0
    negatives: float = 3.0
    box_weight: float = 1.0
    score: float = 0.0
    nms: float = 0.0
    candidates: int = 0
    keep: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("match", "score", "nms"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"task.{name}={getattr(self, name)} is impossible; give 0 to 1, 0 for the network's own")
        for name in ("negatives", "box_weight", "candidates", "keep"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadInput(f"task.{name}={getattr(self, name)} is impossible; give a number from 0 on")


class Detect(Task):
    """Boxes with classes.  Networks answer (N, boxes, 4 + classes), class 0 the background; samples are a BoxSet."""

    name: ClassVar[str] = "detect"
    columns: ClassVar[tuple[str, ...]] = ("ap", "ap50", "ap75")
    Options: ClassVar[type] = DetectOptions
    Scores: ClassVar[type[TaskScores]] = DetectScores
    options: DetectOptions

    def outputs(self, classes: tuple[str, ...]) -> int:
        """One for each class and one for the background."""
        return len(classes) + 1

    def carried(self, samples: BoxSet) -> dict[str, Any]:
        """What the options choose where the network has something else."""
        chosen = {name: getattr(self.options, name) for name in CHOICES if getattr(self.options, name)}
        return {"chosen": chosen} if chosen else {}

    def training_set(self, samples: BoxSet, preprocess: Preprocess, seed: int) -> "Dataset[Any]":
        """BoxTraining."""
        from pumice.data.box_pipeline import BoxTraining

        return BoxTraining(samples, preprocess, self.options, seed)

    def judging_set(self, samples: BoxSet, preprocess: Preprocess) -> "Dataset[Tensor]":
        """BoxJudging."""
        from pumice.data.box_pipeline import BoxJudging

        return BoxJudging(samples, preprocess)

    def collate(self, items: list[Any]) -> tuple["Tensor", Any]:
        """Inputs (N, 3, H, W), and of each image its boxes and labels."""
        from pumice.data.box_pipeline import collate_boxes

        return collate_boxes(items)

    def criterion(self, net: "nn.Module", preprocess: Preprocess) -> "nn.Module":
        """BoxLoss on the network's prior boxes, TwoStageLoss if it makes proposals from them.

        Raises:
            BadInput: it has none.
        """
        from pumice.models.dense.decoding import decoding_of
        from pumice.tasks.detect.loss import BoxLoss
        from pumice.tasks.detect.two_stage import TwoStageLoss

        decode = decoding_of(net, *preprocess.size)
        if self.options.match:
            decode["match"] = self.options.match
        options = {"negatives": self.options.negatives, "box_weight": self.options.box_weight}
        kind = TwoStageLoss if "proposals" in decode else BoxLoss
        return kind(decode, preprocess.size, **options)

    def judge(self, samples: BoxSet, preprocess: Preprocess, decode: Mapping[str, Any]) -> DetectJudge:
        """A DetectJudge; the options' choices stand above the file's."""
        own = self.carried(samples).get("chosen", {})
        return DetectJudge(samples, {**decode, "chosen": {**decode.get("chosen", {}), **own}})
