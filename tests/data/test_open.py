import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pumice.data.image import BadImage
from pumice.data.open import open_data, open_images
from pumice.errors import BadInput

Add = Callable[..., None]


def test_open_data(tmp_path: Path, add: Add):
    for c in "ab":
        add(tmp_path / c, 5)
    assert open_data("digits").source == "digits"
    assert open_data("digits", seed=3, val_fraction=0.5).val.names != open_data("digits", val_fraction=0.5).val.names
    for source in (tmp_path, str(tmp_path)):
        splits = open_data(source, val_fraction=0.4)
        assert (splits.source, len(splits.val), splits.classes) == (str(tmp_path), 4, ("a", "b"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("digit", "did you mean 'digits'"),
        ("Digits", "did you mean 'digits'"),
        ("photos", "no data 'photos'"),
        ("no/photos", "no folder no/photos"),
        ("wds:x-{0..9}.tar", "no shard x-0.tar"),
    ],
)
def test_no_such_data(source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=words) as caught:
        open_data(source)
    assert "\n" not in str(caught.value)


def test_open_images(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    add(tmp_path / "p", "img10.png", "img2.png", "deep/img1.jpg", ".hidden.png")
    (tmp_path / "p" / "notes.txt").write_text("no image")
    (tmp_path / "p" / "odd[1].dat").write_bytes((tmp_path / "p" / "img2.png").read_bytes())

    def names(source: str | Path) -> list[str]:
        return [name for name, _ in open_images(source)]

    assert names("p") == ["p/deep/img1.jpg", "p/img2.png", "p/img10.png"]
    assert names("p/*") == names("p/**") == names("p")  # a folder that matches is searched
    assert names("p/*.png") == ["p/img2.png", "p/img10.png"]
    assert names(Path("p/img2.png")) == ["p/img2.png"]
    assert names("p/odd[1].dat") == ["p/odd[1].dat"]
    assert open_images("p/img2.png")[0].image().size == (12, 8)
    digits = open_images("digits")
    assert len(digits) == 359
    assert digits[0].image().size == (8, 8)


def test_open_images_is_lazy(tmp_path: Path):
    (tmp_path / "a.jpg").write_text("words")
    item = open_images(tmp_path / "a.jpg")[0]
    with pytest.raises(BadImage, match="text"):
        item.image()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing.jpg", "no file or folder nothing.jpg"),
        ("digit", "did you mean 'digits'"),
        ("*.jpg", "no image matches"),
        (".", "no images in the folder"),
        ("wds:x.tar", "no shard x.tar"),
    ],
)
def test_nothing_to_predict(source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=words):
        open_images(source)


def test_no_torch():
    code = (
        "import sys, pumice.data.open, pumice.data.memory, pumice.data.augment, pumice.data.preprocess;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'timm', 'torchvision')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
