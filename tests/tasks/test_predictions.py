"""What is written of every validation image, and which of them get a picture."""

import base64
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data.image import read_image
from pumice.data.images import ImageSet
from pumice.tasks.predictions import RIGHT, WRONG, answers, read_answers, sheet, write_answers


def images_of(labels: list[int], size: tuple[int, int] = (20, 10)) -> ImageSet:
    """Image i is of the grey value i."""
    loaders = tuple(partial(Image.new, "RGB", size, (i, i, i)) for i in range(len(labels)))
    return ImageSet(("a", "b", "c"), tuple(labels), tuple(f"{i}.png" for i in range(len(labels))), loaders)


def test_probabilities_by_hand(tmp_path: Path) -> None:
    """softmax(0, ln 2, ln 5) = 1/8, 2/8, 5/8; large logits do not overflow."""
    logits = np.log([[1, 2, 5], [1, 2, 5], [5, 1, 2]]) + np.array([[0.0], [900.0], [-900.0]])
    rows = answers(images_of([0, 2, 0]), logits)
    assert [(r.name, r.truth, r.prediction) for r in rows] == [
        ("0.png", "a", "c"),
        ("1.png", "c", "c"),
        ("2.png", "a", "a"),
    ]
    assert [r.p_truth for r in rows] == pytest.approx([1 / 8, 5 / 8, 5 / 8], rel=1e-9)
    assert [r.p_pred for r in rows] == pytest.approx([5 / 8] * 3, rel=1e-9)
    write_answers(tmp_path / "p.csv", rows)
    again = read_answers(tmp_path / "p.csv")
    assert [r[:3] for r in again] == [r[:3] for r in rows]
    assert [r.p_truth for r in again] == pytest.approx([r.p_truth for r in rows], rel=1e-5)


def test_odd_names_are_written(tmp_path: Path) -> None:
    """Commas, quotes and line ends come back; a name that is no UTF-8 does not stop a run."""
    odd = ('a,"b"\nc.png', "caf\udce9.png")
    images = ImageSet(("a", "b"), (0, 1), odd, images_of([0, 1]).loaders)
    write_answers(tmp_path / "p.csv", answers(images, np.eye(2)))
    assert [r.name for r in read_answers(tmp_path / "p.csv")] == [odd[0], "caf\ufffd.png"]


def test_the_worst_mistakes_come_first() -> None:
    """Wrong with the highest probability, whatever the true class got; then right ones from all over the set."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400).tolist()
    rows = answers(images_of(labels), rng.normal(0, 2, (400, 3)))
    shown = sheet(images_of(labels), rows)
    wrong = [s for s in shown if s["truth"] != s["prediction"]]
    assert shown[: len(wrong)] == wrong
    assert len(wrong) == WRONG == 24
    by_hand = sorted((r.p_pred for r in rows if r.truth != r.prediction), reverse=True)[:24]
    assert [s["p_pred"] for s in wrong] == by_hand
    right = [int(s["name"].partition(".")[0]) for s in shown[24:]]
    assert len(right) == RIGHT
    assert min(right) < 60
    assert max(right) > 300
    for one in shown:  # the picture is that image's
        picture = Image.open(io.BytesIO(base64.b64decode(one["image"].partition(",")[2])))
        grey = int(one["name"].partition(".")[0])
        assert abs(np.asarray(picture).mean() - min(grey, 255)) <= 1.5, one["name"]
    assert json.dumps(shown)


def test_few_images_and_none_wrong() -> None:
    images = images_of([0, 1])
    assert [s["name"] for s in sheet(images, answers(images, np.eye(3)[:2]))] == ["0.png", "1.png"]


def test_a_picture_is_small_and_may_be_missing(tmp_path: Path) -> None:
    wide = images_of([0], size=(960, 480))
    uri = str(sheet(wide, answers(wide, np.array([[0.0, 1.0, 0.0]])))[0]["image"])
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (96, 48)
    gone = ImageSet(("a", "b"), (0,), ("x.png",), (partial(read_image, tmp_path / "x.png"),))
    assert sheet(gone, answers(gone, np.array([[0.0, 1.0]])))[0]["image"] is None
