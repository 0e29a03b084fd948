"""Channel-wise convolutions against sums written out, with TensorFlow's SAME padding."""

import pytest
import torch
from torch import Tensor

from pumice.cost.count import profile
from pumice.nn.channelwise import (
    ChannelwiseConv,
    ConvClassifier,
    DepthwiseSeparableChannelwise,
    GroupChannelwiseConv,
)


def same(size: int, kernel: int, stride: int) -> int:
    """What TensorFlow's SAME rule pads before an axis of that size."""
    return max(0, (-(-size // stride) - 1) * stride + kernel - size) // 2


def slide(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """One kernel along the channels: (C, H, W) -> (ceil(C / stride), H, W)."""
    channels, before = x.shape[0], same(x.shape[0], len(kernel), stride)
    rows = []
    for c in range(-(-channels // stride)):
        places = [(i, c * stride + i - before) for i in range(len(kernel))]
        rows.append(sum(kernel[i] * x[p] for i, p in places if 0 <= p < channels))
    return torch.stack(rows)


@pytest.mark.parametrize("kernel_size", [1, 4, 7, 64])
def test_a_channelwise_convolution_is_its_sum(kernel_size: int) -> None:
    layer = ChannelwiseConv(kernel_size).double()
    x = torch.randn(2, 40, 3, 2).double()
    expected = torch.stack([slide(image, layer.conv.weight.flatten(), 1) for image in x])
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_a_group_channelwise_convolution_is_its_sums(groups: int) -> None:
    layer = GroupChannelwiseConv(groups).double()
    x = torch.randn(2, 24, 3, 2).double()
    y = layer(x)
    assert y.shape == x.shape
    for j in range(groups):  # group j of the output is kernel j's
        expected = torch.stack([slide(image, layer.conv.weight[j].flatten(), groups) for image in x])
        torch.testing.assert_close(y[:, j * 24 // groups : (j + 1) * 24 // groups], expected)


def test_the_classifier_is_its_sum() -> None:
    layer = ConvClassifier(12, 9, 3).double()
    x = torch.randn(2, 12, 3, 3).double()
    expected = torch.stack([(layer.weight[0, 0] * x[:, j : j + 4]).sum((1, 2, 3)) for j in range(9)], 1)
    torch.testing.assert_close(layer(x), expected)
    wide = torch.randn(2, 12, 4, 5).double()
    windows = [layer(wide[:, :, i : i + 3, j : j + 3]) for i in range(2) for j in range(3)]
    torch.testing.assert_close(layer(wide), torch.stack(windows).mean(0))


def test_they_cost_outputs_times_kernel() -> None:
    c, h, w = 256, 7, 5
    for layer, madds, params in (
        (ChannelwiseConv(64), c * h * w * 64, 64),
        (GroupChannelwiseConv(4), c * h * w * 16, 64),
        (DepthwiseSeparableChannelwise(c, 64), c * h * w * (9 + 64), 9 * c + 64),
        (ConvClassifier(c, 200, 5), 3 * 200 * 57 * 25, 57 * 25),
    ):
        found = profile(layer, (c, h, w))
        assert (found.madds, found.params) == (madds, params), layer
