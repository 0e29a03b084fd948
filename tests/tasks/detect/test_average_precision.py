"""COCO's figures against a plain reading of its definition, VOC's against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.data.boxes import Boxes
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.detect.average_precision import coco_evaluation, overlaps, voc_ap

IOUS = np.linspace(0.5, 0.95, 10)
RANGES = ((0, 1e10), (0, 1024), (1024, 9216), (9216, 1e10))
LIMITS = (1, 10, 100)
NONE = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


def plain_iou(box, other, crowd: bool) -> float:
    """Of width and height, as COCO computes it: over the detection's own area where the object is a crowd."""
    (x, y, w, h), (u, v, s, t) = ((b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in (box, other))
    wide, high = min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v)
    if wide <= 0 or high <= 0:
        return 0.0
    shared = wide * high
    return shared / (w * h if crowd else w * h + s * t - shared)


def plain_matches(boxes, truth: Boxes, areas, span, iou: float):
    """Of one image and class, best first: whether each detection hits, and whether it does not count; objects."""
    ignored = [bool(c) or not span[0] <= a <= span[1] for c, a in zip(truth.crowd, truth.areas, strict=True)]
    taken, hits, left_out = set(), [], []
    for box, area in zip(boxes, areas, strict=True):
        # An object that counts is preferred to any that does not; the last among the best that are left.
        choice = None
        for counts in (True, False):
            best = min(iou, 1 - 1e-10)
            for g in range(len(truth)):
                if ignored[g] == counts or (g in taken and not truth.crowd[g]):
                    continue
                overlap = plain_iou(box, truth.boxes[g], truth.crowd[g])
                if overlap >= best:
                    best, choice = overlap, g
            if choice is not None:
                break
        hits.append(choice is not None)
        left_out.append(ignored[choice] if choice is not None else not span[0] <= area <= span[1])
        if choice is not None:
            taken.add(choice)
    return hits, left_out, ignored.count(False)


def plain_evaluation(found, truth, classes):
    """Precision (T, 101, K, A, M), scores, and recall (T, K, A, M) by COCO's definition, in loops."""
    shape = len(IOUS), 101, classes, len(RANGES), len(LIMITS)
    precision, scores = -np.ones(shape), -np.ones(shape)
    recall = -np.ones((shape[0], *shape[2:]))
    for t, k, a, m in np.ndindex(*recall.shape):
        rows, objects = [], 0
        for (boxes, score, labels), target in zip(found, truth, strict=True):
            mine = [i for i in sorted(range(len(score)), key=lambda i: -score[i]) if labels[i] == k][:100]
            of_class = target.labels == k
            part = Boxes(*(v[of_class] for v in vars(target).values()))
            # Matched over the hundred, cut to the limit afterwards.
            areas = [(boxes[i][2] - boxes[i][0]) * (boxes[i][3] - boxes[i][1]) for i in mine]
            hits, left_out, count = plain_matches([boxes[i] for i in mine], part, areas, RANGES[a], IOUS[t])
            rows += [(score[i], h, o) for i, h, o in zip(mine, hits, left_out, strict=True)][: LIMITS[m]]
            objects += count
        if not objects:
            continue
        rows.sort(key=lambda row: -row[0])
        right = np.cumsum([hit and not out for _, hit, out in rows]) if rows else np.zeros(0)
        shown = np.cumsum([not out for _, _, out in rows]) if rows else np.zeros(0)
        reached = right / objects
        curve = right / (shown + np.spacing(1))
        recall[t, k, a, m] = reached[-1] if rows else 0
        precision[t, :, k, a, m] = scores[t, :, k, a, m] = 0
        for r, wanted in enumerate(np.linspace(0, 1, 101)):
            place = int(np.searchsorted(reached, wanted, side="left"))
            if place < len(rows):
                precision[t, r, k, a, m] = curve[place:].max()
                scores[t, r, k, a, m] = rows[place][0]
    return precision, scores, recall


def assert_equal_to_plain(found, truth, classes):
    got = coco_evaluation(found, truth, classes)
    assert got.areas == ("all", "small", "medium", "large")
    assert got.limits == LIMITS
    precision, scores, recall = plain_evaluation(found, truth, classes)
    np.testing.assert_array_equal(got.recall, recall)
    # pycocotools, and the plain reading, add an epsilon to a divisor: one part in 2**52.
    np.testing.assert_allclose(got.precision, precision, rtol=2.3e-16, atol=0)
    np.testing.assert_array_equal(got.scores, scores)
    return got


def detections(*rows):
    """From rows (label, score, left, top, right, bottom)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return table[:, 2:], table[:, 1], table[:, 0].astype(np.int64)


A, B, FAR = [10, 10, 30, 30], [50, 50, 90, 90], [200, 200, 240, 240]
CASES = {
    "no boxes": ([detections((0, 0.9, *A))], [Boxes.of([], [])]),
    "no detections": ([NONE], [Boxes.of([A], [0])]),
    "nothing at all": ([NONE, NONE], [Boxes.of([], []), Boxes.of([], [])]),
    "only a crowd": ([detections((0, 0.9, *A))], [Boxes.of([A], [0], crowd=[True])]),
    "a detection twice": ([detections((0, 0.9, *A), (0, 0.9, *A))], [Boxes.of([A, B], [0, 0])]),
    "a class without truth": ([detections((0, 0.9, *A), (1, 0.8, *B))], [Boxes.of([A], [0])]),
    "the wrong class": ([detections((1, 0.9, *A))], [Boxes.of([A, B], [0, 1])]),
    "ties over images": (
        [detections((0, 0.5, *FAR)), detections((0, 0.5, *A)), detections((0, 0.5, *A), (0, 0.5, *FAR))],
        [Boxes.of([A], [0]), Boxes.of([A], [0]), Boxes.of([A], [0])],
    ),
    "more than a hundred": (
        [detections(*((0, 1 - i / 1000, *FAR) for i in range(99)), (0, 0.5, *A), (0, 0.4, *B))],
        [Boxes.of([A, B], [0, 0])],
    ),
    "a crowd under many": (
        [detections(*((0, 0.9 - i / 100, 100 + i, 100, 120 + i, 120) for i in range(20)), (0, 0.1, *A))],
        [Boxes.of([[90, 90, 160, 160], A], [0, 0], crowd=[True, False])],
    ),
    "a crowd over an object": (
        [detections((0, 0.9, *A), (0, 0.8, *A))],
        [Boxes.of([[0, 0, 100, 100], A], [0, 0], crowd=[True, False])],
    ),
    "borders of the ranges": (
        [detections((0, 0.9, 0, 0, 32, 32), (0, 0.8, 100, 100, 196, 196), (0, 0.7, 0, 50, 32, 82))],
        [Boxes.of([[0, 0, 32, 32], [100, 100, 196, 196]], [0, 0])],
    ),
    "areas of outlines": (
        [detections((0, 0.9, 0, 0, 40, 40), (0, 0.8, 100, 100, 210, 210))],
        [Boxes.of([[0, 0, 40, 40], [100, 100, 210, 210]], [0, 0], areas=[1000.0, 5000.0])],
    ),
    "two objects in one place": (
        [detections((0, 0.9, *A), (0, 0.8, *A), (0, 0.7, *A))],
        [Boxes.of([A, A], [0, 0])],
    ),
    "IoU of exactly a half": ([detections((0, 0.9, 0, 0, 20, 10))], [Boxes.of([[0, 0, 10, 10]], [0])]),
    "a score of zero": ([detections((0, 0.0, *A))], [Boxes.of([A], [0])]),
}


@pytest.mark.parametrize("name", CASES)
def test_coco_on_hard_cases(name: str):
    assert_equal_to_plain(*CASES[name], 2)


box = st.tuples(*[st.integers(0, 12)] * 4).map(lambda b: [8 * b[0], 8 * b[1], 8 * (b[0] + b[2] + 1), 8 * (b[1] + b[3])])
full = box.filter(lambda b: b[3] > b[1])
objects = st.lists(st.tuples(full, st.integers(0, 1), st.booleans()), max_size=5)
answers = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.5, 0.5000001, 0.9]), full), max_size=14)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(answers, objects), min_size=1, max_size=3))
def test_coco_on_drawn_cases(images):
    found = [detections(*((label, score, *b) for label, score, b in rows)) for rows, _ in images]
    truth = [Boxes.of([b for b, _, _ in some], [c for _, c, _ in some], [f for _, _, f in some]) for _, some in images]
    assert_equal_to_plain(found, truth, 2)


def test_figures_by_hand():
    # Two objects; the best detection hits at IoU 0.8 (0.5 ... 0.8 are 7 of 10 thresholds), the next one misses.
    found = [detections((0, 0.9, 0, 0, 10, 8), (0, 0.8, *FAR))]
    got = coco_evaluation(found, [Boxes.of([[0, 0, 10, 10], A], [0, 0])], 2)
    at_half = 51 / 101  # recall 0, 0.01, ..., 0.5 with precision 1
    assert got.ap(0.5) == pytest.approx(at_half, abs=1e-12)
    assert got.ap() == pytest.approx(at_half * 0.7, abs=1e-12)
    assert got.ap(0.85) == 0
    assert got.ap(label=0) == got.ap()
    assert got.ap(label=1) is None
    assert got.ap(area="large") is None
    assert got.ar(1) == pytest.approx(0.35, abs=1e-12)
    assert got.curve(0) == pytest.approx([1.0] * 51 + [0.0] * 50, abs=1e-12)
    assert got.curve(1) is None


def test_voc_by_hand():
    # In order of score: hit, false alarm, hit, again the same object, difficult (does not count); 4 objects count.
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10], [80, 0, 90, 10]]
    truth = [Boxes.of(boxes, [0] * 5, [False] * 4 + [True]), Boxes.of([], [])]
    found = [
        detections((0, 0.9, *boxes[0]), (0, 0.7, 20, 0, 30, 8), (0, 0.6, *boxes[1]), (0, 0.5, *boxes[4])),
        detections((0, 0.8, *FAR), (1, 0.99, *FAR)),
    ]
    # Recall 1/4 at precision 1, 2/4 at 2/3; of class 1 there is nothing to find.
    assert voc_ap(found, truth, 2) == [pytest.approx(1 / 4 + 2 / 3 / 4, abs=1e-12), None]
    assert voc_ap(found, truth, 1, rule="11 points") == [pytest.approx((3 * 1 + 3 * 2 / 3) / 11, abs=1e-12)]
    assert voc_ap(found, truth, 1, iou=0.9) == [pytest.approx(1 / 4 + 2 / 4 / 4, abs=1e-12)]  # 0.7 misses, 0.6 hits
    assert voc_ap([NONE, NONE], truth, 1) == [0]
    # What is nearest is taken: a second detection does not go on to another object that it overlaps enough.
    near = [Boxes.of([[0, 0, 10, 10], [0, 1, 10, 11]], [0, 0])]
    twice = [detections((0, 0.9, 0, 0, 10, 10), (0, 0.8, 0, 0.2, 10, 10.2))]
    assert voc_ap(twice, near, 1) == [pytest.approx(0.5)]


def plain_voc(found, truth, label: int) -> float | None:
    """The development kit's loop, over all points."""
    rows = [
        (score, image, box) for image, one in enumerate(found) for box, score, k in zip(*one, strict=True) if k == label
    ]
    wanted = sum(int(((one.labels == label) & ~one.crowd).sum()) for one in truth)
    taken, hits = set(), []
    for _, image, box in sorted(rows, key=lambda row: -row[0]):
        target = truth[image]
        mine = [(plain_iou(box, target.boxes[g], False), -g) for g in range(len(target)) if target.labels[g] == label]
        best, place = max(mine, default=(0, 0))
        if best >= 0.5 and target.crowd[-place]:
            continue
        hits.append(best >= 0.5 and (image, -place) not in taken)
        taken.add((image, -place) if best >= 0.5 else None)
    if not wanted:
        return None
    curve = [(sum(hits[: n + 1]) / wanted, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    return sum(hits[n] / wanted * max(p for _, p in curve[n:]) for n in range(len(hits)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(answers, objects), min_size=1, max_size=3))
def test_voc_on_drawn_cases(images):
    found = [detections(*((label, score, *b) for label, score, b in rows)) for rows, _ in images]
    truth = [Boxes.of([b for b, _, _ in some], [c for _, c, _ in some], [f for _, _, f in some]) for _, some in images]
    expected = [plain_voc(found, truth, label) for label in range(2)]
    assert voc_ap(found, truth, 2) == [None if e is None else pytest.approx(e, abs=1e-12) for e in expected]


def test_overlaps():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 20, (30, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 20, (30, 2))], axis=1)
    expected = [[plain_iou(a, b, False) for b in boxes] for a in boxes]
    np.testing.assert_allclose(overlaps(boxes, boxes), expected, atol=1e-14)
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))) == 0
    assert overlaps(np.zeros((0, 4)), boxes).shape == (0, 30)


def test_refusals():
    with pytest.raises(BadInput, match="no images"):
        coco_evaluation([], [], 1)
    with pytest.raises(BadInput, match="of 1 images for 2"):
        voc_ap([NONE], [Boxes.of([], [])] * 2, 1)
    with pytest.raises(CheckFailed, match="finite"):
        coco_evaluation([detections((0, math.nan, *A))], [Boxes.of([A], [0])], 1)
