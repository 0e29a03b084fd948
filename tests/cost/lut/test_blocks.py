"""A graph as blocks: what is fused into what, and what a block's key says."""

import torch
from torch import nn

from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.features import NAMES, features, sort_of
from pumice.cost.lut.probes import probe
from pumice.deploy.network import folded
from pumice.graph.trace import trace
from pumice.models.create import create_model


def blocks_of(model, size):
    return blocks(trace(folded(model, size), size))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.c = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.slope, self.fc = nn.PReLU(8), nn.Linear(8, 5)

    def forward(self, x):
        x = self.a(x).relu()
        y = self.slope(self.b(x) + x)  # the sum is fused, PReLU is not
        z = torch.sigmoid(self.c(y))  # fused
        y = y * z  # y has two readers: not fused into b, and z comes later
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.fc(y.mean((2, 3)))


def test_chains():
    found = blocks_of(Net(), (3, 6, 6))
    assert [b.ops for b in found] == [
        ("convolution", "relu"),
        ("convolution", "add"),
        ("prelu_kernel",),
        ("convolution", "sigmoid", "mul"),
        ("view", "transpose", "clone", "unsafe_view"),
        ("mean",),
        ("addmm",),
    ]
    assert [sort_of(b) for b in found] == [
        *("conv image", "conv 1x1", "pointwise prelu_kernel", "depthwise window"),
        *("layout shuffle", "reduce", "linear"),
    ]
    depthwise = found[3]
    assert depthwise.fed_by == ("pointwise",)
    assert depthwise.feeds == ("layout",)
    assert found[0].fed_by == ("input",)
    assert found[-1].feeds == ("output",)


def test_every_multiply_add_is_in_a_block():
    for name in ("mobilenetv3_small_035", "micronet_m0", "weightnet_shufflenetv2_050", "channelnet_v2"):
        model = create_model(name)
        graph = trace(folded(model, (3, 224, 224)), (3, 224, 224))
        found = blocks(graph)
        assert sum(b.madds for b in found) == graph.madds > 0, name
        nodes = [node for b in found for node in b.nodes]
        assert len(nodes) == len(set(nodes)), name


def test_the_key_says_what_matters():
    def key(channels, size, act=nn.ReLU, stride=1):
        net = nn.Sequential(nn.Conv2d(3, channels, 3, stride, 1), act(), nn.AvgPool2d(2))
        return blocks_of(net, (3, size, size))[0].key

    assert key(8, 32) == key(8, 32)
    assert len({key(8, 32), key(16, 32), key(8, 64), key(8, 32, nn.Hardswish), key(8, 32, stride=2)}) == 5


def test_weights_of_the_whole_network_are_known_but_no_key():
    short = blocks_of(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1)), (3, 8, 8))
    long = blocks_of(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 9, 1)), (3, 8, 8))
    assert short[0].key == long[0].key
    assert short[0].resident == 3 * 8 + 8 + 8 * 8 + 8
    assert long[0].resident == short[0].resident + 8 * 9 + 9


def test_features_are_finite_and_tell_blocks_apart():
    found = blocks_of(create_model("shufflenetv2_050"), (3, 64, 64))
    vectors = [features(b) for b in found]
    assert all(v.shape == (len(NAMES),) for v in vectors)
    assert all(torch.isfinite(torch.from_numpy(v)).all() for v in vectors)
    assert len({tuple(v) for v in vectors}) == len({b.key for b in found})


def test_probes_are_repeatable_and_various():
    first, size = probe(3)
    again, same = probe(3)
    assert size == same
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    sorts = set()
    for seed in range(30):
        model, size = probe(seed)
        sorts |= {sort_of(b) for b in blocks(trace(model, size))}
    assert {"conv 1x1", "depthwise window", "grouped 1x1", "layout shuffle", "linear", "pool avg_pool2d"} <= sorts
