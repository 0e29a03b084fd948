"""Interleaved and structured sparse convolutions against the matrices of their papers."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pumice.errors import BadInput
from pumice.nn.interleaved import InterleavedGroupConv
from pumice.nn.structured_sparse import StructuredSparseConv, balanced_sizes, balanced_weights


def blocks(weight: Tensor, groups: int) -> Tensor:
    """Weights of a 1 x 1 group convolution -> the dense matrix (O, C), one block a group."""
    return torch.block_diag(*weight.flatten(1).chunk(groups))


def turn(channels: int, last: int) -> Tensor:
    """The matrix that takes the last digit of a channel's number, of radix `last`, to the front."""
    matrix = torch.zeros(channels, channels, dtype=torch.float64)
    for channel in range(channels):
        rest, digit = divmod(channel, last)
        matrix[digit * (channels // last) + rest, channel] = 1
    return matrix


# ---- IGCV1


@pytest.mark.parametrize(("partitions", "members"), [(4, 3), (3, 4), (6, 2), (1, 6), (6, 1)])
def test_interleaved_group_convolution_is_its_equation(partitions: int, members: int) -> None:
    """y = P W_d P^T W_p x, P^T putting the members of one rank side by side."""
    torch.manual_seed(0)
    channels = partitions * members
    layer = InterleavedGroupConv(channels, channels, stride=2, primary_groups=partitions).double()
    x = torch.randn(2, channels, 7, 6, dtype=torch.float64)
    primary = F.conv2d(x, layer.primary.weight, None, 2, 1, groups=partitions)
    together = torch.tensor([p * members + m for m in range(members) for p in range(partitions)])
    mixed = torch.einsum("oc,nchw->nohw", blocks(layer.secondary.weight, members), primary[:, together])
    expected = torch.empty_like(mixed)
    expected[:, together] = mixed
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_every_output_of_an_interleaved_convolution_sees_every_input_once() -> None:
    layer = InterleavedGroupConv(24, 24, 1, primary_groups=6)
    for conv in (layer.primary, layer.secondary):
        torch.nn.init.ones_(conv.weight)
    assert torch.equal(layer(torch.eye(24).view(24, 24, 1, 1)).flatten(1), torch.ones(24, 24))
    assert sum(p.numel() for p in layer.parameters()) == 24 * 24 // 6 + 24 * 24 // 4, "G^2 (k^2 / L + 1 / M)"


def test_too_few_secondary_groups_still_reach_everything() -> None:
    """The builder's quirk in widening blocks: half as many groups, each with two channels of a primary group."""
    layer = InterleavedGroupConv(12, 24, 1, primary_groups=6, secondary_groups=2)
    for conv in (layer.primary, layer.secondary):
        torch.nn.init.ones_(conv.weight)
    paths = layer(torch.eye(12).view(12, 12, 1, 1)).flatten(1)
    assert torch.equal(paths, torch.full((12, 24), 2.0))


# ---- IGCV2


SIZES = [
    ((1, 8, 8), None),
    ((1, 2, 3, 4), None),
    ((3, 2, 4), None),
    ((1, 4, 4), (1, 4, 8)),
    ((1, 4, 8), (1, 8, 8)),
    ((2, 3, 5), (3, 5, 2)),
    ((1, 30), None),
    ((7,), None),
]


@pytest.mark.parametrize(("sizes", "outs"), SIZES)
def test_exactly_one_path_leads_from_every_input_to_every_output(
    sizes: tuple[int, ...], outs: tuple[int, ...] | None
) -> None:
    c, o = math.prod(sizes), math.prod(outs or sizes)
    layer = StructuredSparseConv(c, o, 1, sizes=sizes, out_sizes=outs)
    for p in layer.parameters():
        torch.nn.init.ones_(p)
    assert torch.equal(layer(torch.eye(c).view(c, c, 1, 1)).flatten(1), torch.ones(c, o))


@pytest.mark.parametrize(("sizes", "outs"), SIZES)
def test_structured_sparse_convolution_is_its_product(sizes: tuple[int, ...], outs: tuple[int, ...] | None) -> None:
    torch.manual_seed(0)
    c, o = math.prod(sizes), math.prod(outs or sizes)
    layer = StructuredSparseConv(c, o, 3, 2, sizes=sizes, out_sizes=outs).double()
    x = torch.randn(2, c, 9, 6, dtype=torch.float64)
    first, *others = list(layer.parameters())
    expected = F.conv2d(x, first, None, 2, 1, groups=c // sizes[0])
    matrix = turn(expected.shape[1], (outs or sizes)[0])
    for weight, k, out in zip(others, sizes[1:], (outs or sizes)[1:], strict=True):
        groups = matrix.shape[0] // k
        matrix = turn(groups * out, out) @ blocks(weight, groups) @ matrix
    assert matrix.shape[0] == o
    expected = torch.einsum("oc,nchw->nohw", matrix, expected)
    assert float(expected.detach().std()) > 0.01
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_dilation_is_that_of_the_spatial_factor() -> None:
    layer = StructuredSparseConv(6, 6, 3, dilation=2, sizes=(1, 2, 3))
    x = torch.randn(1, 6, 8, 9)
    spatial = F.conv2d(x, next(layer.parameters()), None, 1, 2, 2, groups=6)
    assert layer(x).shape == x.shape
    torch.testing.assert_close(layer.factors[0](x), spatial)


@pytest.mark.parametrize("channels", [12, 30, 64, 97, 144])
@pytest.mark.parametrize(("layers", "spatial"), [(1, 9), (2, 1), (3, 1), (3, 9), (4, 9)])
def test_balanced_sizes_are_the_cheapest(channels: int, layers: int, spatial: int) -> None:
    divisors = [k for k in range(1, channels + 1) if channels % k == 0]
    every = [sizes for sizes in itertools.product(divisors, repeat=layers) if math.prod(sizes) == channels]
    costs = {spatial * sizes[0] + sum(sizes[1:]) for sizes in every}
    found = balanced_sizes(channels, layers, spatial)
    assert math.prod(found) == channels
    assert spatial * found[0] + sum(found[1:]) == min(costs)
    assert len(costs) == 1 or max(costs) > min(costs)
    assert min(costs) >= balanced_weights(channels, layers, spatial) - 1e-9, "whole numbers cost at least as much"


def test_balance_where_divisors_allow_it() -> None:
    """S K_1 = K_2 = ... = K_L: 9 x 2 = 18 = 18, and the bound is met."""
    assert balanced_sizes(2 * 18 * 18, 3, spatial=9) == (2, 18, 18)
    assert balanced_weights(2 * 18 * 18, 3) == pytest.approx(3 * 18)
    assert balanced_sizes(4096, 3) == (16, 16, 16)


@pytest.mark.parametrize(("channels", "spatial"), [(64, 9), (512, 9), (729, 1), (1024, 25)])
def test_weights_are_fewest_at_the_logarithm_of_the_layers(channels: int, spatial: int) -> None:
    costs = {layers: balanced_weights(channels, layers, spatial) for layers in range(1, 20)}
    best = min(costs, key=costs.__getitem__)
    assert abs(best - math.log(spatial * channels)) < 1


def test_weights_of_real_layers_are_fewest_there_too() -> None:
    """729 = 3^6 channels, 1 x 1: log 729 = 6.6, and every group of 3."""
    counts = {}
    for layers in range(1, 9):
        sizes = balanced_sizes(729, layers)
        layer = StructuredSparseConv(729, 729, 1, sizes=sizes)
        counts[layers] = sum(p.numel() for p in layer.parameters())
        assert counts[layers] == 729 * sum(sizes)
    assert min(counts, key=counts.__getitem__) == 6
    assert (counts[1], counts[6]) == (729 * 729, 729 * 18)


@pytest.mark.parametrize(
    ("sizes", "outs"), [((1, 4, 4), None), ((1, 8, 8), (1, 8)), ((1, 8, 8), (1, 8, 4)), ((), None)]
)
def test_group_sizes_that_make_no_convolution(sizes: tuple[int, ...], outs: tuple[int, ...] | None) -> None:
    with pytest.raises(BadInput, match="must be as many as each other and have the products 64 and 64"):
        StructuredSparseConv(64, 64, sizes=sizes, out_sizes=outs)
