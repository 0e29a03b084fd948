"""Convolutions whose kernels the network computes from the image, against torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput
from pumice.native.read import read
from pumice.nn.cond_conv import CondConv
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv, WeightNetDepthwise
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, agree

Parts = dict[str, Callable[[Tensor], Tensor]]


class Weighted(nn.Module):
    """A WeightNet behind what it squeezes."""

    def __init__(self, channels: int, conv: WeightNetConv) -> None:
        super().__init__()
        self.squeeze, self.conv = BlockSqueeze(channels), conv

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x, self.squeeze(x)))


@st.composite
def layers(draw: st.DrawFn, channels: int) -> Parts:
    kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    outputs = draw(st.integers(1, 20))
    dense = WeightNetConv(channels, outputs, kernel, stride, squeeze=16, m=4, g=2)
    return {
        f"dense {kernel} {stride} {outputs}": Weighted(channels, dense),
        "single pixels": Weighted(channels, WeightNetConv(channels, outputs, 1, squeeze=16)),
        f"depthwise {kernel} {stride}": Weighted(channels, WeightNetDepthwise(channels, kernel, stride, squeeze=16)),
        f"mixed {kernel} {stride} {outputs}": CondConv(channels, outputs, kernel, stride, experts=3),
        "depthwise in place": Weighted(channels, WeightNetDepthwise(channels, 3, squeeze=16)),
    }


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=2)
@given(st.data())
def test_weight_net(flags: str, data: st.DataObject) -> None:
    channels = 2 * data.draw(st.integers(1, 5))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    size = (channels, data.draw(st.integers(2, 9)), data.draw(st.integers(2, 30)))
    agree(data.draw(layers(channels)), size, FLAGS[flags])


def test_kernels_of_many_weights_and_weights_in_another_order() -> None:
    torch.manual_seed(1)
    many = Weighted(20, WeightNetConv(20, 13, 3, squeeze=16, m=4, g=2))

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Linear(20, 700)

        def forward(self, x: Tensor) -> Tensor:
            kernels = torch.sigmoid(self.f(x.mean((2, 3)))).view(20, 35, 1, 1).transpose(0, 1)
            return functional.conv2d(x, kernels) * 2

    for flags in FLAGS.values():
        agree({"many": many, "turned": Turned(), "grouped": Kept(many)}, (20, 5, 11), flags)


class Kept(nn.Module):
    """The numbers of a kernel, with something done to them."""

    def __init__(self, weighted: Weighted) -> None:
        super().__init__()
        self.weighted = weighted

    def forward(self, x: Tensor) -> Tensor:
        conv = self.weighted.conv
        made = conv.generate(conv.gate(conv.attend(self.weighted.squeeze(x))))
        return functional.relu(made) - torch.linspace(0, 1, made.shape[1]).to(x).view(1, -1, 1, 1)


def test_computed_bias_is_refused() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.conv.weight, x.mean((2, 3))[0])

    with pytest.raises(BadInput, match="conv2d whose bias is computed"):
        read(Biased().eval(), (4, 6, 6))
