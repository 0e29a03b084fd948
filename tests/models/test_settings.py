"""Padding, eps and preprocessing that come with weights are those with which their source runs them."""

from typing import Any

import pytest
import torch
from torch import nn

from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.models.weights import load_weights

pytestmark = pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")


def on_meta(name: str, **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **arguments)


def eps(model: nn.Module) -> set[float]:
    return {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        *(("mobilenetv2_100", "mobilenet_v2"), ("mnasnet_050", "mnasnet0_5"), ("mnasnet_075", "mnasnet0_75")),
        *(("mobilenetv3_large_100", "mobilenet_v3_large"), ("mobilenetv3_small_100", "mobilenet_v3_small")),
        *((f"efficientnet_b{i}", f"efficientnet_b{i}") for i in (0, 1, 3, 4, 5)),
    ],
)
def test_torchvisions_weights_run_as_torchvision_runs_them(name: str, peer: str) -> None:
    pytest.importorskip("torchvision")
    theirs, ours = on_meta(f"torchvision:{peer}"), on_meta(name)
    load_weights(ours, theirs.state_dict(), "torchvision")
    assert preprocess_of(ours) == preprocess_of(theirs)
    assert eps(ours) == eps(theirs)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        *(("mobilenetv3_large_100", "in1k"), ("mobilenetv3_small_075", "in1k"), ("efficientnet_lite2", "in1k")),
        *(("efficientnet_b0", "in1k"), ("efficientnet_b2", "aa_in1k"), ("efficientnet_b5", "ns_jft_in1k")),
    ],
)
def test_tensorflows_weights_run_as_timm_runs_them(name: str, tag: str) -> None:
    pytest.importorskip("timm")
    theirs, ours = on_meta(f"timm:tf_{name}.{tag}"), on_meta(name)
    load_weights(ours, theirs.state_dict(), "official")
    found, expected, config = preprocess_of(ours), preprocess_of(theirs), config_of(ours)
    assert config is not None
    assert config.padding == "same"
    assert eps(ours) == eps(theirs) == {config.bn_eps}
    assert found.crop_pct == pytest.approx(expected.crop_pct, abs=1e-3)
    assert (found.size, found.mean, found.std) == (expected.size, expected.mean, expected.std)
    assert found.interpolation == expected.interpolation


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv1_100", "mobilenetv1_125", "mobilenetv2_110d", "mobilenetv3_small_100"),
        *("mobilenetv3_large_150d", "mnasnet_small", "efficientnet_b1"),
    ],
)
def test_timms_weights_run_as_timm_runs_them(name: str) -> None:
    pytest.importorskip("timm")
    theirs, ours = on_meta(f"timm:{name}"), on_meta(name)
    load_weights(ours, theirs.state_dict(), "timm")
    found, expected = preprocess_of(ours), preprocess_of(theirs)
    assert (found.mean, found.std, found.crop_pct) == (expected.mean, expected.std, expected.crop_pct)
    assert found.interpolation == expected.interpolation
    assert eps(ours) == eps(theirs)
