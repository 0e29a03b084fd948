"""Tables of images: local parquet files, read without a network, and what is said when something is missing."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.data import hub
from pumice.data.open import open_data
from pumice.errors import BadInput

datasets = pytest.importorskip("datasets")


def cell(index: int) -> dict[str, Any]:
    file = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def write(path: Path, images: Sequence[dict[str, Any] | None], labels: Sequence[Any], kind: Any, **more: Any) -> None:
    """A parquet file as `datasets` writes it; more: further columns, (values, feature)."""
    features = {"img": datasets.Image(), "label": kind} | {name: feature for name, (_, feature) in more.items()}
    values = {"img": list(images), "label": list(labels)} | {name: list(column) for name, (column, _) in more.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(values, features=datasets.Features(features)).to_parquet(path)


NAMES = datasets.ClassLabel(names=["ant", "bee", "cat"])


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local files are read without asking anybody."""
    import socket

    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail(f"a connection was opened: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_local_parquet(tmp_path: Path):
    write(tmp_path / "train-00000.parquet", [cell(i) for i in range(9)], [i % 3 for i in range(9)], NAMES)
    write(tmp_path / "test-00000.parquet", [cell(i) for i in range(20, 26)], [2, 1, 0, 2, 1, 0], NAMES)
    splits = open_data(f"hf:{tmp_path}")
    assert splits.classes == ("ant", "bee", "cat")
    assert splits.train.labels == (0, 1, 2) * 3
    assert splits.val.labels == (2, 1, 0, 2, 1, 0)
    assert splits.train.names[4] == "train/4"
    for index in (8, 0, 4):
        expected = Image.open(io.BytesIO(cell(index)["bytes"]))
        assert splits.train.image(index).tobytes() == expected.tobytes()


def test_folders_name_splits_and_one_split_is_divided(tmp_path: Path):
    write(tmp_path / "data" / "images.parquet", [cell(i) for i in range(10)], ["x", "y"] * 5, datasets.Value("string"))
    splits = open_data(f"hf:{tmp_path}/data", val_fraction=0.4)
    assert splits.classes == ("x", "y")
    assert (len(splits.train), len(splits.val)) == (6, 4)
    assert not set(splits.train.names) & set(splits.val.names)


def test_labels_read_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "train.parquet", [cell(i) for i in range(6)], [0, 1, 2] * 2, NAMES)
    read = []
    real = hub.encoded
    monkeypatch.setattr(hub, "encoded", lambda value, name: read.append(name) or real(value, name))
    open_data(f"hf:{tmp_path}")
    assert len(read) == 6  # the headers, once
    splits = open_data(f"hf:{tmp_path}")
    assert len(read) == 6  # and never again
    splits.train.image(1)
    assert read[6:] == [splits.train.names[1]]


def test_unlabelled_and_damaged_rows_are_skipped(tmp_path: Path):
    images = [cell(i) for i in range(6)] + [{"bytes": b"words", "path": None}, None]
    write(tmp_path / "train.parquet", images, [0, 1, 2, 0, 1, -1, 0, 1], NAMES)
    write(tmp_path / "test.parquet", [cell(9)], [-1], NAMES)  # a test split whose labels are a secret
    write(tmp_path / "validation.parquet", [cell(8), cell(7)], [0, 1], NAMES)
    splits = open_data(f"hf:{tmp_path}")
    assert splits.train.labels == (0, 1, 2, 0, 1)
    assert len(splits.val) == 2
    assert {s.path: s.reason for s in splits.skipped} == {
        "train/5": "it has no label",
        "train/6": "it holds text, not an image",
        "train/7": "its cell is empty",
    }
    with pytest.raises(BadInput, match=r"3 images .* cannot be used"):
        open_data(f"hf:{tmp_path}", strict=True)


def test_which_column(tmp_path: Path):
    coarse = datasets.ClassLabel(names=["insect", "mammal"])
    write(tmp_path / "train.parquet", [cell(i) for i in range(6)], [0, 1, 2] * 2, NAMES, coarse=([0, 0, 1] * 2, coarse))
    with pytest.raises(BadInput, match=r"labels in label and coarse; choose a column with --set data.label_column"):
        open_data(f"hf:{tmp_path}")
    assert open_data(f"hf:{tmp_path}", label_column="coarse").classes == ("insect", "mammal")
    with pytest.raises(BadInput, match="no column 'coars'; did you mean 'coarse'"):
        open_data(f"hf:{tmp_path}", label_column="coars")


def test_a_folder_of_shards_is_a_table_too(tmp_path: Path):
    import tarfile

    with tarfile.open(tmp_path / "train-0.tar", "w") as tar:
        for i in range(6):
            for suffix, data in (("png", cell(i)["bytes"]), ("cls", str(i % 2).encode())):
                info = tarfile.TarInfo(f"{i}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    splits = open_data(f"hf:{tmp_path}", val_fraction=0.34)
    assert (splits.classes, len(splits.train), len(splits.val)) == (("0", "1"), 4, 2)


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BadInput, match=r"no folder .*; give hf:FOLDER"):
        open_data(f"hf:{tmp_path}/nothing")
    with pytest.raises(BadInput, match="cannot be opened"):
        open_data(f"hf:{tmp_path}")  # empty
    with pytest.raises(BadInput, match="for tables"):
        open_data("digits", label_column="x")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(BadInput, match=r"install it with `pip install 'pumice\[data\]'`"):
        open_data("hf:some/set")
