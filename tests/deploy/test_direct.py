"""Files written straight from the traced graph compute what the network computes, and name their nodes after it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from pumice.deploy.direct import write_direct, write_graph
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.create import create_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

NETS = [  # one for every kind of operator that the families use
    "squeezenet1_1",
    "shufflenetv1_g8_050",
    "shufflenetv2_050",
    "mobilenetv3_small_035",
    "semnasnet_035",
    "condensenet_light94_cifar",
    "espnetv2_050",
    "channelnet_v2",
    "ghostnet_050",
    "weightnet_shufflenetv2_050",
    "micronet_m0",
    "fbnetv2_f1",
]


def answers(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": x.numpy()})[0]


def settle(model):
    """Weights scaled by fan-in and norms of what really flows, so that the answer depends on the image."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, (2 / module.weight[0].numel()) ** 0.5)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
    model.train()
    with torch.no_grad():
        model(images(8, (3, 64, 64)))
    return model.eval()


def images(n, size):
    """Noise of a level of its own for each image."""
    return torch.randn(n, *size) + torch.randn(n, size[0], 1, 1)


def check(model, size, tmp_path, batch=1):
    write_direct(model, tmp_path / "net.onnx", size, batch=batch)
    x = images(batch, size)
    with torch.inference_mode():
        single, other = model(x).numpy(), model(images(batch, size)).numpy()
        expected = copy.deepcopy(model).double()(x.double()).numpy()
    spread = np.abs(single - other).max()
    assert spread > 1e-2 * np.abs(single).max(), "the network ignores its input"
    # Some fresh networks multiply rounding errors, on some processors so much that torch itself is off by more.
    own = np.abs(single - expected).max()
    allowed = max(1e-4 * spread, min(3 * own, 1e-2 * spread))
    assert np.abs(answers(tmp_path / "net.onnx", x) - expected).max() < allowed


@pytest.mark.parametrize("name", NETS)
def test_equal_to_the_network(name, tmp_path):
    torch.manual_seed(0)
    model = settle(create_model(name))
    check(model, (3, 32, 32) if "cifar" in name else (3, 96, 96), tmp_path)


class Assorted(nn.Module):
    """Operators that no network of ours uses."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=2)
        self.norm = nn.LayerNorm(8)
        self.register_buffer("order", torch.tensor([3, 1, 2, 0, 7, 5, 6, 4]))
        self.register_buffer("scale", torch.rand(8))

    def forward(self, x):
        y = nn.functional.leaky_relu_(self.conv(nn.functional.pad(x, (1, 0, 2, 1))), 0.2)
        y = nn.functional.gelu(self.up(y)) - 0.5 * y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = y[:, self.order] * (self.scale.sqrt() + 1)[:, None, None]
        a, b = y.unbind(3)[0], y.select(3, 1)
        y = torch.rsub(y, 2.0, alpha=3) / 2 + torch.cat([a[..., None], b[..., None]], 3).mean((2, 3), keepdim=True)
        y = nn.functional.interpolate(nn.functional.pixel_shuffle(y, 2), scale_factor=2, mode="nearest")
        y = torch.sub(y, y.amax((2, 3), keepdim=True).clamp(-1, 1), alpha=2).clamp(max=3)
        y = y.repeat(1, 4, 1, 1)[:, 1:7:2, ::2].permute(0, 2, 3, 1)
        y = torch.softmax(3 * y, 1).flatten(1, 2) @ torch.rsqrt(self.scale[:3, None] + 1)
        return torch.tanh(nn.functional.silu(30 * y.squeeze(2) - 1)) ** 2 + self.norm(self.scale).mean()


def test_other_operators(tmp_path):
    torch.manual_seed(0)
    net = Assorted().eval()
    check(net, (3, 12, 10), tmp_path)


def test_batches(tmp_path):
    torch.manual_seed(0)
    check(settle(create_model("shufflenetv2_050")), (3, 64, 64), tmp_path, batch=3)


def test_nodes_are_named_after_the_graph(tmp_path):
    torch.manual_seed(0)
    graph = write_direct(create_model("mobilenetv3_small_035"), tmp_path / "net.onnx", (3, 64, 64))
    nodes = onnx.load(tmp_path / "net.onnx").graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert [int(node.name[1:]) for node in convolutions] == [n.index for n in graph.nodes if n.kind == "conv"]
    assert not any(node.op_type in ("Identity", "BatchNormalization") for node in nodes)


def test_weights_of_another_shape_are_drawn(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(8 * 16, 5))
    graph = trace(folded(model, (3, 4, 4)), (3, 4, 4))
    write_graph(graph, {"0.weight": torch.zeros(4, 3, 1, 1)}, tmp_path / "net.onnx")
    assert answers(tmp_path / "net.onnx", torch.randn(1, 3, 4, 4)).std() > 0.01


class Cumulative(nn.Module):
    def forward(self, x):
        return x.cumsum(1)


class Writes(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y[:, :1] = x[:, :1] + 1
        return y


@pytest.mark.parametrize("net", [Cumulative(), Writes()])
def test_what_cannot_be_written_is_named(net, tmp_path):
    with pytest.raises(BadInput, match=r"operator aten\.\w+.*export_onnx"):
        write_direct(net, tmp_path / "net.onnx", (3, 8, 8))
    assert not (tmp_path / "net.onnx").exists()
