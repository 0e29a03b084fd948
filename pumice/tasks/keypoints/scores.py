"""How well a network finds the joints of one set of persons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.poses import Pose, PoseSet
from pumice.errors import BadInput
from pumice.tasks.keypoints.oks import oks_evaluation, similarity, without_doubles
from pumice.tasks.keypoints.pck import By, correct
from pumice.tasks.task import TaskScores


@dataclass(frozen=True)
class Rules:
    """How poses are judged.

    pck, pck_by: a joint is correct within `pck` times the person's box (its longer side), torso or head.
    visible: joints of a lower score do not count in the score of a pose.
    doubles: of two poses of a detector's boxes that are at least as similar, the one of lower score is left out.
    """

    pck: float = 0.2
    pck_by: By = "box"
    visible: float = 0.2
    doubles: float = 0.9


@dataclass(frozen=True)
class PoseScores(TaskScores):
    """Shares in [0, 1]; None where there is nothing of the kind to find.

    pck: of the labelled joints those that lie near enough, as `rule` says ("PCK@0.2 of the box").
    ap, ar: COCO's average precision and recall, means over the similarities (OKS) 0.5, 0.55, ..., 0.95; ap50, ap75 at
        one; medium persons cover 32 x 32 to 96 x 96 pixels, large ones more.
    measured: whether the tolerances behind OKS are known of every joint; if not, `pck` is the main figure.
    per_class: of each joint its name, pck (None where it is never labelled) and how often it is labelled.
    count: persons judged.
    """

    pck: float
    rule: str
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_medium: float | None
    ap_large: float | None
    ar: float | None
    measured: bool
    per_class: list[dict[str, Any]]
    count: int

    @property
    def main(self) -> float:  # type: ignore[override]  # which subclasses may compute
        """OKS AP, or PCK where sigmas are not known."""
        return self.pck if not self.measured or self.ap is None else self.ap

    def columns(self) -> dict[str, float]:
        """PCK and OKS AP."""
        return {"pck": self.pck, "oks_ap": self.ap or 0.0}

    def sentence(self) -> str:
        """Both in percent, the main one first."""
        pck, ap = f"{self.rule} {100 * self.pck:.1f} %", f"OKS AP {100 * (self.ap or 0):.1f} %"
        return f"{ap}, {pck}" if self.measured else f"{pck}, {ap}"

    def to_json(self) -> dict[str, Any]:
        """JSON values; `PoseScores(**values)` is the inverse."""
        return asdict(self)


def score(samples: PoseSet, joints: Mapping[int, NDArray[np.float64]], rules: Rules) -> PoseScores:
    """Score the poses that were found of persons.

    joints: (J, 3) x, y in pixels of the whole image and score, by index of the sample.

    Raises:
        BadInput: none, or nobody has a labelled joint; what `pck_by` measures is never labelled; faster-coco-eval is
            not installed.
    """
    if not joints:
        raise BadInput("there are no persons to score; give at least one")
    chosen = sorted(joints)
    judged, skeleton = samples.subset(chosen), samples.skeleton
    found = [(pose, joints[index]) for index, pose in zip(chosen, judged.poses, strict=True)]
    truth = [pose for pose in judged.annotated if pose.learnable]
    if not truth:
        raise BadInput(f"none of the {len(judged)} persons has a labelled joint; give data with joints to judge by")
    detected = any(pose.score is not None for pose in judged.poses)
    if detected:
        right, labelled = correct(_best(found, truth, skeleton.sigmas), truth, skeleton, rules.pck, rules.pck_by)
    else:
        right, labelled = correct([one for _, one in found], judged.poses, skeleton, rules.pck, rules.pck_by)
    if not labelled.any():
        raise BadInput(f"task.pck_by={rules.pck_by} measures what is labelled of nobody; choose box")
    ranked = [(pose, places, _score(pose, places, rules.visible)) for pose, places in found]
    result = oks_evaluation(
        _without_doubles(ranked, skeleton.sigmas, rules.doubles)
        if detected
        else [(p.image, j, s) for p, j, s in ranked],
        judged.annotated,
        skeleton,
    )
    return PoseScores(
        pck=float(right.sum() / labelled.sum()),
        rule=f"PCK@{rules.pck:g} of the {rules.pck_by}",
        ap=result.ap(),
        ap50=result.ap(0.5),
        ap75=result.ap(0.75),
        ap_medium=result.ap(area="medium"),
        ap_large=result.ap(area="large"),
        ar=result.ar(),
        measured=skeleton.measured,
        per_class=[
            {"name": name, "pck": float(right[i] / labelled[i]) if labelled[i] else None, "labelled": int(labelled[i])}
            for i, name in enumerate(skeleton.joints)
        ],
        count=len(judged),
    )


def _score(pose: Pose, joints: NDArray[np.float64], visible: float) -> float:
    """Of a pose: that of its box times the mean of its joints that are found."""
    scores = joints[:, 2][joints[:, 2] > visible]
    return float(scores.mean() if len(scores) else 0.0) * (1.0 if pose.score is None else pose.score)


def _best(
    found: Sequence[tuple[Pose, NDArray[np.float64]]], truth: Sequence[Pose], sigmas: Sequence[float]
) -> list[NDArray[np.float64] | None]:
    """For every annotated person the most similar pose of the image."""
    by_image: dict[str, list[NDArray[np.float64]]] = {}
    for pose, joints in found:
        by_image.setdefault(pose.image, []).append(joints)
    best: list[NDArray[np.float64] | None] = []
    for person in truth:
        there = by_image.get(person.image)
        if there is None:
            best.append(None)
            continue
        alike = similarity(np.stack(there), person.joints, person.area, sigmas)
        best.append(there[int(alike.argmax())])
    return best


def _without_doubles(
    ranked: Sequence[tuple[Pose, NDArray[np.float64], float]], sigmas: Sequence[float], most: float
) -> list[tuple[str, NDArray[np.float64], float]]:
    """Poses of detected boxes, each person of an image once."""
    by_image: dict[str, list[tuple[Pose, NDArray[np.float64], float]]] = {}
    for one in ranked:
        by_image.setdefault(one[0].image, []).append(one)
    kept: list[tuple[str, NDArray[np.float64], float]] = []
    for image, there in by_image.items():
        poses, joints, scores = zip(*there, strict=True)
        areas = [pose.area for pose in poses]
        alone = without_doubles(np.stack(joints), np.asarray(scores), areas, sigmas, most)
        kept += [(image, joints[i], scores[i]) for i in alone]
    return kept
