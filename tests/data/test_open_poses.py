"""COCO's keypoints files: what is read, what is skipped and named, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.data.open_poses import open_poses
from pumice.errors import BadInput

CATEGORY = {"id": 1, "name": "person", "keypoints": ["head", "left_foot", "right_foot"], "skeleton": [[1, 2], [1, 3]]}
Annotation = dict[str, Any]


def person(number: int, image: int = 1, **changes: Any) -> Annotation:
    joints = [10, 5, 2, 8, 20, 1, 0, 0, 0]
    given = {"id": number, "image_id": image, "category_id": 1, "bbox": [4, 2, 12, 20], "area": 100, "iscrowd": 0}
    return {**given, "keypoints": joints, "num_keypoints": 2, **changes}


def write(
    root: Path, name: str, people: list[Annotation], images: int = 2, category: Any = CATEGORY, **more: Any
) -> Path:
    """A file of annotations and its images `0.png`, ... of 40 x 30 pixels in the folder of the split."""
    folder = root / name.rpartition("keypoints_")[2].removesuffix(".json")
    folder.mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    listed = []
    for i in range(images):
        Image.new("RGB", (40, 30), (i, 0, 0)).save(folder / f"{i}.png")
        listed.append({"id": i + 1, "file_name": f"{i}.png", "width": 40, "height": 30})
    content = {"images": listed, "annotations": people, "categories": [category], **more}
    (root / "annotations" / name).write_text(json.dumps(content))
    return root / "annotations" / name


def test_what_is_read(tmp_path: Path) -> None:
    people = [person(7), person(8, 2), person(9, crowd := 1, iscrowd=crowd), person(5, keypoints=[0] * 9)]
    write(tmp_path, "person_keypoints_train2017.json", people)
    write(tmp_path, "person_keypoints_val2017.json", people)
    splits = open_poses(tmp_path)
    assert splits.skipped == ()
    assert splits.classes == ("head", "left_foot", "right_foot")
    assert splits.train.names == ("train2017/0.png#7", "train2017/1.png#8")
    assert splits.val.names == ("val2017/0.png#7", "val2017/1.png#8")
    first = splits.train.poses[0]
    assert (first.box, first.area, first.id, first.crowd, first.labelled) == ((4, 2, 16, 22), 100, 7, False, 2)
    assert first.joints.tolist() == [[10, 5, 2], [8, 20, 1], [0, 0, 0]]
    assert splits.train.skeleton.flip == (0, 2, 1)
    assert splits.train.skeleton.edges == ((0, 1), (0, 2))
    assert np.asarray(splits.train.image(1))[0, 0].tolist() == [1, 0, 0]
    # Crowds and persons without joints judge, but are not learnt.
    assert splits.train.others == ()
    assert [(p.id, p.crowd, p.labelled) for p in splits.val.others] == [(9, True, 2), (5, False, 0)]
    assert [p.id for p in splits.val.annotated] == [7, 8, 9, 5]
    second = splits.val.subset([1])
    assert (second.names, second.others) == (("val2017/1.png#8",), ())
    assert splits.val.subset([1, 0]).others == splits.val.others


def test_without_validation_images_are_split_whole(tmp_path: Path) -> None:
    write(tmp_path, "keypoints_train.json", [person(i, i // 2 + 1) for i in range(10)], images=5)
    splits = open_poses(tmp_path, val_fraction=0.4)
    learnt, judged = ({pose.image for pose in part.poses} for part in (splits.train, splits.val))
    assert (len(learnt), len(judged), learnt & judged) == (3, 2, set())
    again = open_poses(tmp_path, val_fraction=0.4)
    assert again.val.names == splits.val.names
    assert len({open_poses(tmp_path, seed=seed, val_fraction=0.4).val.names for seed in range(6)}) > 1


FAULTS = [
    (person(3, bbox=[4, 2, 0, 20]), "annotation 3 of train/0.png has a box without area"),
    (person(3, bbox=[4, 2, 5, -1]), "annotation 3 of train/0.png has a box without area"),
    (person(3, bbox=[40, 2, 5, 5]), "annotation 3 of train/0.png has a box outside the image"),
    (person(3, bbox=[4, -9, 5, 9]), "annotation 3 of train/0.png has a box outside the image"),
    (person(3, bbox=[4, 2, 5]), "annotation 3 of train/0.png has no box of four numbers"),
    (person(3, bbox=[4, 2, float("nan"), 5]), "annotation 3 of train/0.png has no box of four numbers"),
    (person(3, keypoints=[1, 2, 2, 3, 4, 2]), "annotation 3 of train/0.png has 2 joints, not 3"),
    (person(3, keypoints=None), "annotation 3 of train/0.png has no keypoints"),
    (person(3, keypoints=["a"] * 9), "annotation 3 of train/0.png has a joint that is no number"),
    (person(3, keypoints=[1, 1, 5] * 3), "annotation 3 of train/0.png has a joint whose visibility is not 0, 1 or 2"),
    (person(3, image=77), "annotation 3 lies in image 77, which the file does not list"),
    ({**person(3), "id": None}, "annotation None of train/0.png has no whole number as id"),
    (person(1), "annotation 1 of train/0.png has an id that came before"),
]


@pytest.mark.parametrize(("wrong", "reason"), FAULTS)
def test_faults_are_named_and_skipped_or_refused(tmp_path: Path, wrong: Annotation, reason: str) -> None:
    file = write(tmp_path, "keypoints_train.json", [person(1), wrong, person(2, 2)])
    write(tmp_path, "keypoints_val.json", [person(1)])
    splits = open_poses(tmp_path)
    assert [(s.path, s.reason) for s in splits.skipped] == [(str(file), reason)]
    assert [pose.id for pose in splits.train.poses] == [1, 2]
    with pytest.raises(BadInput, match="1 thing in it cannot be used") as refused:
        open_poses(tmp_path, strict=True)
    assert reason in str(refused.value)


def test_images_that_are_missing_damaged_or_of_another_size(tmp_path: Path) -> None:
    file = write(tmp_path, "keypoints_train.json", [person(i, i) for i in range(1, 7)], images=6)
    write(tmp_path, "keypoints_val.json", [person(1)])
    (tmp_path / "train" / "0.png").unlink()
    whole = (tmp_path / "train" / "1.png").read_bytes()
    (tmp_path / "train" / "1.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (20, 15)).save(tmp_path / "train" / "2.png")
    content = json.loads(file.read_text())
    content["images"][3]["file_name"] = "../train/3.png"
    content["images"][4]["file_name"] = "4.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "train" / "4.jpg", exif=exif)
    file.write_text(json.dumps(content))
    splits = open_poses(tmp_path)
    assert [pose.id for pose in splits.train.poses] == [6]
    said = [f"{Path(s.path).name}: {s.reason}" for s in splits.skipped]
    assert said[0] == f"keypoints_train.json: image 1 is '0.png', and no such file lies below {tmp_path}"
    assert said[1].startswith("keypoints_train.json: image 4 is '../train/3.png'")
    assert said[2].startswith("1.png: it is cut short or damaged")
    assert said[3] == "2.png: it is 20 x 15, the annotations say 40 x 30"
    assert said[4] == "4.jpg: it is 30 x 40, turned as EXIF says, the annotations say 40 x 30"
    assert len(said) == 5


def test_of_several_lists_the_one_whose_images_are_there(tmp_path: Path) -> None:
    for name in ("person_keypoints_train2014.json", "person_keypoints_val2014.json", "person_keypoints_test2017.json"):
        write(tmp_path, name, [person(1)], images=0)
        (tmp_path / name.rpartition("_")[2].removesuffix(".json")).rmdir()
    write(tmp_path, "person_keypoints_train2017.json", [person(4)])
    write(tmp_path, "person_keypoints_val2017.json", [person(5)])
    splits = open_poses(tmp_path)
    assert (splits.train.names, splits.val.names) == (("train2017/0.png#4",), ("val2017/0.png#5",))


def test_areas_that_are_missing_come_from_the_box(tmp_path: Path) -> None:
    write(tmp_path, "keypoints_train.json", [person(1, area=0), person(2)])
    write(tmp_path, "keypoints_val.json", [{k: v for k, v in person(1).items() if k != "area"}])
    splits = open_poses(tmp_path)
    assert splits.train.poses[0].area == splits.val.poses[0].area == pytest.approx(0.53 * 12 * 20)


def test_boxes_of_a_detector(tmp_path: Path) -> None:
    write(tmp_path, "keypoints_train.json", [person(1)])
    write(tmp_path, "keypoints_val.json", [person(1)])
    found = [
        {"image_id": 1, "category_id": 1, "bbox": [3, 3, 10, 10], "score": 0.9},
        {"image_id": 2, "category_id": 1, "bbox": [1, 1, 10, 10], "score": 0.5},  # nobody is there
        {"image_id": 1, "category_id": 7, "bbox": [1, 1, 10, 10], "score": 0.5},  # a bicycle
        {"image_id": 9, "category_id": 1, "bbox": [1, 1, 10, 10], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 10], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 10]},
    ]
    boxes = tmp_path / "found.json"
    boxes.write_text(json.dumps(found))
    splits = open_poses(tmp_path, boxes=str(boxes))
    assert [(p.image, p.box, p.score, p.labelled) for p in splits.val.poses] == [
        ("val/0.png", (3, 3, 13, 13), 0.9, 0),
        ("val/1.png", (1, 1, 11, 11), 0.5, 0),
    ]
    assert [pose.id for pose in splits.val.annotated] == [1]
    assert [s.reason for s in splits.skipped] == [
        f"detection 3 is of an image that {tmp_path / 'annotations' / 'keypoints_val.json'} does not list",
        "detection 4 of val/0.png has a box without area",
        "detection 5 of val/0.png has no score",
    ]
    boxes.write_text("[]")
    with pytest.raises(BadInput, match="has no box in an image"):
        open_poses(tmp_path, boxes=str(boxes))
    boxes.write_text("{}")
    with pytest.raises(BadInput, match="form of results"):
        open_poses(tmp_path, boxes=str(boxes))


def test_data_that_cannot_be_used_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file annotations"):
        open_poses(tmp_path)
    write(tmp_path, "keypoints_train.json", [person(1)], category={"id": 1, "name": "person"})
    with pytest.raises(BadInput, match="no category with keypoints"):
        open_poses(tmp_path)
    write(tmp_path, "keypoints_train.json", [person(1)], category={**CATEGORY, "sigmas": [1]})
    with pytest.raises(BadInput, match=r"keypoints_train.json: sigmas must be 3"):
        open_poses(tmp_path)
    write(tmp_path, "keypoints_train.json", [person(1)], category={**CATEGORY, "flip_pairs": 3})
    with pytest.raises(BadInput, match="flip_pairs must be a list, not 3"):
        open_poses(tmp_path)
    write(tmp_path, "keypoints_train.json", [person(1, keypoints=[0] * 9)])
    write(tmp_path, "keypoints_val.json", [person(1)])
    with pytest.raises(BadInput, match="no person with labelled joints"):
        open_poses(tmp_path)
    write(tmp_path, "keypoints_train.json", [person(1)])
    write(tmp_path, "keypoints_val.json", [person(1)], category={**CATEGORY, "keypoints": ["a", "b", "c"]})
    with pytest.raises(BadInput, match="other joints than"):
        open_poses(tmp_path)
    (tmp_path / "annotations" / "keypoints_val.json").unlink()
    with pytest.raises(BadInput, match="persons in one image alone"):
        open_poses(tmp_path)
    two = [CATEGORY, {**CATEGORY, "id": 2, "name": "dog", "keypoints": ["nose"]}]
    write(tmp_path, "keypoints_train.json", [person(1)], categories=two)
    with pytest.raises(BadInput, match="joints of person and of dog"):
        open_poses(tmp_path)
    (tmp_path / "annotations" / "keypoints_train.json").write_text('{"images": []}')
    with pytest.raises(BadInput, match="is not COCO's JSON"):
        open_poses(tmp_path)
