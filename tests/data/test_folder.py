import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pumice.data import folder
from pumice.data.folder import open_folder
from pumice.errors import BadInput

Add = Callable[..., None]


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        open_folder(root, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_train_and_val(tmp_path: Path, add: Add, colour_of: Callable[[str], tuple[int, int, int]]):
    for name in ("class10", "class2", "Class1"):
        add(tmp_path / "train" / name, "img10.png", "img2.jpg", "deep/er/x.bmp", ".hidden.png")
        add(tmp_path / "val" / name, "v.webp")
    add(tmp_path / "test" / "class2", "t.png")  # val is preferred
    (tmp_path / "labels.csv").write_text("no image, and in no class folder")
    splits = open_folder(tmp_path)
    assert splits.classes == splits.val.classes == ("Class1", "class2", "class10")
    names = [f"train/{c}/{f}" for c in splits.classes for f in ("deep/er/x.bmp", "img2.jpg", "img10.png")]
    assert list(splits.train.names) == names
    assert splits.train.labels == (0, 0, 0, 1, 1, 1, 2, 2, 2)
    assert splits.val.names == ("val/Class1/v.webp", "val/class2/v.webp", "val/class10/v.webp")
    assert splits.skipped == ()
    # Each name gives its own image.
    at = splits.train.names.index("train/class10/img10.png")
    assert splits.train.image(at).getpixel((0, 0)) == colour_of("class10/img10.png")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "test", "Valid", "TEST"])
def test_names_of_the_validation_folder(tmp_path: Path, add: Add, name: str):
    for c in "ab":
        add(tmp_path / "Train" / c, "1.png")
        add(tmp_path / name / c, "2.png")
    splits = open_folder(tmp_path)
    assert splits.val.names == (f"{name}/a/2.png", f"{name}/b/2.png")
    assert splits.train.names == ("Train/a/1.png", "Train/b/1.png")


@pytest.mark.parametrize("below", ["", "train"])
def test_split_of_one_root(tmp_path: Path, add: Add, below: str):
    for c in ("cat", "dog", "cow"):
        add(tmp_path / below / c, 10)
    add(tmp_path / below / "rare", "1.png", "2.png")
    splits = open_folder(tmp_path, seed=1)
    assert splits.val.labels == (0, 0, 1, 1, 2, 2, 3)
    assert splits.classes == ("cat", "cow", "dog", "rare")
    assert len(splits.train) == 25
    assert open_folder(tmp_path, seed=1).val.names == splits.val.names
    assert open_folder(tmp_path, seed=2).val.names != splits.val.names


def test_split_is_the_same_in_another_process_and_place(tmp_path: Path, add: Add):
    for place in ("here", "there"):
        for c in "ab":
            add(tmp_path / place / c, 20)
    val = open_folder(tmp_path / "here", seed=5).val.names
    code = "from pumice.data.folder import open_folder; print(*open_folder('there', seed=5).val.names)"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(folder.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == list(val), done.stderr


def test_the_current_folder(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch):
    for c in "ab":
        add(tmp_path / c, 3)
    monkeypatch.chdir(tmp_path)
    assert open_folder(".").val.names == open_folder(tmp_path).val.names


def test_classes_called_train_and_test(tmp_path: Path, add: Add):
    for c in ("boat", "train", "test"):
        add(tmp_path / c, 4)
    # Both words are there, so they must mean a split, which then lacks class folders.
    assert "no class folders" in refusal(tmp_path)
    (tmp_path / "test").rename(tmp_path / "exam")
    assert open_folder(tmp_path).classes == ("boat", "exam", "train")


def damage(root: Path, add: Add) -> None:
    add(root / "cat", 6)
    add(root / "dog", 6)
    whole = (root / "cat" / "img1.png").read_bytes()
    (root / "cat" / "img1.png").write_bytes(whole[:-30])
    (root / "dog" / "text.jpg").write_text("these are words")
    (root / "dog" / "none.jpg").write_bytes(b"")
    (root / "dog" / "README.txt").write_text("about dogs")
    (root / "dog" / "Thumbs.db").write_text("what a system left")
    add(root, "loose.png")


def test_bad_files_are_named_and_skipped(tmp_path: Path, add: Add):
    damage(tmp_path, add)
    splits = open_folder(tmp_path)
    assert [(Path(s.path).name, s.reason.split("(")[0].strip()) for s in splits.skipped] == [
        ("img1.png", "it is cut short or damaged"),
        ("none.jpg", "it is empty"),
        ("README.txt", "its suffix is not an image's"),
        ("text.jpg", "it holds text, not an image"),
        ("loose.png", "it lies outside every class folder"),
    ]
    assert all(os.path.isfile(s.path) for s in splits.skipped)
    assert len(splits.train) + len(splits.val) == 11


def test_strict_refuses(tmp_path: Path, add: Add):
    damage(tmp_path, add)
    message = refusal(tmp_path, strict=True)
    assert "5 files" in message
    assert "img1.png" in message
    assert "and 2 more" in message
    for skipped in open_folder(tmp_path).skipped:
        os.remove(skipped.path)
    assert open_folder(tmp_path, strict=True).skipped == ()


def test_headers_alone_of_large_sets(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch):
    damage(tmp_path, add)
    monkeypatch.setattr(folder, "HEADER_ONLY_ABOVE", 5)
    names = [Path(s.path).name for s in open_folder(tmp_path).skipped]
    assert names == ["none.jpg", "README.txt", "text.jpg", "loose.png"]


def test_refusals(tmp_path: Path, add: Add):
    assert "there is no folder" in refusal(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    assert "is a file" in refusal(tmp_path / "file")
    root = tmp_path / "data"
    root.mkdir()
    assert "no images in" in refusal(root)
    add(root, "1.png")
    assert "no class folders" in refusal(root)
    (root / "1.png").unlink()
    (root / "cat").mkdir()
    assert "no images in" in refusal(root)
    add(root / "cat", 3)
    assert "one class ('cat')" in refusal(root)
    (root / "dog").mkdir()
    assert "class 'dog'" in refusal(root)
    assert "has no images" in refusal(root)
    (root / "dog" / "1.jpg").write_text("words")
    assert "class 'dog'" in refusal(root)
    assert "only damaged images (1.jpg" in refusal(root)
    add(root / "dog", "2.png")
    open_folder(root)
    assert "between 0 and 1" in refusal(root, val_fraction=1.0)


def test_one_image_a_class_leaves_none_to_judge_by(tmp_path: Path, add: Add):
    for c in "ab":
        add(tmp_path / c, "1.png")
    assert "single image" in refusal(tmp_path)


def test_validation_classes_must_be_known(tmp_path: Path, add: Add):
    for c in ("cat", "dog"):
        add(tmp_path / "train" / c, "1.png")
    add(tmp_path / "val" / "cat", "1.png")
    assert open_folder(tmp_path).val.classes == ("cat", "dog")  # a class without validation images is no error
    add(tmp_path / "val" / "dogs", "1.png")
    message = refusal(tmp_path)
    assert "class 'dogs'" in message
    assert "did you mean 'dog'" in message
    (tmp_path / "val" / "dogs" / "1.png").unlink()
    assert "class 'dogs' in" in refusal(tmp_path)


def test_validation_without_training(tmp_path: Path, add: Add):
    for c in "ab":
        add(tmp_path / "val" / c, "1.png")
    assert "no train/" in refusal(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path: Path, add: Add):
    for c in "ab":
        add(tmp_path / "real" / c, 2)
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "real" / "a")
    add(root / "b", 2)
    (root / "b" / "again").symlink_to(root / "b")
    (root / "b" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    splits = open_folder(root)
    assert len(splits.train) + len(splits.val) == 4


def test_unreadable_folder(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch):
    add(tmp_path / "a", "1.png")

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert "cannot read the folder" in refusal(tmp_path)


def test_caltech40(tmp_path: Path):
    unpack = Path(folder.__file__).parents[3] / "shared" / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("../shared is absent: it holds the real photos")
    subprocess.run([sys.executable, unpack, "caltech40", tmp_path / "c"], check=True, capture_output=True)
    splits = open_folder(tmp_path / "c", strict=True)
    assert (len(splits.train), len(splits.val), len(splits.classes)) == (1334, 665, 40)
    assert set(splits.train.labels) == set(splits.val.labels) == set(range(40))
