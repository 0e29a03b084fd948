"""A file against its network by the spread between images; runtimes that are too old; fields of the record."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pumice.data.preprocess import Preprocess
from pumice.deploy import formats
from pumice.deploy.checks import WORDS, record_checks
from pumice.deploy.export import export
from pumice.deploy.parity import LIMIT, compare, parity
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.deploy.verify import verify
from pumice.errors import BadInput
from tests.deploy.conftest import SIZE, Case, manifest, small_net
from tests.deploy.test_verify import doctored

X = probe_inputs(8, SIZE, Preprocess())


def test_a_right_file_and_a_wrong_one(case: Case):
    right = parity(case.onnx.path, case.net, X, runtime="onnxruntime")
    assert right.ok
    assert right.error_to_spread < 1e-5
    wrong = parity(case.onnx.path, small_net(seed=1), X, runtime="onnxruntime")
    assert (wrong.ok, wrong.testable) == (False, True)
    assert wrong.error_to_spread > 10 * LIMIT
    with pytest.raises(BadInput, match="two images or more"):
        parity(case.onnx.path, case.net, X[:1])


def test_a_network_that_ignores_its_image_proves_nothing(tmp_path: Path):
    class Ignores(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1e-6 * x.mean((2, 3)) + 3

    found = parity(export(Ignores(), tmp_path / "net.onnx", input_size=SIZE, check=False).path, Ignores(), X)
    assert (found.ok, found.testable) == (False, False)


def test_outputs_that_cannot_be_compared():
    want = np.float32([[1, 0], [0, 1]])
    assert compare(want, want).ok
    assert not compare(want * np.nan, want).ok
    assert not compare(want[:, :1], want).ok
    assert not compare(want + np.float32([2e-3, 0]), want).ok


def test_a_runtime_that_is_too_old_is_refused(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(formats, "version", lambda package: "1.21.9")
    with pytest.raises(BadInput, match=r"onnxruntime 1\.21\.9 is too old, 1\.22 or later is needed; run `pip install"):
        open_session(case.onnx.path, runtime="onnxruntime")
    monkeypatch.setattr(formats, "version", lambda package: "1.22.0rc1")
    open_session(case.onnx.path, runtime="onnxruntime").close()


def test_the_oldest_versions_are_those_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    asked = [line.split(">=") for lines in project["optional-dependencies"].values() for line in lines if ">=" in line]
    known = dict(parts for parts in asked if len(parts) == 2)
    assert {package: known[package] for package, _ in formats.MINIMUM.values()} == dict(formats.MINIMUM.values())


OTHER = {
    "size": (32, 32), "crop_pct": 1.0, "interpolation": "bilinear", "mean": (0.5,) * 3, "std": (0.5,) * 3,
    "channels": "BGR", "resize": "stretch",
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Preprocess) if field.name != "baked"])
def test_each_field_of_the_preprocessing_is_compared(name: str):
    wanted = manifest()
    carried = replace(wanted, preprocess=replace(wanted.preprocess, **{name: OTHER[name]}))
    bad = {check.name for check in record_checks(carried, wanted, carried.input_size, (5, 5)) if not check.ok}
    assert bad == {WORDS.get(name, name)}


def test_a_file_that_says_it_reads_pixels_and_does_not(tmp_path: Path, case: Case):
    file = doctored(tmp_path / "net.onnx", case, preprocess=replace(case.manifest.preprocess, baked=True))
    with pytest.raises(BadInput, match="reads normalised planes, but says pixels"):
        verify(file, case.net, manifest=case.manifest, runtime="onnxruntime")
