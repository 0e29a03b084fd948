"""Scores against scikit-learn and against values worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.classify import evaluate, score, top_k


def test_scores_of_four_images_by_hand() -> None:
    logits = np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    got = score(logits, np.array([0, 1, 1, 1]), ("a", "b", "c"))
    assert got.top1 == 0.75
    assert got.top5 == 1.0  # five of three classes are all of them
    assert got.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)  # class c does not occur
    assert got.confusion == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert got.per_class[1] == {"name": "b", "recall": pytest.approx(2 / 3), "precision": 1.0, "support": 3}
    assert got.per_class[2] == {"name": "c", "recall": None, "precision": None, "support": 0}
    terms = [
        math.log(math.exp(2) + 2) - 2,
        math.log(math.exp(3) + 2) - 3,
        math.log(math.e + 2),
        math.log(math.e + 2) - 1,
    ]
    assert got.loss == pytest.approx(sum(terms) / 4, rel=1e-12)
    assert got.count == 4
    assert got.to_json()["top1"] == 0.75


def test_scores_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(500, 9)).round(1), rng.integers(0, 9, 500)  # rounded, so that ties occur
    logits[np.arange(500), labels] += 1.0
    got = score(logits, labels, tuple("abcdefghi"))
    predicted = logits.argmax(axis=1)
    assert got.top1 == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert got.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert got.confusion == metrics.confusion_matrix(labels, predicted).tolist()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert got.loss == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-9)
    precision, recall, _, support = metrics.precision_recall_fscore_support(labels, predicted)
    assert [c["precision"] for c in got.per_class] == pytest.approx(list(precision))
    assert [c["recall"] for c in got.per_class] == pytest.approx(list(recall))
    assert [c["support"] for c in got.per_class] == list(support)


def test_top_k_counts_by_rank() -> None:
    logits = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]] * 2)
    assert top_k(logits, np.array([2, 1]), 5) == 0.5
    assert top_k(logits, np.array([2, 1]), 6) == 1.0


def test_among_equal_logits_the_lower_class_wins() -> None:
    logits = np.zeros((3, 4))
    assert top_k(logits, np.array([0, 1, 3]), 1) == pytest.approx(1 / 3)
    assert score(logits, np.array([0, 1, 3]), ("a", "b", "c", "d")).top1 == pytest.approx(1 / 3)


def test_large_logits_do_not_overflow() -> None:
    assert score(np.array([[1e4, 0.0]]), np.array([1]), ("a", "b")).loss == pytest.approx(1e4)


@pytest.mark.parametrize(
    ("logits", "labels", "word"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "no images"),
        (np.zeros((2, 3)), np.zeros(2, int), "2 classes"),
        (np.zeros((2, 2)), np.array([0, 2]), "outside"),
    ],
)
def test_counts_that_disagree_are_bad_input(logits: Any, labels: Any, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        score(logits, labels, ("a", "b"))


def test_outputs_that_are_not_numbers_fail() -> None:
    with pytest.raises(CheckFailed, match="finite"):
        score(np.array([[np.nan, 0.0]]), np.array([0]), ("a", "b"))


class Greys:
    """Grey images; the class is how bright they are."""

    classes = ("dark", "light")
    levels = (10, 240, 30, 200, 220)
    labels = (0, 1, 0, 1, 0)  # the last is wrong on purpose

    def image(self, i: int) -> Image.Image:
        return Image.new("RGB", (40, 30), (self.levels[i],) * 3)

    def __len__(self) -> int:
        return len(self.levels)


def test_evaluate_feeds_a_module_as_the_preprocessing_says_and_keeps_its_mode() -> None:
    torch = pytest.importorskip("torch")
    seen = []

    class Brightness(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.frozen = torch.nn.Identity().eval()

        def forward(self, x: Any) -> Any:
            assert not self.training
            seen.append(x.shape)
            mean = x.mean(dim=(1, 2, 3))
            return torch.stack([-mean, mean], dim=1)

    module = Brightness()
    module.train()
    module.frozen.eval()
    half = Preprocess(size=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
    got = evaluate(module, half, Greys(), batch_size=2)  # type: ignore[arg-type]
    assert [tuple(s) for s in seen] == [(2, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8)]
    assert got.top1 == pytest.approx(4 / 5)
    assert module.training
    assert not module.frozen.training


def test_evaluate_runs_a_session_in_whole_batches() -> None:
    from pumice.deploy.session import Session

    sizes = []

    class Fixed(Session):
        runtime = "test"

        def infer(self, x: Any) -> Any:
            sizes.append(x.shape)
            mean = x.mean(axis=(1, 2, 3))
            return np.stack([-mean, mean], axis=1)

    half = Preprocess(size=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
    session = Fixed(threads=1, batch=2, input_size=(3, 8, 8), manifest=None, file_bytes=None)
    got = evaluate(session, half, Greys(), batch_size=3)  # type: ignore[arg-type]
    assert sizes == [(2, 3, 8, 8)] * 3
    assert got.count == 5
    assert got.top1 == pytest.approx(4 / 5)
