"""Parameters (without norms) and multiply-adds of published SSDLite nets, 320 x 320, 90 classes and background."""

import pytest
import torch
from torch import nn

from pumice.graph.trace import trace
from pumice.models.create import create_model

# fmt: off
RECOUNTED = [  # millions of each; the reference's recounts of the papers' nets
    ("mobilenetv2_100",       {},                    4.450, 804),
    ("mobilenetv2_100",       {"num_classes": 81},   4.286, 789),  # its 4.29 M are for 80 classes
    ("mobilenetv3_large_100", {},                    4.967, 613),
    ("mobilenetv3_large_100", {"reduced": True},     3.215, 507),
    ("mobilenetv2_035",       {"multiplier": 0.35},  0.930, 167),
    ("mobilenetv2_050",       {"multiplier": 0.5},   1.537, 272),
    ("mobilenetv3_small_100", {},                    2.493, 210),
    ("mobilenetv3_small_100", {"reduced": True},     1.765, 162),
]
PRINTED = [  # billions, two digits; MobileNetV3's table 6
    ("semnasnet_100",   {},                    4.88, 0.84),
    ("semnasnet_035",   {"multiplier": 0.35},  1.02, 0.18),
    ("semnasnet_050",   {"multiplier": 0.5},   1.68, 0.29),
]
# fmt: on


def counts(name: str, **options) -> tuple[float, float]:
    """Millions of parameters without those of norms, millions of multiply-adds."""
    with torch.device("meta"):
        net = create_model(name, **options).eval()
    graph = trace(net, (3, 320, 320))
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    return (graph.params - norms) / 1e6, graph.madds / 1e6


@pytest.mark.parametrize(("backbone", "options", "params", "madds"), RECOUNTED)
def test_recounts(backbone, options, params, madds):
    found = counts(f"ssdlite:{backbone}", **options)
    assert found == (pytest.approx(params, abs=0.0006), pytest.approx(madds, abs=0.6))


@pytest.mark.parametrize(("backbone", "options", "params", "madds"), PRINTED)
def test_printed_figures(backbone, options, params, madds):
    found = counts(f"ssdlite:{backbone}", **options)
    assert found == (pytest.approx(params, abs=0.021), pytest.approx(1000 * madds, abs=5))


def test_mobilenet_v1_has_more_than_printed():
    # 5.1 M and 1.3 B are printed, which 80 classes give, with or without norms.
    assert counts("ssdlite:mobilenetv1_100") == (pytest.approx(5.210, abs=0.0006), pytest.approx(1322, abs=0.6))
    assert counts("ssdlite:mobilenetv1_100", num_classes=81)[0] == pytest.approx(5.063, abs=0.0006)


@pytest.mark.parametrize(("head", "params", "madds"), [("ssd", 14.8, 1259), ("ssdlite", 2.1, 177.6)])
def test_heads_of_table_5(head, params, madds):
    """MobileNetV2's paper counts what stands on the backbone: 14.8 M and 1.25 B, 2.1 M and 0.35 B, twice our count."""
    whole = counts(f"{head}:mobilenetv2_100", num_classes=81)
    alone = counts("mobilenetv2_100", num_classes=0)
    found = [a - b for a, b in zip(whole, alone, strict=True)]
    assert found == [pytest.approx(params, abs=0.03), pytest.approx(madds, abs=0.6)]


def test_ssd_of_mobilenet_v1():
    """Table 13 prints 6.8 M and 1.2 B at 300 x 300."""
    with torch.device("meta"):
        net = create_model("ssd:mobilenetv1_100", kernel_size=1).eval()
    graph = trace(net, (3, 300, 300))
    assert (graph.params / 1e6, graph.madds / 1e6) == (pytest.approx(6.820, abs=0.001), pytest.approx(1237, abs=1))
