"""`pumice data check --task`: what boxes, masks and poses hold, and what is wrong with them."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.cli import made
from tests.cli.conftest import Pumice

DATA = {"detect": made.boxes, "segment": made.masks, "keypoints": made.poses}
FOLDER = {"detect": "{}", "segment": "images/{}", "keypoints": "{}"}


@pytest.mark.parametrize("task", DATA)
def test_it_counts_and_finds_an_image_on_both_sides(task: str, tmp_path: Path, pumice: Pumice) -> None:
    root = DATA[task](tmp_path / "data")
    said = pumice("data", "check", root, "--task", task, "--json")
    assert said.code == 0
    assert (said.json["ok"], said.json["leaks"]) == (True, [])
    assert said.json["train"]["images"] == 12
    classes = {"detect": {"red", "blue"}, "segment": {"ground", "red", "blue"}, "keypoints": {"middle"}}[task]
    counted = said.json["train"]["shares" if task == "segment" else "per_class"]
    assert classes <= counted.keys()
    assert sum(counted.values()) == pytest.approx({"detect": 24, "segment": 1, "keypoints": 72}[task])
    folder = FOLDER[task]
    shutil.copy(root / folder.format("train") / "3.png", root / folder.format("val") / "1.png")
    said = pumice("data", "check", root, "--task", task)
    assert said.code == 1
    assert "1 validation image is also to be learnt from" in said.out
    (pair,) = pumice("data", "check", root, "--task", task, "--json").json["leaks"]
    assert "3" in pair["first"]
    assert pair["bits"] is None


def test_what_cannot_be_used_is_named(tmp_path: Path, pumice: Pumice) -> None:
    root = made.boxes(tmp_path / "data")
    file = root / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [5, 5, 0, 9]
    content["annotations"][1]["bbox"] = [500, 5, 9, 9]
    file.write_text(json.dumps(content))
    (root / "train" / "7.png").write_bytes(b"no image")
    said = pumice("data", "check", root, "--task", "detect")
    assert said.code == 1
    assert "1 of the images cannot be read" in said.out
    assert "7.png" in said.out
    assert "of the data 2 cannot be used" in said.out
    assert "annotation 1" in said.out
    refused = pumice("train", root, "--task", "detect", "--model", "micronet_m0", "--strict", "--out", tmp_path / "run")
    assert refused.code == 2
    assert not (tmp_path / "run").exists()


def test_a_page_is_of_classes_alone(tmp_path: Path, pumice: Pumice) -> None:
    root = made.masks(tmp_path / "data", train=2, val=1)
    said = pumice("data", "check", root, "--task", "segment", "--out", tmp_path / "page.html")
    assert "no page about data to segment" in said.sentence
    assert not (tmp_path / "page.html").exists()
    Image.new("RGB", (80, 64)).save(root / "masks/val/0.png")
    assert "in colour" in pumice("data", "check", root, "--task", "segment").sentence
