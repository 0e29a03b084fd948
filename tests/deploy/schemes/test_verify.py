"""A file of 8-bit integers is judged by its best classes; a float file by every number, as ever."""

import copy
from pathlib import Path

import torch

from pumice.deploy.compare import agreement_asked
from pumice.deploy.export import export
from pumice.deploy.schemes import quantise
from pumice.deploy.verify import verify
from tests.deploy.schemes.conftest import Learnt, digits_net


def test_best_classes_decide(learnt: Learnt, tmp_path: Path) -> None:
    file = quantise(
        learnt.net, tmp_path / "net.onnx", learnt.calibration, scheme="onnxruntime-int8", manifest=learnt.manifest
    )
    right = verify(file, learnt.net, data="digits", images=200, manifest=learnt.manifest, runtime="onnxruntime")
    assert right.ok, right.checks
    assert 1e-4 < right.max_relative_error < 0.3
    assert right.top1_agreement >= 0.95
    other = copy.deepcopy(learnt.net)
    with torch.no_grad():  # another network: two classes have changed places
        other[10].weight[[3, 7]] = other[10].weight[[7, 3]]
        other[10].bias[[3, 7]] = other[10].bias[[7, 3]]
    wrong = verify(file, other, data="digits", images=200, manifest=learnt.manifest, runtime="onnxruntime")
    assert [check.name for check in wrong.checks if not check.ok] == ["top-1"]
    assert wrong.refused == ("onnxruntime",)
    fresh = verify(file, digits_net(5).eval(), data="digits", images=50, manifest=learnt.manifest)
    assert not fresh.ok


def test_a_float_file_is_asked_for_every_number(learnt: Learnt, tmp_path: Path) -> None:
    other = copy.deepcopy(learnt.net)
    with torch.no_grad():
        other[10].bias += 0.01
    file = export(other, tmp_path / "net.onnx", manifest=learnt.manifest, check=False)
    found = verify(file, learnt.net, data="digits", images=50, manifest=learnt.manifest, runtime="onnxruntime")
    assert not next(check for check in found.checks if check.name == "outputs").ok


def test_what_is_asked() -> None:
    assert agreement_asked(None) == 1
    assert agreement_asked({"agreement": 1.0}) == agreement_asked({}) == 0.97
    assert agreement_asked({"agreement": 0.9}) == 0.9 - 0.03
    assert agreement_asked({"agreement": 0.3}) == 0.8
