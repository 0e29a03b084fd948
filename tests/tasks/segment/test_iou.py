"""Confusion and IoU against torchmetrics, scikit-learn and fractions counted by hand."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.tasks.segment.iou import SegmentScores, confusion, ious, scores_of

VOID = 255


def by_hand(truth: np.ndarray, predicted: np.ndarray, classes: int) -> list[Fraction | None]:
    """IoU of each class from sets of pixels; None where it occurs nowhere."""
    valid = [(t, p) for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True) if t != VOID]
    found = []
    for c in range(classes):
        both = sum(t == c and p == c for t, p in valid)
        either = sum(c in (t, p) for t, p in valid)
        found.append(Fraction(both, either) if either else None)
    return found


def case(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Truth, prediction and number of classes."""
    rng = np.random.default_rng(len(name))
    truth, predicted = rng.integers(0, 5, (2, 37, 41)).astype(np.uint8)
    match name:
        case "void":
            truth[rng.random(truth.shape) < 0.3] = VOID
        case "class absent from the truth":
            truth[truth == 2] = VOID
        case "class absent from both":
            truth[truth == 4] = 1
            predicted[predicted == 4] = 0
        case "class never predicted":
            predicted[predicted == 3] = 0
        case "predicted on void alone":
            truth[(truth == 4) | (predicted == 4)] = VOID
        case "one class":
            return np.zeros_like(truth), np.zeros_like(truth), 1
        case "all right":
            predicted = truth.copy()
        case "all wrong":
            predicted = ((truth + 1) % 5).astype(np.uint8)
        case "many classes":
            truth, predicted = rng.integers(0, 254, (2, 37, 41)).astype(np.uint8)
            return truth, predicted, 254
        case "one pixel":
            return truth[:1, :1], predicted[:1, :1], 5
    return truth, predicted, 5


CASES = (
    *("usual", "void", "class absent from the truth", "class absent from both", "class never predicted"),
    *("predicted on void alone", "one class", "all right", "all wrong", "many classes", "one pixel"),
)


@pytest.mark.parametrize("name", CASES)
def test_equals_the_references(name):
    truth, predicted, classes = case(name)
    matrix = confusion(truth, predicted, classes)
    hand = by_hand(truth, predicted, classes)
    each = ious(matrix)
    # Both round the same quotient once, so they are equal to the last bit.
    assert [None if np.isnan(v) else v for v in each] == [None if f is None else float(f) for f in hand]
    occurring = [f for f in hand if f is not None]
    scores = scores_of(matrix, tuple(map(str, range(classes))), 1)
    assert scores.miou == pytest.approx(float(sum(occurring) / len(occurring)), abs=1e-15)
    valid = truth != VOID
    assert scores.accuracy == (truth == predicted)[valid].sum() / valid.sum()

    sklearn = pytest.importorskip("sklearn.metrics")
    labels = [c for c in range(classes) if hand[c] is not None]
    theirs = sklearn.jaccard_score(truth[valid], predicted[valid], labels=labels, average=None, zero_division=0)
    np.testing.assert_array_equal(theirs, each[labels])
    if classes > 1:
        torchmetrics = pytest.importorskip("torchmetrics.functional.classification")
        pair = (torch.from_numpy(predicted).long(), torch.from_numpy(truth).long())
        settings = {"num_classes": classes, "ignore_index": VOID}
        np.testing.assert_array_equal(torchmetrics.multiclass_confusion_matrix(*pair, **settings).numpy(), matrix)
        # It divides in float32.
        got = torchmetrics.multiclass_jaccard_index(*pair, average="none", **settings).numpy()
        np.testing.assert_array_equal(got, np.nan_to_num(each).astype(np.float32))
        mean = float(torchmetrics.multiclass_jaccard_index(*pair, average="macro", **settings))
        assert mean == pytest.approx(scores.miou, abs=1e-6)


def test_matrices_of_parts_add_up_and_keep_rows_for_the_truth():
    truth, predicted, classes = case("void")
    whole = confusion(truth, predicted, classes)
    np.testing.assert_array_equal(
        confusion(truth[:9], predicted[:9], classes) + confusion(truth[9:], predicted[9:], classes), whole
    )
    assert whole[1, 3] == ((truth == 1) & (predicted == 3)).sum()
    assert whole.sum() == (truth != VOID).sum()


def test_scores_say_what_is_there():
    matrix = np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])
    scores = scores_of(matrix, ("road", "car", "bus"), 4)
    assert [row["iou"] for row in scores.per_class] == [6 / 9, 1 / 4, None]
    assert scores.miou == scores.main == (6 / 9 + 1 / 4) / 2
    car = {"name": "car", "iou": 0.25, "recall": 0.5, "precision": 1 / 3, "share": 0.2}
    assert scores.per_class[1] == car
    assert scores.per_class[2]["recall"] is scores.per_class[2]["precision"] is None
    assert scores.columns() == {"miou": scores.miou, "accuracy": 0.7}
    assert scores.sentence() == "mIoU 45.8 %, pixel accuracy 70.0 %"
    assert SegmentScores(**scores.to_json()) == scores
    with pytest.raises(BadInput, match="every pixel of the masks is void"):
        scores_of(confusion(np.full((3, 3), VOID, np.uint8), np.zeros((3, 3), np.uint8), 2), ("a", "b"), 1)
