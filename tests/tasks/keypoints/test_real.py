"""Real persons: COCO's and LSP's annotations through files, crops, heatmaps and scores, and what a sample costs."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference_oks import evaluated

from pumice.data import folder
from pumice.data.open_poses import open_poses
from pumice.data.pose_crop import moved, region_of, to_input
from pumice.data.pose_samples import heatmaps
from pumice.data.poses import PoseSet
from pumice.data.preprocess import Preprocess
from pumice.tasks.keypoints.scores import PoseScores
from pumice.tasks.keypoints.task import Keypoints

pytest.importorskip("faster_coco_eval")
PREPROCESS = Preprocess((256, 192), 1.0, "bilinear", resize="stretch")


def unpacked(name: str, place: Path) -> Path:
    unpack = Path(folder.__file__).parents[3] / "shared" / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("../shared is absent: it holds the real photos")
    subprocess.run([sys.executable, unpack, name, place / name], check=True, capture_output=True)
    return place / name


def of_the_truth(samples: PoseSet, noise: float = 0.0) -> tuple[PoseScores, list]:
    """Scores of a network that answers the true heatmaps, or those of joints moved by so many pixels of the input."""
    random, size = np.random.default_rng(0), PREPROCESS.size
    judge = Keypoints().judge(samples, PREPROCESS, {"kind": "heatmap", "stride": 4})
    for i, pose in enumerate(samples.poses):
        places = moved(pose.joints[:, :2], to_input(region_of(pose.box, size), size))
        judge.add([i], heatmaps(places + random.normal(0, noise, places.shape), size, 8.0)[None])
    return judge.scores(), judge.answers()


def test_coco(tmp_path: Path) -> None:
    splits = open_poses(unpacked("coco_mini", tmp_path), strict=True)
    assert (len(splits.train), len(splits.val), len(splits.val.others)) == (79, 7, 3)
    assert splits.train.skeleton.measured
    best, _ = of_the_truth(splits.val)
    assert (best.ap50, best.pck) == (1.0, 1.0)
    assert best.main > 0.95
    everyone = open_poses(tmp_path / "coco_mini").train
    judged = PoseSet(everyone.skeleton, everyone.names, everyone.loaders, everyone.poses, splits.val.others)
    noisy, answers = of_the_truth(judged, noise=12.0)
    found = []
    for i, joints in answers:
        places = np.asarray(joints)
        found.append((everyone.poses[i].image, places, float(places[places[:, 2] > 0.2, 2].mean())))
    assert noisy.ap == pytest.approx(evaluated(found, judged.annotated, everyone.skeleton.sigmas)["ap_all"], abs=1e-12)
    assert 0.05 < noisy.main < 0.95


def test_leeds(tmp_path: Path) -> None:
    splits = open_poses(unpacked("lsp", tmp_path), strict=True)
    assert (len(splits.train), len(splits.val), splits.classes[-1]) == (750, 150, "head_top")
    best, _ = of_the_truth(splits.val)
    assert (best.pck, best.main, best.measured) == (1.0, 1.0, False)
    assert sum(one["labelled"] for one in best.per_class) == 1939
    learnt = Keypoints().training_set(splits.train, PREPROCESS, 0)
    times = []
    for i in range(40):
        start = time.process_time()
        learnt[0, i]
        times.append(time.process_time() - start)
    assert np.median(times) < 0.008, "a sample must not hold up a step"
    small = Keypoints().training_set(splits.train, replace(PREPROCESS, size=(64, 48)), 0)
    assert small[0, 0][1]["heatmaps"].shape == (14, 16, 12)
