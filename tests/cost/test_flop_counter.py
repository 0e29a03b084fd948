"""Multiply-adds equal half of what torch's own counter finds, on sixty convolutional nets of timm."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pumice.graph.trace import trace

timm: Any = pytest.importorskip("timm")

# Every 4th, by name, of timm 1.0.31's nets under 15 million parameters whose names do not match
# vit|former|mixer|mlp|beit|deit|swin|cait|xcit|coat|eva|twins|tnt|nest_|pit_|volo|mambaout|hiera|sequencer|clip|aimv|
# vim|halo|lam|botnet|bat_res|csatv2|focalnet|^test_|pvt|edgenext
NAMES = [
    *("convnext_atto", "convnext_femto_ols", "convnext_zepto_rms_ols", "cpubone_b0_bfrobust", "cpubone_s0"),
    *("cs3darknet_m", "cspnext_tiny", "densenetblur121d", "dpn48b", "eca_resnext26ts", "efficientnet_b0_gn"),
    *("efficientnet_b2_pruned", "efficientnet_b3_pruned", "efficientnet_el_pruned", "efficientnet_lite0"),
    *("efficientnet_lite4", "ese_vovnet19b_slim", "fasternet_t2", "gc_efficientnetv2_rw_t", "ghostnet_100"),
    *("ghostnetv2_160", "hardcorenas_a", "hardcorenas_e", "hgnetv2_b1", "lcnet_035", "lcnet_150"),
    *("legacy_seresnet18", "mixnet_xl", "mnasnet_140", "mobilenet_edgetpu_v2_m", "mobilenetv1_100h"),
    *("mobilenetv2_075", "mobilenetv2_140", "mobilenetv3_rw", "mobilenetv4_conv_aa_medium"),
    *("mobilenetv4_conv_small_035", "mobileone_s0", "mobileone_s4", "regnetx_002", "regnetx_008", "regnety_006"),
    *("regnetz_005", "regnetz_c16_evos", "repghostnet_100", "repghostnet_200", "resnet10t", "resnetblur18"),
    *("rexnet_100", "rexnetr_130", "semnasnet_100", "skresnet18", "starnet_s3", "starnet_s150"),
    *("tf_efficientnet_b3", "tf_efficientnet_es", "tf_efficientnet_lite3", "tf_efficientnetv2_b2", "tf_mixnet_s"),
    *("tf_mobilenetv3_small_075", "tinynet_b"),
]
# Of different build, and small, for the fast tier.
FAST = (
    *(
        "convnext_atto",
        "fasternet_t2",
        "ghostnetv2_160",
        "lcnet_035",
        "legacy_seresnet18",
        "mobilenetv4_conv_small_035",
    ),
    *("mobileone_s0", "regnetx_002", "regnetz_005", "repghostnet_100", "resnetblur18", "rexnet_100", "skresnet18"),
    *("starnet_s150", "tf_mobilenetv3_small_075"),
)


def halved_flops(model: nn.Module, size: tuple[int, ...]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        model.eval()(torch.empty(1, *size, device="meta"))
    return counter.get_total_flops() / 2


def test_there_are_sixty_names() -> None:
    assert len(set(NAMES)) == 60
    assert set(FAST) < set(NAMES)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_counts_agree(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    size = tuple(model.default_cfg["input_size"])
    graph = trace(model, size)
    assert graph.madds == halved_flops(model, size) > 1e6
    assert graph.params == sum(p.numel() for p in model.parameters())
