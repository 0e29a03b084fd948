"""Manifests survive JSON and refuse what they cannot be."""

import json

import pytest

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.manifest import Manifest, ModelConfig

FULL = Manifest(
    ModelConfig("mobilenetv3_small_100", 3, 1, {"width": 0.6, "minimal": True}, "same", 1e-3, 16, {"a": {"b": 2}}),
    Preprocess((64, 96), 0.9, "bilinear", (0.1,), (0.2,), "BGR", "stretch"),
    ("épée", "盾", 'quote"'),
    budget={"max_latency_ms": 2.0, "runtime": "onnxruntime"},
    decode={"kind": "ssd"},
)


@pytest.mark.parametrize("manifest", [FULL, Manifest(ModelConfig("micronet_m0"))])
def test_round_trip(manifest: Manifest) -> None:
    text = manifest.dumps()
    assert "\n" not in text
    assert Manifest.loads(text) == manifest
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


def test_every_field_counts() -> None:
    """A field that the text lost would make two different manifests equal."""
    plain = Manifest(ModelConfig("micronet_m0")).to_json()
    full = FULL.to_json()
    assert full.keys() == plain.keys()
    assert [key for key in full if full[key] == plain[key]] == ["format", "task"]
    assert all(full["model"][key] != plain["model"][key] for key in full["model"])
    assert all(full["preprocess"][key] != plain["preprocess"][key] for key in full["preprocess"])


def test_input_size() -> None:
    assert FULL.input_size == (1, 64, 96)
    assert FULL.at(32, 48).input_size == (1, 32, 48)


def test_unreadable_records() -> None:
    good = FULL.to_json()
    with pytest.raises(BadInput, match="newer Pumice"):
        Manifest.from_json({**good, "format": 99})
    with pytest.raises(BadInput, match="cannot be read: 'classes'"):
        Manifest.from_json({k: v for k, v in good.items() if k != "classes"})
    with pytest.raises(BadInput, match=r"cannot be read.*colour"):
        Manifest.from_json({**good, "model": {**good["model"], "colour": 1}})
    with pytest.raises(BadInput, match=r"cannot be read.*colour"):
        Manifest.from_json({**good, "preprocess": {**good["preprocess"], "colour": 1}})
