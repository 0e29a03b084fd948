"""CondConv: Yang et al., "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
arXiv:1904.04971."""

import math

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.nn.weight_net import sample_conv2d


class CondConv(nn.Module):
    """A convolution whose kernel is mixed from experts: (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    a = sigmoid(R mean_hw(x) + r)         (N, experts), section 3
    y[n] = conv(x[n], sum_e a[n, e] K_e)  one convolution, the same as the sum of the experts' ones

    >>> CondConv(16, 32, 3, stride=2, experts=4)(torch.rand(2, 16, 28, 28)).shape
    torch.Size([2, 32, 14, 14])
    """

    channel_rule = "freeze"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        *,
        experts: int = 8,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if experts < 1 or in_channels % groups or out_channels % groups:
            raise BadInput(
                f"a CondConv of {experts} experts from {in_channels} to {out_channels} channels in {groups} groups is "
                "impossible; it needs an expert, and groups that divide both widths"
            )
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = dilation * (kernel_size // 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.route = nn.Linear(in_channels, experts)
        self.gate = nn.Sigmoid()
        self.weight = nn.Parameter(torch.empty(experts, *self.shape))
        nn.init.normal_(self.weight, 0.0, math.sqrt(2 / math.prod(self.shape[1:])))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        a = self.gate(self.route(self.flatten(self.pool(x))))
        kernels = (a @ self.weight.flatten(1)).view(x.shape[0], *self.shape)
        return sample_conv2d(x, kernels, self.stride, self.padding, self.dilation, self.groups)
