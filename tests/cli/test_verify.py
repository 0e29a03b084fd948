"""`pumice verify --layers`, and an export whose check fails."""

import pytest
import torch

from pumice.deploy.onnx import export_onnx


@pytest.fixture
def wrong_writer(monkeypatch):
    """A writer of ONNX files that loses a twentieth of one class's weights."""

    def write(model, *args, **more):
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        with torch.no_grad():
            last.weight[0] *= 0.95
        export_onnx(model, *args, **more)
        with torch.no_grad():
            last.weight[0] /= 0.95

    monkeypatch.setattr("pumice.deploy.onnx.export_onnx", write)


def test_an_export_that_is_wrong_leaves_nothing(pumice, here, digits_run, wrong_writer):
    said = pumice("export", digits_run, "--out", "m.onnx")
    assert said.code == 1
    assert "does not compute what the network computes" in said.sentence
    assert list(here.iterdir()) == []


def test_layers_are_shown(pumice, here, digits_run, wrong_writer):
    assert pumice("export", digits_run, "--out", "m.onnx", "--no-check").code == 0
    words = ("verify", "m.onnx", "--against", digits_run, "--runtime", "onnxruntime", "--images", 8)
    said = pumice(*words)
    assert said.code == 1
    assert "first layer that differs: head.classifier " in said.out
    assert "relative error" in said.out
    found = pumice(*words, "--json", "--layers").json
    assert found["ok"] is False
    assert [entry["error"] > 1e-4 for entry in found["layers"]][-2:] == [False, True]
