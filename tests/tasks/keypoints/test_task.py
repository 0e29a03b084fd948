"""The task of keypoints: PCK by hand, the judge's ways, options, and a small net that learns stick figures."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from pumice.data.pose_crop import moved, region_of, to_input
from pumice.data.pose_samples import heatmaps
from pumice.data.poses import Pose, PoseSet
from pumice.data.preprocess import Preprocess
from pumice.data.skeleton import Skeleton, skeleton_of
from pumice.errors import BadInput, CheckFailed
from pumice.tasks.keypoints.loss import HeatmapLoss
from pumice.tasks.keypoints.pck import correct
from pumice.tasks.keypoints.scores import PoseScores
from pumice.tasks.keypoints.task import Keypoints, PoseOptions

pytest.importorskip("faster_coco_eval")
NAMES = ("neck", "head_top", "left_shoulder", "right_hip")
SIGMAS = (0.1,) * 4
SKELETON = skeleton_of(NAMES, sigmas=SIGMAS)
SIZE = (64, 48)
PREPROCESS = Preprocess(SIZE, 1.0, "bilinear", resize="stretch")
DECODE = {"kind": "heatmap", "stride": 4}


def pose(number: int, image: str = "a", shift: float = 0.0, **changes: Any) -> Pose:
    joints = np.array([[50, 30, 2], [50, 10, 2], [40, 32, 2], [58, 80, 1]], float)
    joints[:, 0] += shift
    given: dict[str, Any] = {"box": (20 + shift, 0, 80 + shift, 100), "joints": joints, "area": 3000.0, "id": number}
    return Pose(**{"image": image, **given, **changes})


def people(*poses: Pose, skeleton: Skeleton = SKELETON, others: tuple[Pose, ...] = ()) -> PoseSet:
    grey = lambda: Image.new("RGB", (300, 120), "grey")  # noqa: E731
    names = tuple(f"{p.image}#{p.id}" for p in poses)
    return PoseSet(skeleton, names, (grey,) * len(poses), poses, others)


def answered(samples: PoseSet, index: int, joints: np.ndarray) -> np.ndarray:
    """What a network that finds these joints (J, 2), in pixels of the image, answers: (1, J, h, w)."""
    box = samples.poses[index].box
    return heatmaps(moved(joints, to_input(region_of(box, SIZE), SIZE)), SIZE, 4.0)[None]


def judged(samples: PoseSet, task: Keypoints | None = None, shift: float = 0.0) -> PoseScores:
    judge = (task or Keypoints()).judge(samples, PREPROCESS, DECODE)
    for i, one in enumerate(samples.poses):
        judge.add([i], answered(samples, i, one.joints[:, :2] + [shift, 0]))
    return judge.scores()


def test_pck_by_hand() -> None:
    truth = pose(1)
    off = truth.joints[:, :2] + [[0, 20.1], [19.9, 0], [0, 0], [12, 16]]  # 20.1, 19.9, 0 and 20 pixels
    right, labelled = correct([off], [truth], SKELETON, 0.2, "box")  # of 100, the longer side
    assert (right.tolist(), labelled.tolist()) == ([0, 1, 1, 1], [1, 1, 1, 1])
    right, labelled = correct([off, None], [truth, pose(2)], SKELETON, 0.2, "box")
    assert (right.tolist(), labelled.tolist()) == ([0, 1, 1, 1], [2, 2, 2, 2]), "nobody found counts as wrong"
    hidden = replace(truth, joints=truth.joints * [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]])
    right, labelled = correct([off], [hidden], SKELETON, 0.2, "box")
    assert (right.tolist(), labelled.tolist()) == ([0, 0, 1, 1], [1, 0, 1, 1])
    # The torso is hypot(18, 48) = 51.3 pixels long, the head 20.
    assert correct([off], [truth], SKELETON, 0.391, "torso")[0].tolist() == [0, 1, 1, 1]
    assert correct([off], [truth], SKELETON, 0.3925, "torso")[0].tolist() == [1, 1, 1, 1]
    assert correct([off], [truth], SKELETON, 1.0, "head")[0].tolist() == [0, 1, 1, 1]
    assert correct([off], [hidden], SKELETON, 1.0, "head")[1].tolist() == [0, 0, 0, 0], "its head is not labelled"
    with pytest.raises(BadInput, match="no right_hip; choose box"):
        correct(
            [off[:3]],
            [replace(truth, joints=truth.joints[:3])],
            skeleton_of(NAMES[:3], sigmas=SIGMAS[:3]),
            0.2,
            "torso",
        )


def test_scores_of_a_perfect_and_of_a_poor_network() -> None:
    samples = people(pose(1), pose(2, "b", 40.0), pose(3, "b", 150.0))
    best = judged(samples)
    assert (best.pck, best.ap, best.ap50, best.ar, best.count) == (1.0, pytest.approx(1.0), 1.0, 1.0, 3)
    assert best.main == best.ap
    assert best.columns() == {"pck": 1.0, "oks_ap": best.ap}
    assert best.sentence() == "OKS AP 100.0 %, PCK@0.2 of the box 100.0 %"
    assert PoseScores(**json.loads(json.dumps(best.to_json()))) == best
    assert best.per_class[3] == {"name": "right_hip", "pck": 1.0, "labelled": 3}
    worse = judged(samples, shift=15)
    assert worse.pck == 1.0
    assert worse.ap is not None
    assert worse.ap < 0.9
    assert judged(samples, Keypoints(PoseOptions(pck=0.1)), shift=15).pck == 0.0
    unknown = people(*samples.poses, skeleton=skeleton_of(NAMES))
    assert judged(unknown, shift=15).main == 1.0, "without sigmas PCK decides"
    assert judged(unknown, shift=15).sentence().startswith("PCK@0.2 of the box 100.0 %, OKS AP ")


def test_a_judge_collects_in_any_order_and_from_others() -> None:
    samples = people(pose(1), pose(2, "b", 40.0), pose(3, "b", 150.0), others=(pose(9, "b", crowd=True),))
    task = Keypoints()
    first, second = (task.judge(samples, PREPROCESS, DECODE) for _ in range(2))
    outputs = [answered(samples, i, p.joints[:, :2]) for i, p in enumerate(samples.poses)]
    first.add([2, 0], np.concatenate([outputs[2], outputs[0]]))
    first.add([0], np.zeros_like(outputs[0]))  # again: ignored
    second.add([1], outputs[1])
    part = first.scores()
    assert (part.count, part.ap) == (2, pytest.approx(101 / 101)), "of image b the person who was shown"
    first.take(json.loads(json.dumps(second.answers())))
    whole = first.scores()
    assert whole.count == 3
    assert whole.ap == pytest.approx(1.0)
    unlearnt = people(pose(1), pose(2, crowd=True), pose(4, joints=np.zeros((4, 3))))
    assert judged(unlearnt).per_class[0]["labelled"] == 2, "whoever is a sample is judged"
    in_order = task.judge(samples, PREPROCESS, DECODE)
    in_order.add([0, 1, 2], np.concatenate(outputs))
    assert in_order.answers() == first.answers()
    assert in_order.scores() == whole


def test_boxes_of_a_detector() -> None:
    """Every person counts, found or not; the same person found twice counts once; nobody's box is a false alarm."""
    people_there = (pose(1), pose(2, "b", 40.0), pose(3, "c"))
    nothing = np.zeros((4, 3))
    boxes = tuple(
        Pose(p.image, p.box, nothing, p.area, i, score=score)
        for i, (p, score) in enumerate([(people_there[0], 0.9), (people_there[0], 0.8), (people_there[1], 0.7)])
    )
    samples = people(*boxes, others=people_there)
    judge = Keypoints().judge(samples, PREPROCESS, DECODE)
    off = np.array([[4.0, 0.0], *[[0.0, 0.0]] * 3])  # about a pixel of the heatmap
    for i, (person, away) in enumerate([(people_there[0], 0), (people_there[0], off), (people_there[1], 0)]):
        judge.add([i], answered(samples, i, person.joints[:, :2] + away))
    scores = judge.scores()
    assert scores.pck == pytest.approx(2 / 3)
    assert scores.ar == pytest.approx(2 / 3)
    assert scores.ap == pytest.approx(67 / 101)  # precision 1 at the recalls 0 to 0.66
    with_doubles = Keypoints(PoseOptions(doubles=1.0)).judge(samples, PREPROCESS, DECODE)
    with_doubles.take(judge.answers())
    assert (with_doubles.scores().ap or 0) < (scores.ap or 0)


def test_what_cannot_be_scored() -> None:
    samples = people(pose(1))
    judge = Keypoints().judge(samples, PREPROCESS, DECODE)
    with pytest.raises(BadInput, match="no persons to score"):
        judge.scores()
    with pytest.raises(BadInput, match="made for these joints"):
        judge.add([0], np.zeros((1, 5, 16, 12), np.float32))
    with pytest.raises(BadInput, match="of shape"):
        judge.add([0], np.zeros((1, 4, 8, 6), np.float32))
    wrong = np.zeros((1, 4, 16, 12), np.float32)
    wrong[0, 2, 3, 3] = np.nan
    judge.add([0], wrong)
    with pytest.raises(CheckFailed, match="not finite"):
        judge.scores()
    nobody = people(Pose("a", (0, 0, 9, 9), np.zeros((4, 3)), 9.0, 1, score=0.5))
    judge = Keypoints().judge(nobody, PREPROCESS, DECODE)
    judge.add([0], np.zeros((1, 4, 16, 12), np.float32))
    with pytest.raises(BadInput, match="none of the 1 persons has a labelled joint"):
        judge.scores()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hflip": 1.5}, "task.hflip=1.5 is no probability"),
        ({"rotate": 200.0}, "task.rotate=200.0 is impossible; give degrees"),
        ({"scale": 1.0}, "task.scale=1.0"),
        ({"sigma": 0.0}, "task.sigma=0.0"),
        ({"pck": 0.0}, "task.pck=0.0"),
        ({"hardest": -1}, "task.hardest=-1"),
        ({"doubles": 0.0}, "task.doubles=0.0"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        PoseOptions(**options)


def test_loss_by_hand() -> None:
    outputs = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    target = {"heatmaps": torch.zeros(1, 3, 2, 2), "weights": torch.tensor([[1.0, 1.0, 0.0]])}
    assert HeatmapLoss()(outputs, target) == pytest.approx((1 + 4) / 3)
    assert HeatmapLoss(hardest=1)(outputs, target) == pytest.approx(4)
    assert HeatmapLoss(hardest=9)(outputs, target) == pytest.approx((1 + 4) / 3)


def test_what_a_file_carries_makes_the_skeleton() -> None:
    samples = people(pose(1))
    task = Keypoints()
    carried = json.loads(json.dumps(task.carried(samples)))
    assert Skeleton.from_json(samples.classes, carried) == SKELETON
    assert task.outputs(samples.classes) == 4


def figure(seed: int) -> tuple[Image.Image, Pose]:
    """A stick figure whose limbs have colours of their own."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (120, 140), tuple(random.integers(0, 90, 3).tolist()))
    hip = np.array([60, 75]) + random.uniform(-6, 6, 2)

    def at(x: float, y: float) -> np.ndarray:
        return hip + np.array([x, y])

    hands = [at(side * random.uniform(18, 34), random.uniform(-40, -5)) for side in (-1, 1)]
    feet = [at(side * random.uniform(6, 22), random.uniform(35, 52)) for side in (-1, 1)]
    joints = [at(0, -35), *hands, *feet]
    draw = ImageDraw.Draw(image)
    for joint, colour in zip(joints, ("white", "red", "lime", "yellow", "cyan"), strict=True):
        draw.line([*(hip if joint[1] > hip[1] else at(0, -22)), *joint], fill=colour, width=5)
    draw.ellipse([*(joints[0] - 8), *(joints[0] + 8)], fill="white")
    points = np.column_stack([np.array(joints), np.full(5, 2.0)])
    low, high = points[:, :2].min(axis=0) - 8, points[:, :2].max(axis=0) + 8
    return image, Pose(f"{seed}", (low[0], low[1], high[0], high[1]), points, 3000.0, seed)


def test_a_small_net_learns_six_stick_figures() -> None:
    from pumice.models.create import create_model

    made = [figure(seed) for seed in range(6)]
    skeleton = skeleton_of(("head", "left_hand", "right_hand", "left_foot", "right_foot"), sigmas=(0.08,) * 5)
    loaders = tuple((lambda image=image: image) for image, _ in made)
    samples = PoseSet(skeleton, tuple(f"{i}" for i in range(6)), loaders, tuple(p for _, p in made))
    task = Keypoints(PoseOptions(rotate=10, scale=0.1, half_body=0, hflip=0, sigma=3.0))
    torch.manual_seed(0)
    net = create_model("heatmap:mobilenetv3_small_050", num_classes=task.outputs(samples.classes), filters=16)
    preprocess = replace(PREPROCESS, size=(96, 80))
    learnt, criterion = task.training_set(samples, preprocess, 0), task.criterion(net, preprocess)
    judging = torch.stack([task.judging_set(samples, preprocess)[i] for i in range(6)])

    def score(flip_test: bool = False) -> PoseScores:
        net.eval()

        def run(batch: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return net(torch.from_numpy(batch)).numpy()

        mine = Keypoints(replace(task.options, flip_test=flip_test))
        judge = mine.judge(samples, preprocess, DECODE)
        judge.add(range(6), mine.answering(run, samples)(judging.numpy()))
        return judge.scores()

    assert score().pck < 0.6
    optimizer = torch.optim.Adam(net.parameters(), 4e-3)
    for epoch in range(50):
        net.train()
        inputs, target = task.collate([learnt[epoch, i] for i in range(6)])
        optimizer.zero_grad()
        criterion(net(inputs), target).backward()
        optimizer.step()
    scores = score()
    assert scores.pck > 0.9, scores
    assert (scores.ap or 0) > 0.3
    assert score(flip_test=True).pck != scores.pck or score(flip_test=True).ap != scores.ap
