import json

import numpy as np
import pytest

from pumice.data.boxes import Boxes
from pumice.errors import BadInput
from pumice.tasks.detect.scores import DetectScores, score

CLASSES = ("cell", "ring", "dust")
SMALL, LARGE = [0, 0, 10, 10], [100, 100, 300, 300]


def test_scores_of_two_images():
    truth = [Boxes.of([SMALL, LARGE], [0, 1]), Boxes.of([SMALL, LARGE], [0, 1], crowd=[False, True])]
    found = [
        (np.array([SMALL, LARGE]), np.array([0.9, 0.8]), np.array([0, 1])),
        (np.array([[0, 0, 10, 6.0]]), np.array([0.7]), np.array([0])),
    ]
    got = score(found, truth, CLASSES)
    # cell: both found at IoU 0.5 and 0.6 (of 0.5, 0.55, 0.6), half of them (51 recalls of 101) at the other seven.
    cell = 0.3 + 0.7 * 51 / 101
    assert got.ap == got.main == pytest.approx((cell + 1) / 2, abs=1e-12)
    assert got.ap50 == pytest.approx(1)
    assert got.ap75 == pytest.approx((51 / 101 + 1) / 2, abs=1e-12)
    assert got.ap_small == pytest.approx(cell, abs=1e-12)
    assert got.ap_medium is None
    assert got.ap_large == pytest.approx(1)
    assert (got.ar1, got.ar100) == (pytest.approx((0.3 + 0.35 + 1) / 2), got.ar10)
    assert (got.voc07, got.voc12, got.count) == (pytest.approx(1), pytest.approx(1), 2)
    assert [row["boxes"] for row in got.per_class] == [2, 1, 0]
    assert got.per_class[2] == {"name": "dust", "ap": None, "ap50": None, "ap75": None, "boxes": 0}
    assert got.curves == {"cell": [1.0] * 101, "ring": [1.0] * 101}
    assert got.columns() == {"ap": got.ap, "ap50": got.ap50, "ap75": got.ap75}
    assert got.sentence() == f"AP50 100.0 %, AP {100 * got.ap:.1f} %"


def test_json_and_back():
    truth = [Boxes.of([SMALL, LARGE], [0, 1])]
    got = score([(np.array([SMALL]), np.array([0.9]), np.array([0]))], truth, CLASSES)
    assert got.ap == pytest.approx(0.5)
    assert DetectScores(**json.loads(json.dumps(got.to_json()))) == got


def test_nothing_to_find():
    none = np.zeros((0, 4)), np.zeros(0), np.zeros(0)
    with pytest.raises(BadInput, match="no box to find"):
        score([none], [Boxes.of([SMALL], [0], crowd=[True])], CLASSES)
