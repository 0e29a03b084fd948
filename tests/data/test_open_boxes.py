"""COCO, VOC and YOLO data that the tests write, sound and broken."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data import folder
from pumice.data.open_boxes import open_boxes
from pumice.errors import BadInput

Add = Callable[..., None]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]  # by id the cat is first


def note(number: int, image: int, box: list, category: int = 3, **more: object) -> dict:
    return {"id": number, "image_id": image, "category_id": category, "bbox": box, **more}


def coco(images: list[str], notes: list[dict], categories: list[dict] = CATEGORIES, size=(8, 12)) -> str:
    listed = [{"id": i, "file_name": name, "height": size[0], "width": size[1]} for i, name in enumerate(images)]
    return json.dumps({"images": listed, "annotations": notes, "categories": categories})


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path, add: Add) -> Path:
    """Sound COCO data: images of 12 x 8 pixels."""
    add(tmp_path / "train2017", "a.png", "b.png", "empty.png")
    add(tmp_path / "val2017", "v.png")
    notes = [note(10, 0, [1, 2, 3, 4], area=9.5), note(11, 1, [0, 0, 12, 8], 7, iscrowd=1), note(12, 1, [2, 2, 2, 2])]
    write(tmp_path / "annotations/instances_train2017.json", coco(["a.png", "b.png", "empty.png"], notes))
    write(tmp_path / "annotations/instances_val2017.json", coco(["v.png"], [note(1, 0, [1, 1, 5, 5], 7)]))
    write(tmp_path / "annotations/person_keypoints_train2017.json", "not read")
    return tmp_path


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        open_boxes(root, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_coco(root: Path, colour_of: Callable[[str], tuple[int, int, int]]):
    splits = open_boxes(root, strict=True)
    assert splits.classes == splits.val.classes == ("cat", "dog")
    assert splits.train.names == ("train2017/a.png", "train2017/b.png", "train2017/empty.png")
    assert splits.train.sizes == ((8, 12),) * 3
    a, b, empty = splits.train.targets
    np.testing.assert_array_equal(a.boxes, [[1, 2, 4, 6]])
    assert (a.labels.tolist(), a.areas.tolist(), a.ids.tolist(), a.crowd.tolist()) == ([0], [9.5], [10], [False])
    assert (b.labels.tolist(), b.crowd.tolist(), b.areas.tolist()) == ([1, 0], [True, False], [96, 4])
    assert len(empty) == 0
    assert splits.val.targets[0].labels.tolist() == [1]
    assert splits.train.image(1).getpixel((0, 0)) == colour_of("train2017/b.png")
    part = splits.train.subset([2, 0])
    assert part.names == ("train2017/empty.png", "train2017/a.png")
    assert part.targets[1] is a


def test_one_json_among_its_images_is_split(tmp_path: Path, add: Add):
    names = [f"{i}.png" for i in range(20)]
    add(tmp_path, *names)
    notes = [note(i, i, [1, 1, 4, 4]) for i in range(20)] + [note(20 + i, i, [1, 1, 4, 4], 7) for i in range(4)]
    file = write(tmp_path / "labels.json", coco(names, notes))
    for source in (tmp_path, file):
        splits = open_boxes(source, seed=1, strict=True)
        assert (len(splits.train), len(splits.val)) == (16, 4)
        assert sorted(splits.train.names + splits.val.names) == sorted(names)
    for seed in range(8):  # one of the four images with a dog: both classes are in both sets
        val = open_boxes(tmp_path, seed=seed).val
        assert sorted(label for target in val.targets for label in target.labels.tolist()) == [0, 0, 0, 0, 1]
    assert open_boxes(tmp_path, seed=1).val.names == splits.val.names
    assert open_boxes(tmp_path, seed=2).val.names != splits.val.names


def test_coco_as_roboflow_exports_it(tmp_path: Path, add: Add):
    for word in ("train", "valid"):
        add(tmp_path / word, "x.png")
        write(tmp_path / word / "_annotations.coco.json", coco(["x.png"], [note(1, 0, [1, 1, 4, 4])]))
        write(tmp_path / word / "x.json", "of another program")
    splits = open_boxes(tmp_path, strict=True)
    assert (splits.train.names, splits.val.names) == (("train/x.png",), ("valid/x.png",))


BAD = {  # annotations of a.png that cannot be used as they are, and the words that say why
    "outside": (note(13, 0, [12, 1, 3, 3]), "annotation 13 of train2017/a.png: its box lies outside the image"),
    "leaving": (note(13, 0, [10, 6, 30, 30]), "annotation 13 of train2017/a.png: its box leaves the image"),
    "no width": (note(13, 0, [1, 1, 0, 3]), "annotation 13 of train2017/a.png: its box has no area"),
    "negative": (note(13, 0, [4, 4, -2, -2]), "annotation 13 of train2017/a.png: its box has no area"),
    "nan": (note(13, 0, [1, 1, float("nan"), 3]), "annotation 13 of train2017/a.png: its bbox is not"),
    "huge": (note(13, 0, [1, 1, 10**400, 3]), "annotation 13 of train2017/a.png: its bbox is not"),
    "three": (note(13, 0, [1, 1, 3]), "annotation 13 of train2017/a.png: its bbox is not [x, y, width, height]"),
    "words": (note(13, 0, ["1", 1, 3, 3]), "annotation 13 of train2017/a.png: its bbox is not [x, y, width, height]"),
    "category": (note(13, 0, [1, 1, 3, 3], 99), "annotation 13 of train2017/a.png: there is no category 99"),
    "image": (note(13, 55, [1, 1, 3, 3]), "annotation 13: there is no image 55"),
    "twice": (note(12, 0, [1, 1, 3, 3]), "annotation 12 of train2017/a.png: the id comes a second time"),
    "no id": (note("x", 0, [1, 1, 3, 3]), "annotation 'x' has no whole number as id"),
    "no keys": ({"id": 13, "image_id": 0}, "annotation 13 of train2017/a.png: there is no category None"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_annotations(root: Path, name: str):
    entry, why = BAD[name]
    file = root / "annotations/instances_train2017.json"
    value = json.loads(file.read_text())
    value["annotations"].append(entry)
    file.write_text(json.dumps(value))
    splits = open_boxes(root)
    (skipped,) = splits.skipped
    assert skipped.path == str(file)
    assert skipped.reason.startswith(why)
    a = splits.train.targets[0]
    if name == "leaving":
        np.testing.assert_array_equal(a.boxes, [[1, 2, 4, 6], [10, 6, 12, 8]])
        assert a.areas.tolist() == [9.5, 4]
    else:
        assert a.ids.tolist() == [10]
    message = refusal(root, strict=True)
    assert message.startswith(f"1 thing in {root} cannot be used")
    assert why in message


def test_a_box_off_by_one_is_cut_without_a_word(root: Path):
    file = root / "annotations/instances_train2017.json"
    file.write_text(coco(["a.png", "b.png"], [note(1, 0, [-1, 2, 14, 7])]))
    splits = open_boxes(root, strict=True)
    np.testing.assert_array_equal(splits.train.targets[0].boxes, [[0, 2, 12, 8]])


def test_bad_images(root: Path, add: Add):
    (root / "train2017/b.png").unlink()
    (root / "train2017/empty.png").write_bytes(b"\x89PNG broken")
    add(root / "train2017", "turned.png")
    add(root, "secret.png")
    names = ["a.png", "b.png", "empty.png", "turned.png", "../secret.png", str(root / "secret.png")]
    value = json.loads(coco(names, [note(i, i % 6, [1, 1, 3, 3]) for i in range(8)]))
    value["images"][3]["width"] = 99
    value["images"] += [{"id": 0, "file_name": "a.png"}, {"file_name": "c.png"}]
    (root / "annotations/instances_train2017.json").write_text(json.dumps(value))
    splits = open_boxes(root)
    assert splits.train.names == ("train2017/a.png",)
    assert splits.train.targets[0].ids.tolist() == [0, 6]
    said = {Path(s.path).name: s.reason for s in splits.skipped if not s.path.endswith(".json")}
    assert said["b.png"].startswith(f"there is no such file (annotation 1 and 1 more of {root}")
    assert "broken" in said["empty.png"] or "damaged" in said["empty.png"]
    assert said["turned.png"].startswith("it has 12 x 8 pixels, but ")
    assert said["secret.png"].startswith(f"there is no such file (annotation 5 of {root}")
    reasons = [s.reason for s in splits.skipped if s.path.endswith(".json")]
    assert any("has the id of train2017/a.png" in reason for reason in reasons)
    assert any("image None has no whole number as id" in reason for reason in reasons)
    assert refusal(root, strict=True).startswith("7 things in ")  # 4 images, another name, 2 entries


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_image_that_exif_turns(root: Path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (12, 8))
    stored.paste((255, 255, 255), (1, 2, 5, 4))
    stored.save(root / "train2017/a.png", exif=exif)
    file = root / "annotations/instances_train2017.json"
    # Of the stored pixels, as the size says: the box is turned with them.
    file.write_text(coco(["a.png"], [note(1, 0, [1, 2, 4, 2])]))
    train = open_boxes(root, strict=True).train
    assert train.sizes == ((12, 8),)
    white = np.asarray(train.image(0))[..., 0] > 0
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    np.testing.assert_array_equal(train.targets[0].boxes, [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]])
    # Of the upright image: it is as it is shown.
    file.write_text(coco(["a.png"], [note(1, 0, [1, 2, 4, 2])], size=(12, 8)))
    np.testing.assert_array_equal(open_boxes(root, strict=True).train.targets[0].boxes, [[1, 2, 5, 4]])
    file.write_text(coco(["a.png"], [note(1, 0, [1, 2, 4, 2])], size=(13, 8)))
    assert "it has 8 x 12 pixels" in refusal(root)


def test_unusable_coco(root: Path):
    file = root / "annotations/instances_train2017.json"
    sound = file.read_text()
    for text, word in (
        (sound[:40], "is not JSON"),
        ("[]", "is not COCO's JSON"),
        ('{"images": [], "annotations": [], "categories": [7]}', "is not COCO's JSON"),
        (coco(["a.png"], []), "have no box"),
        (coco(["x.png"], [note(1, 0, [1, 1, 2, 2])]), "holds no image to learn from"),
        (coco(["a.png"], [], []), "has no categories"),
        (coco(["a.png"], [], [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]), "twice"),
        (coco(["a.png"], [], [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]), "twice"),
        (coco(["a.png"], [], [{"id": 1}]), "without a name"),
    ):
        file.write_text(text)
        assert word in refusal(root)
    file.write_text(sound)
    write(root / "annotations/instances_train2014.json", sound)
    (root / "train2014").mkdir()
    assert "several lists of train images" in refusal(root)
    (root / "train2014").rmdir()
    assert len(open_boxes(root).train) == 3
    file.unlink()
    (root / "annotations/instances_train2014.json").unlink()
    assert "no list of training images" in refusal(root)


def test_a_class_that_only_the_validation_has(root: Path):
    more = [*CATEGORIES, {"id": 9, "name": "fox"}]
    notes = [note(1, 0, [1, 1, 5, 5], 9), note(2, 0, [1, 1, 5, 5], 3)]
    write(root / "annotations/instances_val2017.json", coco(["v.png"], notes, more))
    splits = open_boxes(root)
    assert splits.val.targets[0].ids.tolist() == [2]
    assert splits.skipped[0].reason == "annotation 1 of val2017/v.png: the class 'fox' is unknown"


def xml(*objects: str, size: tuple[int, int] = (8, 12), head: str = "") -> str:
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    return f"{head}<annotation><filename>wrong.jpg</filename>{sides}{''.join(objects)}</annotation>"


def thing(name: str, corners: tuple, more: str = "") -> str:
    keys = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    return f"<object><name>{name}</name><bndbox>{''.join(f'<{k}>{v}</{k}>' for k, v in keys)}</bndbox>{more}</object>"


@pytest.fixture
def voc(tmp_path: Path, add: Add) -> Path:
    base = tmp_path / "VOC2007"
    add(base / "JPEGImages", *(f"{i}.png" for i in range(6)))
    for i in range(6):
        part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        text = xml(thing("dog", (1, 1, 4, 5), "<difficult>1</difficult>"), thing("cat", (2.0, 3, 12, 8), part))
        write(base / f"Annotations/{i}.xml", text)
    for word, stems in {"train": "0 1", "val": "2 3", "trainval": "0 1 2 3", "test": "4 5"}.items():
        write(base / f"ImageSets/Main/{word}.txt", "".join(f"{stem}  1\n" for stem in stems.split()))
    return base


def test_voc(voc: Path):
    splits = open_boxes(voc, strict=True)
    assert splits.classes == ("cat", "dog")
    assert splits.train.names == tuple(f"JPEGImages/{i}.png" for i in range(4))
    assert splits.val.names == ("JPEGImages/4.png", "JPEGImages/5.png")
    target = splits.train.targets[0]
    np.testing.assert_array_equal(target.boxes, [[0, 0, 4, 5], [1, 2, 12, 8]])
    assert (target.labels.tolist(), target.crowd.tolist()) == ([1, 0], [True, False])
    assert target.areas.tolist() == [20, 66]
    for i in (4, 5):  # as in 2012: the test's annotations are not given out
        (voc / f"Annotations/{i}.xml").unlink()
    splits = open_boxes(voc, strict=True)
    assert (len(splits.train), splits.val.names) == (2, ("JPEGImages/2.png", "JPEGImages/3.png"))


def test_voc_of_two_years_and_without_lists(voc: Path, add: Add):
    other = voc.parent / "VOC2012"
    add(other / "JPEGImages", "0.png", "7.png")
    for stem in ("0", "7"):
        write(other / f"Annotations/{stem}.xml", xml(thing("cow", (1, 1, 4, 4))))
        write(other / "ImageSets/Main/trainval.txt", "0\n7\n")
    splits = open_boxes(voc.parent, strict=True)
    assert splits.classes == ("cat", "cow", "dog")
    assert splits.train.names[4:] == ("VOC2012/JPEGImages/0.png", "VOC2012/JPEGImages/7.png")
    assert splits.val.names == ("VOC2007/JPEGImages/4.png", "VOC2007/JPEGImages/5.png")
    for file in (voc / "ImageSets/Main").iterdir():
        file.unlink()
    splits = open_boxes(voc, strict=True)
    assert (len(splits.train), len(splits.val)) == (5, 1)


def test_bad_voc(voc: Path):
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cat"><!ENTITY c "&b;&b;">]>'
    files = {
        0: xml(thing("&c;", (1, 1, 4, 4)), head=bomb),
        1: xml(thing("cat", (1, 1, 4, 4)))[:60],
        2: xml(
            thing("cat", (1, 1, "x", 4)), thing("", (1, 1, 4, 4)), thing("cat", (5, 5, 4, 4)), thing("cat", (1,) * 4)
        ),
        3: xml("<object><name>cat</name></object>", size=(0, 0)),
    }
    for stem, text in files.items():
        (voc / f"Annotations/{stem}.xml").write_text(text)
    write(voc / "ImageSets/Main/trainval.txt", "0\n1\n2\n3\n9\n../x\n")
    splits = open_boxes(voc)
    assert splits.train.names == ("JPEGImages/2.png", "JPEGImages/3.png")
    np.testing.assert_array_equal(splits.train.targets[0].boxes, [[0, 0, 1, 1]])  # one pixel is something
    # The dogs of the validation images are of a class that nothing is learnt of.
    assert [s.reason for s in splits.skipped if "'dog' is unknown" in s.reason] == [
        f"object 1 of JPEGImages/{i}.png: the class 'dog' is unknown" for i in (4, 5)
    ]
    said = [(Path(s.path).name, s.reason) for s in splits.skipped if "'dog'" not in s.reason]
    expected = [
        ("0.xml", "it is no XML that can be read (it declares a document type"),
        ("1.xml", "it is no XML that can be read"),
        ("2.xml", "object 1 of JPEGImages/2.png: its bndbox is no numbers (1, 1, x, 4)"),
        ("2.xml", "object 2 of JPEGImages/2.png: it has no name"),
        ("3.xml", "object 1 of JPEGImages/3.png: its bndbox lacks one of"),
        ("9.xml", "a list names it, but there is no such file"),
        ("x.xml", "a list names it, but there is no such file"),
        ("2.xml", "object 3 of JPEGImages/2.png: its box has no area"),
    ]
    assert len(said) == len(expected)
    for (name, reason), (file, start) in zip(said, expected, strict=True):
        assert name == file
        assert reason.startswith(start)


@pytest.mark.parametrize("layout", ["{kind}/{split}", "{split}/{kind}"])
def test_yolo(tmp_path: Path, add: Add, layout: str):
    for split, names in (("train", ["a.png", "b.png", "none.png"]), ("val", ["v.png"])):
        add(tmp_path / layout.format(kind="images", split=split), *names)
        for name in names[:2]:
            text = "1 0.5 0.5 0.5 0.5\n\n0 0 0 0.25 0 0.25 0.5 0.1 0.5\n"
            write(tmp_path / layout.format(kind="labels", split=split) / f"{name[0]}.txt", text)
    write(tmp_path / "data.yaml", "train: ../elsewhere\nnames:\n  0: cat\n  1: dog\n")
    splits = open_boxes(tmp_path, strict=True)
    assert splits.classes == ("cat", "dog")
    above = layout.format(kind="images", split="train")
    assert splits.train.names == (f"{above}/a.png", f"{above}/b.png", f"{above}/none.png")
    np.testing.assert_allclose(splits.train.targets[0].boxes, [[3, 2, 9, 6], [0, 0, 3, 4]])
    assert splits.train.targets[0].labels.tolist() == [1, 0]
    assert len(splits.train.targets[2]) == 0
    lost = write(tmp_path / layout.format(kind="labels", split="train") / "lost.txt", "0 0.5 0.5 1 1")
    bad = "2 .5 .5 .1 .1\n0 .5 .5 .1\ncat .5 .5 .1 .1\n0 nan .5 .1 .1\n0 .5 .5 0 .1\n0 2 2 .1 .1"
    write(tmp_path / layout.format(kind="labels", split="train") / "a.txt", bad)
    said = [s.reason for s in open_boxes(tmp_path).skipped]
    assert [reason.split(": ", 1)[-1].split(" (")[0] for reason in said] == [
        "its class 2 is none of the 2, counted from 0",
        "it has 3 coordinates; a box has 4, an outline 6 or more, in pairs",
        "it is not a class's number and coordinates",
        "there is no image of that name",
        "its box is no numbers",
        "its box has no area",
        "its box lies outside the image of 12 x 8 pixels",
    ]
    assert said[0].startswith(f"line 1 of {above}/a.png")
    assert str(lost) in {s.path for s in open_boxes(tmp_path).skipped}


def test_yolo_without_names_or_splits(tmp_path: Path, add: Add):
    add(tmp_path / "images", 10)
    for i in range(10):
        write(tmp_path / f"labels/img{i}.txt", f"{i % 2 * 9} 0.5 0.5 1 1")
    splits = open_boxes(tmp_path, strict=True)
    assert splits.classes == ("0", "9")
    assert (len(splits.train), len(splits.val)) == (8, 2)
    write(tmp_path / "labels/classes.txt", "\n".join("abcdefghij"))
    assert open_boxes(tmp_path, strict=True).classes == tuple("abcdefghij")
    write(tmp_path / "data.yaml", "names: [a, a]")
    assert "no list of different class names" in refusal(tmp_path)
    write(tmp_path / "data.yaml", "names: [")
    assert "is no YAML" in refusal(tmp_path)


def test_nothing_there(tmp_path: Path, add: Add):
    assert "there is no folder" in refusal(tmp_path / "x")
    assert "there are no boxes in" in refusal(tmp_path)
    add(tmp_path / "cat", "a.png")
    assert "there are no boxes in" in refusal(tmp_path)
    assert "is no JSON file" in refusal(tmp_path / "cat/a.png")


def test_bccd_and_coco(tmp_path: Path):
    unpack = Path(folder.__file__).parents[3] / "shared" / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("../shared is absent: it holds the real photos")
    for name in ("bccd", "coco_mini"):
        subprocess.run([sys.executable, unpack, name, tmp_path / name], check=True, capture_output=True)
    cells, common = (open_boxes(tmp_path / name, strict=True) for name in ("bccd", "coco_mini"))
    assert (len(cells.train), len(cells.val), cells.classes) == (205, 87, ("RBC", "WBC", "Platelets"))
    assert (sum(map(len, cells.train.targets)), sum(map(len, cells.val.targets))) == (2804, 1137)
    assert (len(common.train), len(common.val), len(common.classes)) == (90, 30, 80)
    assert sum(int(target.crowd.sum()) for target in common.val.targets) == 2
