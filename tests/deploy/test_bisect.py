"""Layers matched between a network and its file."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from pumice.deploy.bisect import LayerError, _error, first_difference, layer_errors
from pumice.deploy.export import export
from pumice.deploy.verify import verify
from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from tests.deploy.conftest import SIZE, Case, settle


def test_a_network_whose_channels_were_reordered(tmp_path: Path):
    """ShuffleNetV2 is written without its shuffles."""
    torch.manual_seed(0)
    net = settle(create_model("shufflenetv2_050", num_classes=5), (3, 64, 64))
    about = manifest_of(net).at(64, 64)
    file = export(net, tmp_path / "net.onnx", manifest=about, check=False).path
    right = verify(file, net, manifest=about, runtime="onnxruntime", images=8, layers=True)
    assert right.ok
    assert right.diagnosis[0].startswith(f"all {len(right.layers)} layers agree to ")
    assert len(right.layers) == 57

    changed = copy.deepcopy(net)
    name = right.layers[30].layer
    layer = changed.get_submodule(name)
    with torch.no_grad():
        layer.weight[3] *= 1.5
    wrong = verify(file, changed, manifest=about, runtime="onnxruntime", images=8)
    assert not wrong.ok
    assert wrong.diagnosis[0].startswith(f"first layer that differs: {name} ")
    assert "all 30 before agree" in wrong.diagnosis[0]


def test_order_of_channels_is_no_error_but_for_the_last_layer():
    want = np.random.default_rng(0).standard_normal((2, 40, 30)).astype(np.float32)
    got = want[:, np.random.default_rng(1).permutation(40)]
    assert _error(got, want, ordered=False) == 0
    assert _error(got, want, ordered=True) > 0.5
    got = got.copy()
    got[:, 7, 20] += 0.1
    assert _error(got, want, ordered=False) == pytest.approx(0.1 / np.abs(want).max(), rel=1e-4)


def test_the_sentence():
    def said(*errors: float | None) -> str:
        return first_difference([LayerError(name, error) for name, error in zip("abcdef", errors, strict=False)])

    assert said(0.0, 1e-6) == "all 2 layers agree to 1e-06"
    assert said(1e-6, 0.2, 0.3).startswith("first layer that differs: b (relative error 2e-01); all 1 before agree")
    assert said(float("nan"), 0.2).startswith("first layer that differs: a ")
    # What was rewritten is not taken for the fault.
    assert said(0.0, 0.5, 0.0, 0.4).startswith("first layer that differs: d ")
    assert "b before hold other values" in said(0.0, 0.5, 0.0)
    assert "1 of 3 layers have no counterpart" in said(0.0, None, 0.0)


def test_what_cannot_be_told(case: Case, tmp_path: Path):
    x = np.zeros((2, *SIZE), np.float32)
    with pytest.raises(BadInput, match="openvino shows no tensors"):
        layer_errors(case.xml.path, case.net, x, "openvino")
    with pytest.raises(BadInput, match="onnxruntime refuses"):
        layer_errors(case.onnx.path, case.net, x, "onnxruntime", fed=x[..., :7])
