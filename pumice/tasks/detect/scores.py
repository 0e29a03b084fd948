"""How well a detector does on one set of images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pumice.data.boxes import Boxes
from pumice.errors import BadInput
from pumice.tasks.detect.average_precision import Detections, coco_evaluation, voc_ap
from pumice.tasks.task import TaskScores

DIGITS = 4  # of a curve's precision: curves are to be looked at


@dataclass(frozen=True)
class DetectScores(TaskScores):
    """Average precision and recall, fractions in [0, 1]; None where there is nothing of the kind to find.

    ap: COCO's, the mean over classes and the IoUs 0.5, 0.55, ..., 0.95.  ap50, ap75: at one IoU.
    ap_small, ap_medium, ap_large: of objects below 32 x 32 pixels of the image, up to 96 x 96, and above.
    ar1, ar10, ar100: mean recall if 1, 10 or 100 detections of an image count.
    voc07, voc12: mean over the classes of Pascal VOC's average precision at IoU 0.5, at 11 recalls and at all.
    per_class: of each class its name, ap, ap50, ap75 and the number of its boxes that count.
    curves: of each class that has boxes the precision at the recalls 0, 0.01, ..., 1, at IoU 0.5.
    count: images.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float
    ar10: float
    ar100: float
    voc07: float
    voc12: float
    per_class: list[dict[str, Any]]
    curves: dict[str, list[float]]
    count: int
    main: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "main", self.ap)

    def columns(self) -> dict[str, float]:
        """AP, AP50, AP75."""
        return {"ap": self.ap, "ap50": self.ap50, "ap75": self.ap75}

    def sentence(self) -> str:
        """AP50 and AP in percent."""
        return f"AP50 {100 * self.ap50:.1f} %, AP {100 * self.ap:.1f} %"

    def to_json(self) -> dict[str, Any]:
        """JSON values; `DetectScores(**values)` is the inverse."""
        values = asdict(self)
        del values["main"]
        return values


def score(found: Sequence[Detections], truth: Sequence[Boxes], classes: tuple[str, ...]) -> DetectScores:
    """Score the detections of every image against its boxes.

    Raises:
        BadInput: there are no images or no boxes to find, or more or fewer images in `found`; faster-coco-eval is not
            installed.
        CheckFailed: a box or score is no finite number.
    """
    result = coco_evaluation(found, truth, len(classes))
    boxes = [sum(int((one.labels == label)[~one.crowd].sum()) for one in truth) for label in range(len(classes))]
    if not sum(boxes):
        raise BadInput(f"the {len(truth)} images hold no box to find; give images with boxes")
    curves = {name: result.curve(label) for label, name in enumerate(classes)}
    return DetectScores(
        ap=_known(result.ap()),
        ap50=_known(result.ap(0.5)),
        ap75=_known(result.ap(0.75)),
        ap_small=result.ap(area="small"),
        ap_medium=result.ap(area="medium"),
        ap_large=result.ap(area="large"),
        ar1=_known(result.ar(1)),
        ar10=_known(result.ar(10)),
        ar100=_known(result.ar(100)),
        voc07=_mean(voc_ap(found, truth, len(classes), rule="11 points")),
        voc12=_mean(voc_ap(found, truth, len(classes))),
        per_class=[
            {
                "name": name,
                "ap": result.ap(label=label),
                "ap50": result.ap(0.5, label=label),
                "ap75": result.ap(0.75, label=label),
                "boxes": boxes[label],
            }
            for label, name in enumerate(classes)
        ],
        curves={name: [round(p, DIGITS) for p in curve] for name, curve in curves.items() if curve is not None},
        count=len(truth),
    )


def _known(value: float | None) -> float:
    assert value is not None  # there are boxes
    return value


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)
