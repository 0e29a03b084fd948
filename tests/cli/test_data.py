"""`pumice data check`, and training on shards and tables, as a user types it."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Folder = Callable[..., Path]


def test_a_fit_data_set(pumice: Any, here: Path, folder_of: Folder) -> None:
    folder_of(here / "photos", bright=30, dark=30)
    said = pumice("data", "check", "photos")
    assert said.code == 0, said.err
    assert "48 to learn from, 12 to judge by" in said.out
    assert "nothing that would hurt" in said.out
    said = pumice("data", "check", "photos", "--json")
    assert said.json["ok"] is True
    assert said.json["images"] == {"train": 48, "val": 12}


def test_an_unfit_one(pumice: Any, here: Path, folder_of: Folder) -> None:
    folder_of(here / "photos/train", bright=30, dark=30)
    folder_of(here / "photos/val", bright=3, dark=3)
    shutil.copy(here / "photos/train/dark/7.png", here / "photos/val/dark/new.png")
    (here / "photos/train/dark/cut.png").write_bytes((here / "photos/train/dark/9.png").read_bytes()[:200])
    said = pumice("data", "check", "photos", "--json", "--out", "page.html")
    assert said.code == 1
    assert said.sentence == "2 problems in photos"
    assert [one["path"] for one in said.json["damaged"]] == ["photos/train/dark/cut.png"]
    equal = [pair for pair in said.json["leaks"] if pair["bits"] is None]
    assert {(pair["first"], pair["second"]) for pair in equal} >= {("train/dark/7.png", "val/dark/new.png")}
    page = (here / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 16 + 2
    assert "equal byte by byte" in page
    assert "photos/train/dark/cut.png" in page
    assert "http-equiv" in page
    said = pumice("data", "check", "photos")
    assert said.code == 1
    assert "✗ 1 image cannot be read" in said.out


def test_refusals(pumice: Any, here: Path) -> None:
    assert "no data 'photos'" in pumice("data", "check", "photos").sentence
    said = pumice("data", "check", "wds:https://localhost/train-{0..3}.tar")
    assert (said.code, "is streamed" in said.sentence) == (2, True)
    assert pumice("data", "check", "digits", "--out", str(here)).code == 2
    assert "cannot be opened in any order" in pumice("fit", "wds:http://x/y.tar", "--max-madds", "9M").sentence


@pytest.mark.parametrize("streamed", [False, True])
def test_training_on_shards(pumice: Any, here: Path, folder_of: Folder, streamed: bool) -> None:
    photos = folder_of(here / "photos", bright=12, dark=12)
    for split, numbers in (("train", range(8)), ("val", range(8, 12))):
        with tarfile.open(here / f"{split}-00.tar", "w") as tar:
            for i in numbers:
                for name in ("bright", "dark"):
                    tar.add(photos / name / f"{i}.png", f"{name}/{i}.png")
    more = ["--set", "data.streaming=true"] if streamed else ["--set", "data.balanced=true"]
    small = ["--model", "shufflenetv2_050", "--epochs", "1", "--img-size", "32", "--batch-size", "4"]
    said = pumice("train", "wds:train-{00..00}.tar", *small, *more, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert said.json["val"]["count"] == 8
    said = pumice("val", "run", "--json")
    assert said.code == 0, said.err
    assert said.json["count"] == 8
    assert ("first pass" in said.err) == streamed


def test_without_the_library(pumice: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    said = pumice("train", "hf:some/set", "--model", "shufflenetv2_050")
    assert said.code == 2
    assert said.sentence == "hf:some/set needs the datasets library; install it with `pip install 'pumice[data]'`"
    assert not (here / "runs").exists()
