"""Shards give the images of the folder that they were made from, and nothing that they hold surprises anybody."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data import shards
from pumice.data.open import open_data, open_images
from pumice.data.shards import expand
from pumice.errors import BadInput

Write = Callable[..., Path]


def picture(index: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes | str], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def numbered(first: int, count: int = 6) -> dict[str, bytes | str]:
    return {
        name: content
        for i in range(first, first + count)
        for name, content in ((f"{i:04d}.png", picture(i)), (f"{i:04d}.cls", str(i % 3)))
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards to learn from, one to judge by, three classes."""
    for i in range(2):
        write_tar(tmp_path / f"train-{i:02d}.tar", numbered(6 * i))
    write_tar(tmp_path / "val-00.tar", numbered(100))
    return tmp_path


def pixels(image: Image.Image) -> bytes:
    return image.tobytes()


def test_expand():
    assert expand("a-{08..10}-{x,y}.tar") == [f"a-{n}-{c}.tar" for n in ("08", "09", "10") for c in "xy"]
    with pytest.raises(BadInput, match="backwards"):
        expand("{3..1}")


@pytest.mark.parametrize("pattern", ["train-{00..01}.tar", "train-*.tar"])
def test_images_labels_and_names(folder: Path, pattern: str):
    splits = open_data(f"wds:{folder}/{pattern}")
    assert splits.classes == ("0", "1", "2")
    assert splits.train.labels == (0, 1, 2) * 4
    assert splits.val.labels == tuple(i % 3 for i in range(100, 106))
    assert splits.train.names[6] == "train-01.tar/0006.png"
    expected = [Image.open(io.BytesIO(picture(i))).tobytes() for i in range(12)]
    # Any order: nothing is read from front to back.
    for index in (11, 0, 7, 3):
        assert pixels(splits.train.image(index)) == expected[index]
    assert [name for name, _ in open_images(f"wds:{folder}/{pattern}")] == list(splits.val.names)


def test_class_names_beside_the_shards(folder: Path):
    source = f"wds:{folder}/train-*.tar"
    (folder / "classes.txt").write_text("ant\nbee\n\ncat\n")
    assert open_data(source).classes == ("ant", "bee", "cat")
    (folder / "classes.txt").unlink()
    for names in (["x", "y", "z"], {"0": "x", "1": "y", "2": "z"}, {"z": 2, "x": 0, "y": 1}):
        (folder / "classes.json").write_text(json.dumps(names))
        assert open_data(source).classes == ("x", "y", "z")
    (folder / "classes.json").write_text('["x", "y"]')
    with pytest.raises(BadInput, match=r"label 2, but there are 2 classes"):
        open_data(source)


def test_where_labels_come_from(tmp_path: Path):
    members: dict[str, bytes | str] = {"cat/1.png": picture(1), "cat/2.png": picture(2)}
    members |= {"dog/3.png": picture(3), "x/4.png": picture(4), "x/4.cls": "dog"}
    members |= {"5.png": picture(5), "5.json": '{"label": "cat", "other": 1}', "6.png": picture(6)}
    members |= {"._7.png": picture(7), "8.txt": "no image", "9.a.png": picture(9), "9.b.png": picture(9)}
    write_tar(tmp_path / "s.tar", members)
    splits = open_data(f"wds:{tmp_path}/s.tar", val_fraction=0.3)
    assert splits.classes == ("cat", "dog")
    found = {**dict(zip(splits.train.names, splits.train.labels, strict=True))}
    found |= dict(zip(splits.val.names, splits.val.labels, strict=True))
    names = ("cat/1.png", "cat/2.png", "5.png", "dog/3.png", "x/4.png")
    assert found == {f"s.tar/{name}": int(place > 2) for place, name in enumerate(names)}
    assert len(splits.val) == 2  # split off: nothing is called val
    reasons = {Path(s.path).name: s.reason for s in splits.skipped}
    assert "no label" in reasons["6.png"]
    assert "no image" in reasons["8.txt"]
    assert "2 images" in reasons["9.a.png"]


def test_damaged_images_are_skipped_by_name(folder: Path):
    write_tar(folder / "train-02.tar", {"a.png": b"nothing", "a.cls": "1", "b.png": picture(3), "b.cls": "1"})
    source = f"wds:{folder}/train-*.tar"
    splits = open_data(source)
    assert len(splits.train) == 13
    assert [(Path(s.path).name, "text" in s.reason) for s in splits.skipped] == [("a.png", True)]
    with pytest.raises(BadInput, match=r"1 images .* cannot be used"):
        open_data(source, strict=True)


def test_the_index_is_kept_for_the_very_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = f"wds:{folder}/train-*.tar"
    before = open_data(source)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "samples", lambda *_: pytest.fail("it was read again"))
        assert open_data(source).train.names == before.train.names
    old = os.stat(folder / "train-00.tar")
    write_tar(folder / "train-00.tar", numbered(50))  # of the same size
    os.utime(folder / "train-00.tar", ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert old.st_size == os.stat(folder / "train-00.tar").st_size
    assert open_data(source).train.names[0] == "train-00.tar/0050.png"


@pytest.mark.parametrize(
    ("member", "words"),
    [("../out.png", "nothing was extracted"), ("/etc/out.png", "nothing was extracted"), ("a/../../b.png", "outside")],
)
def test_names_that_point_outside(tmp_path: Path, member: str, words: str):
    write_tar(tmp_path / "x.tar", {"a/1.png": picture(1), member: picture(2)})
    with pytest.raises(BadInput, match=words):
        open_data(f"wds:{tmp_path}/x.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_links_are_not_followed(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a/1.png", "b/2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(picture(1))
            tar.addfile(info, io.BytesIO(picture(1)))
        link = tarfile.TarInfo("b/3.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BadInput, match="single image"):  # two images only
        open_data(f"wds:{tmp_path}/x.tar")


def test_refusals(folder: Path):
    def refused(pattern: str, words: str) -> None:
        with pytest.raises(BadInput, match=words) as caught:
            open_data(f"wds:{pattern}")
        assert "\n" not in str(caught.value)

    refused(f"{folder}/train-{{00..04}}.tar", r"no shard .*train-02.tar; 3 of the 5")
    refused(f"{folder}/no-*.tar", "no shard matches")
    refused("https://localhost/train-{00..09}.tar", "for `pumice train` alone")
    refused("pipe:cat x.tar", "give paths or addresses")
    whole = (folder / "train-00.tar").read_bytes()
    (folder / "train-00.tar").write_bytes(whole[:3000])
    refused(f"{folder}/train-00.tar", "cut short")
    (folder / "train-00.tar").write_text("words" * 1000)
    refused(f"{folder}/train-00.tar", "no tar file")
    write_tar(folder / "packed.tar", numbered(0), "w:gz")
    refused(f"{folder}/packed.tar", "compressed; unpack it")
    write_tar(folder / "mixed.tar", {"1.png": picture(1), "1.cls": "1", "2.png": picture(2), "2.cls": "cat"})
    refused(f"{folder}/mixed.tar", "some images by numbers and some by words")
    write_tar(folder / "one.tar", {"a/1.png": picture(1), "a/2.png": picture(2)})
    refused(f"{folder}/one.tar", r"one class \('a'\)")
    write_tar(folder / "none.tar", {"1.png": picture(1)})
    refused(f"{folder}/none.tar", "no labelled images.*no label")
    with pytest.raises(BadInput, match="for shards and streams"):
        open_data(folder, val="wds:x")


def test_validation_of_ones_own_choice(folder: Path):
    write_tar(folder / "judge.tar", numbered(200, 3))
    splits = open_data(f"wds:{folder}/train-*.tar", val=f"wds:{folder}/judge.tar")
    assert splits.val.names == tuple(f"judge.tar/0{i}.png" for i in (200, 201, 202))
