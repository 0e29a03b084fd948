"""Schemes whose native code dies take nothing with them; what is raised in their process is raised here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.deploy.schemes import SCHEMES, apart, quantise
from pumice.errors import BadInput, CheckFailed
from pumice.loop.quantising.quantize import quantize
from pumice.models.manifest import Manifest, ModelConfig

ORT = "onnxruntime-int8"
PREPROCESS = Preprocess(size=(16, 16), crop_pct=1.0, interpolation="bilinear")
IMAGES = np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype(np.float32)
HOW = {"float_layers": (), "calibration": "minmax", "weights": "reduced"}


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    return nn.Sequential(*layers).eval()


def written_by(monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    scheme = replace(SCHEMES[ORT], writer=f"tests.deploy.schemes.dying:{writer}", apart=True)
    monkeypatch.setitem(SCHEMES, ORT, scheme)


@pytest.mark.parametrize(
    ("writer", "error", "sentence"),
    [
        ("kills_its_runtime", CheckFailed, r"onnxruntime-int8 made kills the process that opens it \(SIGSEGV\)"),
        ("refuses", BadInput, "^no such operator$"),
        pytest.param("is_wrong", RuntimeError, "seven", marks=pytest.mark.slow),
    ],
)
def test_what_happens_there_is_told_here(
    writer: str, error: type[Exception], sentence: str, net: nn.Module, monkeypatch: Any, tmp_path: Path
) -> None:
    written_by(monkeypatch, writer)
    with pytest.raises(error, match=sentence):
        quantise(net, tmp_path / "net.onnx", IMAGES, scheme=ORT)
    assert list(tmp_path.iterdir()) == []


def test_auto_goes_on_where_a_scheme_dies(net: nn.Module, monkeypatch: Any, tmp_path: Path) -> None:
    written_by(monkeypatch, "dies")
    manifest = Manifest(ModelConfig("tiny", num_classes=10), PREPROCESS, open_data("digits").classes)
    asked: dict[str, Any] = {"auto": True, "scheme": ORT, "runtime": "onnxruntime", "images": 4, "val_images": 10}
    found = quantize(net, "digits", tmp_path / "net.onnx", manifest=manifest, **asked)
    assert (found.chosen, found.out) == (None, None)
    assert [(one.label, one.status) for one in found.tried] == [(f"{ORT}, plain", "failed")]
    assert found.tried[0].reason.startswith("the converter of onnxruntime-int8 died on this network (SIGABRT)")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_the_same_from_another_process(
    net: nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    here, there = (
        write(SCHEMES[ORT], net, tmp_path / name, IMAGES, IMAGES[:3], HOW)
        for name, write in (("a.onnx", apart.write_and_run), ("b.onnx", apart.write_and_run_apart))
    )
    assert np.array_equal(here, there)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("module", [__name__, "__main__"])
def test_a_class_that_only_this_process_knows(
    module: str, net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(nn.Sequential):
        pass

    Own.__module__ = module
    monkeypatch.delattr(apart.subprocess, "run")
    got = apart.write_and_run_apart(SCHEMES[ORT], Own(*net), tmp_path / "a.onnx", IMAGES, IMAGES[:3], HOW)
    assert got.shape == (3, 10)


def test_young_toolkits_work_apart() -> None:
    assert {scheme.name for scheme in SCHEMES.values() if scheme.apart} == {"litert-int8", "executorch-int8"}
