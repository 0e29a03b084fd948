"""Scores of image classification, in numpy alone, of anything that turns images into logits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.progress import track
from pumice.tasks.runner import runner
from pumice.tasks.task import TaskScores

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import ImageSet
    from pumice.deploy.session import Session


@dataclass(frozen=True)
class Scores(TaskScores):
    """How well a classifier does on one set of images.  Every accuracy is a fraction in [0, 1].

    balanced_accuracy: mean recall over the classes that occur.
    loss: mean cross-entropy, nats, without label smoothing.
    confusion: images by true class (row) and predicted class (column).
    per_class: for each class its name, recall, precision (None where nothing is there to divide by) and support.
    """

    top1: float
    top5: float
    balanced_accuracy: float
    loss: float
    confusion: list[list[int]]
    per_class: list[dict[str, Any]]
    count: int

    @property
    def main(self) -> float:  # type: ignore[override]
        """Top-1."""
        return self.top1

    def columns(self) -> dict[str, float]:
        """Loss, top-1, top-5 and balanced accuracy."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5, "balanced": self.balanced_accuracy}

    def sentence(self) -> str:
        """Top-1."""
        return f"top-1 {self.top1:.1%}"

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dict(vars(self))


def top_k(logits: NDArray[Any], labels: NDArray[Any], k: int) -> float:
    """The fraction of rows whose true class is among the k highest logits; among equals the lower class is first."""
    truth = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > truth) | ((logits == truth) & earlier)).sum(axis=1)
    return float((rank < k).mean())


def score(logits: NDArray[Any], labels: NDArray[Any], classes: tuple[str, ...]) -> Scores:
    """Scores of (images, classes) logits against the true class of each image.

    Raises:
        BadInput: there is nothing to score, or the counts of images or classes do not agree.
        CheckFailed: a logit is not a finite number.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    count = len(classes)
    if not len(labels):
        raise BadInput("there are no images to score; give at least one")
    if logits.shape != (len(labels), count):
        raise BadInput(
            f"the network gave outputs of shape {logits.shape} for {len(labels)} images of {count} classes; "
            "use a network made for these classes"
        )
    if labels.min() < 0 or labels.max() >= count:
        raise BadInput(f"a label is outside the {count} classes; check the class list")
    if not np.isfinite(logits).all():
        raise CheckFailed("the network's outputs are not finite numbers, so they cannot be scored")

    predicted = logits.argmax(axis=1)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    hits, support, given = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = np.take_along_axis(shifted, labels[:, None], 1)[:, 0] - np.log(np.exp(shifted).sum(axis=1))
    return Scores(
        top1=float((predicted == labels).mean()),
        top5=top_k(logits, labels, 5),
        balanced_accuracy=float((hits[support > 0] / support[support > 0]).mean()),
        loss=float(-log_likelihood.mean()),
        confusion=confusion.tolist(),
        per_class=[
            {
                "name": name,
                "recall": float(hits[i] / support[i]) if support[i] else None,
                "precision": float(hits[i] / given[i]) if given[i] else None,
                "support": int(support[i]),
            }
            for i, name in enumerate(classes)
        ],
        count=len(labels),
    )


def evaluate(model: "Session | nn.Module", preprocess: Preprocess, images: "ImageSet", batch_size: int = 32) -> Scores:
    """Scores on an image set, each image fed exactly as `preprocess` says.

    A session runs in passes of its own batch size.  A module is put in evaluation mode for the time of the call.

    Raises:
        BadInput: see `score`.
        CheckFailed: see `score`.
    """
    return score(logits_of(model, preprocess, images, batch_size), np.asarray(images.labels), images.classes)


def logits_of(
    model: "Session | nn.Module", preprocess: Preprocess, images: "ImageSet", batch_size: int = 32
) -> NDArray[np.float32]:
    """(images, classes) logits of an image set, as `evaluate` scores them."""
    run, batch_size = runner(model, batch_size)
    outputs = []
    starts = range(0, len(images), batch_size)
    for start in track(starts, "evaluating"):
        stop = min(start + batch_size, len(images))
        batch = np.stack([preprocess(images.image(i)) for i in range(start, stop)])
        outputs.append(run(batch))
    return np.concatenate(outputs) if outputs else np.zeros((0, len(images.classes)), np.float32)
