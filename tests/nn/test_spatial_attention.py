"""Spatial attention against its equation, in a loop, and on what stands after it."""

import math

import pytest
import torch

from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.spatial_attention import SpatialAttention


def test_attention_is_its_equation() -> None:
    torch.manual_seed(0)
    layer = SpatialAttention(5, temperature=2.0).double()
    torch.nn.init.normal_(layer.conv.weight, std=3)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    found = layer(x)
    assert found.shape == (2, 1, 3, 4)
    limited = 0
    for n in range(2):
        z = torch.einsum("c,cij->ij", layer.conv.weight.detach()[0, :, 0, 0], x[n]).tolist()
        whole = sum(math.exp(value / 2) for line in z for value in line)
        for i in range(3):
            for j in range(4):
                pi = 12 / 3 * math.exp(z[i][j] / 2) / whole
                limited += pi > 1
                assert float(found[n, 0, i, j]) == pytest.approx(min(pi, 1), abs=1e-12)
    assert limited, "the limit must have been met"


def test_a_flat_map_has_a_third_everywhere() -> None:
    pi = SpatialAttention(4)(torch.ones(1, 4, 6, 10))
    torch.testing.assert_close(pi, torch.full((1, 1, 6, 10), 1 / 3))


def test_times_the_output_is_times_the_coefficients() -> None:
    torch.manual_seed(0)
    relu, attention = DynamicReLU(6, 4).double(), SpatialAttention(6, temperature=1.0).double()
    torch.nn.init.normal_(relu.excite.weight)
    x = torch.randn(1, 6, 4, 5, dtype=torch.float64)
    t = 2 * relu.gate(relu.excite(relu.relu(relu.squeeze(x.mean((2, 3)))))) - 1
    a1, b1, a2, b2 = t.view(1, 4, 6, 1, 1).unbind(1)
    a1, b1, a2, b2, pi = 1 + a1, b1 / 2, a2, b2 / 2, attention(x)
    torch.testing.assert_close(relu(x) * pi, torch.maximum(pi * a1 * x + pi * b1, pi * a2 * x + pi * b2))
