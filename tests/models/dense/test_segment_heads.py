"""Heads of segmentation against their equations, on any backbone, at any size, and through an ONNX file."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.dense.lraspp import WindowPool
from pumice.nn.factorised import FactorisedPointwise

HEADS = ("aspp", "raspp", "lraspp", "mraspp")


def wild(name: str, **options: Any) -> nn.Module:
    """A net in double precision whose norms and biases are no longer neutral, so that every term shows."""
    torch.manual_seed(0)
    net = create_model(name, **options).double().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        for name, parameter in net.head.named_parameters():
            if name.endswith("bias") or name.startswith(("classifier", "attention", "gate")):
                parameter.normal_(0, 0.3)
    return net


def point(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A 1 x 1 convolution as a product."""
    y = torch.einsum("oc,nchw->nohw", conv.weight[:, :, 0, 0], x)
    return y if conv.bias is None else y + conv.bias.view(1, -1, 1, 1)


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """In evaluation."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return x * scale.view(1, -1, 1, 1) + (norm.bias - norm.running_mean * scale).view(1, -1, 1, 1)


def larger(x: Tensor, size: Any) -> Tensor:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("pooling", ["paper", "global"])
def test_lraspp_is_its_equation(pooling: str) -> None:
    net = wild("lraspp:mobilenetv3_small_035", num_classes=4, filters=16, rf2=True, pooling=pooling)
    x = torch.randn(1, 3, 832, 864, dtype=torch.float64)
    with torch.no_grad():
        low, high = net.encoder(x)
        assert high.shape[2:] == (52, 54)
        head = net.head
        y = normed(point(high, head.point.conv), head.point.norm).clamp(min=0)
        # One window of 49 rows; of columns only one starts at a multiple of 20 and fits.
        pooled = high[:, :, :49, :49] if pooling == "paper" else high
        gate = point(pooled.mean((2, 3), keepdim=True), head.gate)
        y = larger(y / (1 + (-gate).exp()), low.shape[2:])
        logits = point(y, head.classifier[0]) + point(low, head.classifier[1])
        torch.testing.assert_close(net(x), larger(logits, (832, 864)), rtol=1e-9, atol=1e-9)
    assert low.shape[1] == net.encoder.blocks[3].depthwise.conv.out_channels, "the wide map inside the block"


def test_windows_overlap_and_shrink() -> None:
    x = torch.randn(1, 2, 64, 128)
    pooled = WindowPool(16)(x)
    assert pooled.shape == (1, 2, 1, 4)
    for i in range(4):
        torch.testing.assert_close(pooled[..., 0, i], x[:, :, :49, 20 * i : 20 * i + 49].mean((2, 3)))
    assert WindowPool(32)(x).shape == (1, 2, (64 - 25) // 4 + 1, (128 - 25) // 5 + 1)
    torch.testing.assert_close(WindowPool(16)(x[:, :, :20, :30])[..., 0, 0], x[:, :, :20, :30].mean((2, 3)))
    with pytest.raises(BadInput, match="not at 1/64; choose pooling='global'"):
        WindowPool(64)


@pytest.mark.parametrize("head", ["aspp", "raspp"])
def test_aspp_and_raspp_are_their_equations(head: str) -> None:
    net = wild(f"{head}:mobilenetv2_035", num_classes=4, filters=16)
    x = torch.randn(1, 3, 192, 256, dtype=torch.float64)
    with torch.no_grad():
        (m,) = net.encoder(x)
        assert m.shape == (1, 112, 12, 16)
        parts = [normed(point(m, net.head.point.conv), net.head.point.norm).clamp(min=0)]
        if head == "aspp":
            for conv, rate in zip(net.head.atrous, (6, 12, 18), strict=True):
                y = F.conv2d(m, conv.conv.weight, padding=rate, dilation=rate)
                parts.append(normed(y, conv.norm).clamp(min=0))
        pooled = point(m.mean((2, 3), keepdim=True), net.head.pooled.conv)
        parts.append(normed(pooled, net.head.pooled.norm).clamp(min=0).expand_as(parts[0]))
        y = normed(point(torch.cat(parts, 1), net.head.merge.conv), net.head.merge.norm).clamp(min=0)
        torch.testing.assert_close(net(x), larger(point(y, net.head.classifier), (192, 256)), rtol=1e-9, atol=1e-9)


def grouped(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A grouped 1 x 1 convolution, a group at a time."""
    g = conv.groups
    parts = zip(x.chunk(g, 1), conv.weight[:, :, 0, 0].chunk(g), strict=True)
    y = torch.cat([torch.einsum("oc,nchw->nohw", weight, part) for part, weight in parts], 1)
    return y if conv.bias is None else y + conv.bias.view(1, -1, 1, 1)


def factorised(x: Tensor, layer: FactorisedPointwise) -> Tensor:
    z = grouped(x, layer.squeeze)
    z = normed(z, layer.squeeze_norm) if isinstance(layer.squeeze_norm, nn.BatchNorm2d) else z
    n, c, h, w = z.shape
    z = grouped(z.view(n, layer.squeeze.groups, -1, h, w).transpose(1, 2).reshape(n, c, h, w), layer.expand)
    return normed(z, layer.expand_norm) if isinstance(layer.expand_norm, nn.BatchNorm2d) else z


def test_mraspp_is_its_equation() -> None:
    net = wild("mraspp:micronet_m0", num_classes=4, filters=48)
    x = torch.randn(1, 3, 96, 128, dtype=torch.float64)
    with torch.no_grad():
        low, high = net.encoder(x)
        head = net.head
        z = factorised(larger(high, low.shape[2:]), head.point)
        map_of = head.attention.conv.weight[0, :, 0, 0] @ z.flatten(2)[0] / 10
        pi = (map_of.softmax(0) * map_of.numel() / 3).clamp(max=1).view(1, 1, *low.shape[2:])
        gate = factorised(high.mean((2, 3), keepdim=True), head.gate)
        y = head.act(z) * pi / (1 + (-gate).exp())
        logits = point(y, head.classifier[0]) + point(low, head.classifier[1])
        torch.testing.assert_close(net(x), larger(logits, (96, 128)), rtol=1e-9, atol=1e-9)
    assert low.shape[1:] == (12, 12, 16)


def test_factorised_pointwise_connects_all_by_one_path() -> None:
    """Every output sees every input exactly once: with all weights 1, the matrix is all ones."""
    layer = FactorisedPointwise(24, 12, 20, (3, 4), norm=False)
    with torch.no_grad():
        for conv in (layer.squeeze, layer.expand):
            conv.weight.fill_(1.0)
        layer.expand.bias.zero_()
        seen = layer(torch.eye(24).view(24, 24, 1, 1))[:, :, 0, 0]
    assert torch.equal(seen, torch.ones(24, 20))


@pytest.mark.parametrize(
    "name",
    [
        "aspp:timm:resnet18",
        "raspp:squeezenet1_1",
        "raspp:timm:mobilenetv3_small_050",
        "lraspp:ghostnet_100",
        "lraspp:timm:resnet18",
        "mraspp:mobilenetv3_small_050",
        "mraspp:squeezenet1_1",
    ],
)
def test_any_backbone_answers_at_the_size_of_its_input(name: str) -> None:
    torch.manual_seed(0)
    net = create_model(name, num_classes=3).eval()
    x = torch.rand(1, 3, 97, 130)
    with torch.no_grad():
        y = net(x)
        assert y.shape == (1, 3, 97, 130)
        other = net(1 - x)
        assert (y - other).abs().max() > 1e-2 * (y - y.mean()).abs().max(), "the output depends on the image"
    net.reset_classifier(5)
    assert net(x).shape == (1, 5, 97, 130)


@pytest.mark.parametrize("head", [*(pytest.param(h, marks=pytest.mark.slow) for h in HEADS[:3]), HEADS[3]])
def test_files_of_a_net_answer_as_it_does(head: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from pumice.deploy.export import export

    net = wild(f"{head}:mobilenetv3_small_035", num_classes=4).float()
    save_checkpoint(tmp_path / "net.safetensors", net, manifest_of(net))
    again, manifest = load_checkpoint(tmp_path / "net.safetensors")
    assert (manifest.task, manifest.model.output_stride) == ("segment", 16)
    x = torch.randn(1, 3, 80, 112)
    with torch.no_grad():
        assert torch.equal(again(x), net(x))
    # `export` runs the file in every runtime and compares, as a share of the largest output.
    done = export(again, tmp_path / "net.onnx", manifest=manifest, input_size=(3, 80, 112))
    assert done.checked
    assert max(done.checked.values()) < 1e-4


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("lraspp:mobilenetv2_035", {"num_classes": 0}, "at least 1 class, not 0"),
        ("lraspp:mobilenetv2_035", {"pooling": "max"}, "option pooling must be 'paper' or 'global', not 'max'"),
        ("raspp:micronet_m0", {"rf2": True}, "which Last of this backbone lacks; leave it out"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        create_model(name, **options)
