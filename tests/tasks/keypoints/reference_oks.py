"""COCO's evaluation of keypoints once more, in plain Python: https://cocodataset.org/#keypoints-eval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pumice.data.poses import Pose

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
RANGES = {"all": (0, 1e10), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST = 20  # poses of an image

Found = tuple[str, np.ndarray, float]


def oks(found: np.ndarray, person: Pose, sigmas: Sequence[float]) -> float:
    total, count = 0.0, 0
    left, top, right, bottom = person.box
    width, height = right - left, bottom - top
    for (x, y), (gx, gy, v), sigma in zip(found[:, :2], person.joints, sigmas, strict=True):
        if person.labelled and v == 0:
            continue
        if person.labelled:
            dx, dy = x - gx, y - gy
        else:  # how far beyond the box grown by itself on each side
            dx = max(0, left - width - x) + max(0, x - (left + 2 * width))
            dy = max(0, top - height - y) + max(0, y - (top + 2 * height))
        total += np.exp(-(dx**2 + dy**2) / (2 * sigma) ** 2 / (person.area + np.spacing(1)) / 2)
        count += 1
    return total / count


def matched(
    found: list[Found], people: list[Pose], threshold: float, span: tuple[float, float], sigmas: Sequence[float]
) -> tuple[list[tuple[float, bool, bool]], int]:
    """Of an image: (score, whether right, whether left out) of each pose, and the persons to find."""
    ignored = [p.crowd or p.labelled == 0 or not span[0] <= p.area <= span[1] for p in people]
    order = sorted(range(len(people)), key=lambda i: ignored[i])
    ranked = sorted(found, key=lambda one: -one[2])[:MOST]
    taken: set[int] = set()
    rows = []
    for _, joints, score in ranked:
        best, where = min(threshold, 1 - 1e-10), -1
        for i in order:
            if i in taken and not people[i].crowd:
                continue
            if where > -1 and not ignored[where] and ignored[i]:
                break
            alike = oks(joints, people[i], sigmas)
            if alike < best:
                continue
            best, where = alike, i
        if where > -1:
            taken.add(where)
            rows.append((score, True, ignored[where]))
            continue
        xs, ys = joints[:, 0], joints[:, 1]
        area = (xs.max() - xs.min()) * (ys.max() - ys.min())
        rows.append((score, False, not span[0] <= area <= span[1]))
    return rows, ignored.count(False)


def evaluated(found: Sequence[Found], truth: Sequence[Pose], sigmas: Sequence[float]) -> dict[str, Any]:
    images = list(dict.fromkeys([*(p.image for p in truth), *(one[0] for one in found)]))
    result: dict[str, Any] = {}
    for name, span in RANGES.items():
        precisions, recalls = [], []
        for threshold in THRESHOLDS:
            rows, wanted = [], 0
            for image in images:
                there = [one for one in found if one[0] == image], [p for p in truth if p.image == image]
                more, n = matched(*there, threshold, span, sigmas)
                rows += more
                wanted += n
            if wanted == 0:
                continue
            rows = [row for row in sorted(rows, key=lambda row: -row[0]) if not row[2]]
            right = np.cumsum([row[1] for row in rows])
            wrong = np.cumsum([not row[1] for row in rows])
            recall = right / wanted
            precision = right / (right + wrong + np.spacing(1))
            for i in range(len(precision) - 1, 0, -1):
                precision[i - 1] = max(precision[i - 1], precision[i])
            at = np.searchsorted(recall, RECALLS, side="left")
            precisions.append([precision[i] if i < len(precision) else 0.0 for i in at])
            recalls.append(recall[-1] if len(recall) else 0.0)
        result[f"ap_{name}"] = float(np.mean(precisions)) if precisions else None
        result[f"ar_{name}"] = float(np.mean(recalls)) if recalls else None
        if name == "all" and precisions:
            result["ap50"], result["ap75"] = float(np.mean(precisions[0])), float(np.mean(precisions[5]))
    return result
