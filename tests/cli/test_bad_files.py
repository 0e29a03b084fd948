"""Files that are not what they say, and disks that are full: one sentence, and nothing half-written."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

FilesIn = Callable[[Path], dict[str, bytes]]
TRAIN = ("train", "digits", "--model", "shufflenetv2_050", "--img-size", "32", "--out", "run")


class Code:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("verb", [TRAIN, ("fit", "digits", "--max-madds", "50M", "--out", "run")])
def test_code_in_a_weights_file_does_not_run(pumice: Any, here: Path, tmp_path: Path, verb: tuple[str, ...]) -> None:
    for name in ("weights.pth", "weights.pt"):
        torch.save({"state_dict": Code(tmp_path / "ran")}, here / name)
        said = pumice(*verb, "--weights", name)
        assert said.code == 2
        assert "Pumice runs no code from files" in said.sentence
        (here / name).unlink()
    assert not (tmp_path / "ran").exists()
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 half a file"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx"])
def test_a_weights_file_that_is_none(pumice: Any, here: Path, content: bytes, suffix: str) -> None:
    file = here / f"weights{suffix}"
    file.write_bytes(content)
    said = pumice(*TRAIN, "--weights", file.name)
    assert said.code == 2
    assert file.name in said.sentence
    assert list(here.iterdir()) == [file]


def test_weights_of_another_network(pumice: Any, here: Path, digits_run: Path) -> None:
    weights = digits_run / "best.safetensors"
    said = pumice("train", "digits", "--model", "micronet_m0", "--weights", weights, "--out", "run")
    assert said.code == 2
    assert "micronet_m0" in said.sentence
    assert list(here.iterdir()) == []


@pytest.fixture
def edited(digits_run: Path, tmp_path: Path) -> Path:
    """The run, but its checkpoint says that it is another network."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    run = tmp_path / "edited"
    shutil.copytree(digits_run, run)
    path = run / "best.safetensors"
    with safe_open(path, framework="numpy") as file:
        manifest = json.loads(file.metadata()["pumice"])
    manifest["model"]["name"] = "micronet_m0"
    save_file(load_file(path), path, metadata={"pumice": json.dumps(manifest)})
    return run


def test_a_checkpoint_of_another_network(pumice: Any, here: Path, edited: Path) -> None:
    for verb in (
        ("val", edited),
        ("export", edited, "--out", "m.onnx"),
        ("predict", "digits", "--model", edited),
        ("profile", edited),
        ("benchmark", edited),
    ):
        said = pumice(*verb)
        assert said.code == 2
        assert "says it is micronet_m0, but its tensor" in said.sentence
    assert list(here.iterdir()) == []


def test_weights_without_a_network(pumice: Any, here: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, here / "bare.safetensors")
    said = pumice("export", "bare.safetensors", "--out", "m.onnx")
    assert said.code == 2
    assert "does not say of which network" in said.sentence
    assert [path.name for path in here.iterdir()] == ["bare.safetensors"]


@pytest.mark.parametrize("content", [b"", b"no network at all", bytes(range(256)) * 8])
def test_an_onnx_file_that_is_none(pumice: Any, here: Path, digits_run: Path, content: bytes) -> None:
    (here / "m.onnx").write_bytes(content)
    for verb in (
        ("val", "m.onnx", "digits"),
        ("verify", "m.onnx", "--against", digits_run),
        ("benchmark", "m.onnx"),
        ("predict", "digits", "--model", "m.onnx"),
    ):
        said = pumice(*verb)
        assert said.code == 2, verb
        assert "m.onnx is not an ONNX model" in said.sentence


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("verify", "missing.onnx", "--against", "{run}"), "no file missing.onnx"),
        (("verify", "missing.xml", "--against", "{run}"), "no file missing.xml"),
        (("verify", "{run}", "--against", "{run}"), "is no model file to verify"),
        (("export", "{run}", "--out", "m.tfl"), "the suffix of m.tfl names no format; use one of .onnx, .xml"),
        (("export", "{run}", "--out", "m.onnx", "--format", "onx"), "did you mean 'onnx'?"),
        (("export", "{run}", "--out", "m.onnx", "--format", "openvino"), "ends in .xml"),
        (("export", "{run}", "--out", "m.onnx", "--input", "1x32x32"), "reads 3 channels, not 1"),
        (("export", "{run}", "--out", "m.onnx", "--input", "32"), "--input '32' is no shape"),
        (("export", "{run}", "--out", "m.onnx", "--dynamic", "all"), "--dynamic 'all' is unknown"),
        (("export", "squeezenet1_1", "--out", "m.onnx", "--input", "3x5x5"), "squeezenet1_1"),
        (("export", "squeezenet1_2", "--out", "m.onnx"), "did you mean 'squeezenet1_"),
        (("export", "no-run/", "--out", "m.onnx"), "no-run"),
        (("val", "{run}", "--runtime", "onnx"), "no runtime 'onnx'; choose auto, eager, onnxruntime, openvino"),
        (("val", "micronet_m0"), "does not say which data it was trained with"),
        (("report", "{tmp}"), "{tmp}"),
    ],
)
def test_what_cannot_be_opened_or_written(
    pumice: Any, here: Path, tmp_path: Path, digits_run: Path, args: tuple[str, ...], words: str
) -> None:
    said = pumice(*(arg.format(run=digits_run, tmp=tmp_path) for arg in args))
    assert said.code == 2
    assert said.out == ""
    assert words.format(tmp=tmp_path) in said.sentence
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("out", ["m.onnx", "m.xml", "pair"])
def test_a_full_disk_during_export(pumice: Any, here: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    """Full when the finished file is put in place, and full in the middle of writing."""

    def full(*args: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for where in ("os.replace", "pathlib.Path.write_bytes"):
        if where.startswith("pathlib") and out != "m.onnx":
            continue
        with monkeypatch.context() as patch:
            patch.setattr(where, full)
            said = pumice("export", "squeezenet1_1", "--input", "3x32x32", "--no-check", "--out", out)
        assert said.code == 2
        assert f"cannot write {out}: No space left on device" in said.sentence
        assert list(here.iterdir()) == []


def test_a_full_disk_for_other_files(
    pumice: Any, here: Path, digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    for verb in (
        ("predict", "digits", "--model", digits_run, "--csv", "out.csv"),
        ("report", digits_run, "--out", "page.html"),
    ):
        said = pumice(*verb)
        assert said.code == 1
        assert "the disk is full" in said.sentence
        assert list(here.iterdir()) == []


def test_a_full_disk_during_training(
    pumice: Any, here: Path, folder_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved before stays; nothing half-written is added."""
    folder_of(here / "photos", bright=5, dark=5)
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("best.safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    args = ("--model", "shufflenetv2_050", "--epochs", "1", "--img-size", "32", "--batch-size", "4", "--out", "run")
    said = pumice("train", "photos", *args)
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        "pumice: run/best.safetensors cannot be written: the disk is full; make room there, "
        "then go on from step 0 with `pumice train --resume run`"
    )
    assert "Traceback" not in said.err
    assert not [path for path in here.rglob("*") if ".part" in path.name]


def test_a_place_that_cannot_be_written(pumice: Any, here: Path, digits_run: Path) -> None:
    (here / "file").write_text("not a folder")
    for verb in (
        ("export", digits_run, "--out", "file/m.onnx"),
        ("report", digits_run, "--out", "file/page.html"),
        ("train", "digits", "--model", "micronet_m0", "--out", "file"),
        ("train", "digits", "--model", "micronet_m0", "--out", "file/run"),
        ("fit", "digits", "--max-madds", "5M", "--out", "file"),
        ("fit", "digits", "--max-madds", "5M", "--out", "file/run"),
    ):
        said = pumice(*verb)
        assert said.code == 2, verb
        assert "file" in said.sentence
    assert (here / "file").read_text() == "not a folder"
