"""Floors, recomputed by hand from shapes and from ceilings of round numbers."""

import pytest
from torch import nn

from pumice.cost.ceilings import Ceilings, Level
from pumice.cost.count import profile
from pumice.cost.roofline import floor_ms, floors

# 1 multiply-add a nanosecond; L1 8, L2 4 and memory 1 byte a nanosecond.
MACHINE = Ceilings(
    threads=1,
    madds_per_s=1e9,
    madds_spread=0.0,
    levels=(
        Level("L1", 1000, 8e9, 0.0),
        Level("L2", 20_000, 4e9, 0.0),
        Level("memory", None, 1e9, 0.0),
    ),
)
NET = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False))


def test_two_layers_by_hand() -> None:
    net = profile(NET, (8, 10, 10))
    pointwise, relu, depthwise = floors(net.layers, MACHINE)
    assert relu is None
    assert pointwise is not None
    assert depthwise is not None
    # All weights: (128 + 144) x 4 = 1088 bytes, which only L2 holds, at 4 bytes a ns.
    # Pointwise: (800 + 1600) x 4 = 9600 bytes of activations, in L2; 12,800 multiply-adds.
    assert pointwise.compute_ms == pytest.approx(12_800e-6)
    assert pointwise.memory_ms == pytest.approx((512 / 4 + 9600 / 4) * 1e-6)
    assert (pointwise.bound, pointwise.ms) == ("compute", pointwise.compute_ms)
    # Depthwise: (1600 + 1600) x 4 = 12,800 bytes; 14,400 multiply-adds.
    assert depthwise.compute_ms == pytest.approx(14_400e-6)
    assert depthwise.memory_ms == pytest.approx((576 / 4 + 12_800 / 4) * 1e-6)
    assert floor_ms(net.layers, MACHINE) == pytest.approx((12_800 + 14_400) * 1e-6)


def test_levels_follow_sizes() -> None:
    small, large = profile(NET, (8, 2, 2)), profile(NET, (8, 40, 40))
    # (32 + 64) x 4 = 384 bytes of activations fit L1; weights still come from L2.
    first = floors(small.layers, MACHINE)[0]
    assert first is not None
    assert first.memory_ms == pytest.approx((512 / 4 + 384 / 8) * 1e-6)
    # (12,800 + 25,600) x 4 bytes fit no cache.
    last = floors(large.layers, MACHINE)[0]
    assert last is not None
    assert last.memory_ms == pytest.approx((512 / 4 + 153_600 / 1) * 1e-6)
    assert (last.bound, last.ms) == ("compute", pytest.approx(204_800e-6))


def test_a_linear_layer_of_a_large_net_is_bound_by_its_weights() -> None:
    net = profile(nn.Linear(100, 100, bias=False), (100,))
    (floor,) = floors(net.layers, MACHINE)
    assert floor is not None
    # 40,000 bytes of weights come from memory; 800 bytes of activations from L1; 10,000 multiply-adds.
    assert floor.memory_ms == pytest.approx((40_000 + 800 / 8) * 1e-6)
    assert floor.bound == "memory"
    assert floor.ms == floor.memory_ms > floor.compute_ms == pytest.approx(10_000e-6)


def test_bytes_follow_the_dtype() -> None:
    single, half = profile(NET, (8, 10, 10)), profile(NET.half(), (8, 10, 10))
    NET.float()
    assert single.memory_bytes == 4 * single.memory_access
    assert half.memory_bytes == 2 * half.memory_access == single.memory_bytes // 2
    assert [layer.weight_bytes for layer in single.layers] == [512, 0, 576]
    assert single.layers[0].intensity == pytest.approx(12_800 / (9600 + 512))
