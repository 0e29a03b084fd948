"""Convolutions over depth as planar ones: ExecuTorch 1.5 writes the former, and fails when it runs them.

A kernel one pixel wide does not tell rows from columns, so each map is laid out as one row; a kernel as large as the
map sees each pixel at one place only, so pixels become channels.  Both are exact.
"""

import torch
from torch import Tensor, nn


def planar(network: nn.Module) -> nn.Module:
    """The same network, changed in place, without 3-D convolutions where a planar one says it.

    Weights are laid out here and not in `forward`, because XNNPACK wants them constant.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv3d) and _along_depth(module):
            module.add_module("planar", _Planar(module))
            module._conv_forward = lambda x, weight, bias, flat=module.planar: flat(x)  # type: ignore[method-assign, misc]
    return network


def _along_depth(conv: nn.Conv3d) -> bool:
    plain = conv.stride[1:] == (1, 1) and conv.dilation[1:] == (1, 1) and conv.padding_mode == "zeros"
    return plain and conv.groups == 1 and not isinstance(conv.padding, str) and conv.padding[1:] == (0, 0)


class _Planar(nn.Module):
    """(N, I, D, H, W) -> what the 3-D convolution answers."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.window = conv.kernel_size[1:]
        depth, pixels = conv.kernel_size[0], self.window[0] * self.window[1]
        self.conv = nn.Conv2d(
            conv.in_channels * pixels,
            conv.out_channels,
            (depth, 1),
            (conv.stride[0], 1),
            (int(conv.padding[0]), 0),
            (conv.dilation[0], 1),
            bias=conv.bias is not None,
        ).requires_grad_(False)
        weight = conv.weight.detach().permute(0, 1, 3, 4, 2)
        self.conv.to(weight.dtype)
        self.conv.weight.copy_(weight.reshape(self.conv.weight.shape))
        if conv.bias is not None and self.conv.bias is not None:
            self.conv.bias.copy_(conv.bias.detach())
        self.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        """Raises NotImplementedError where the kernel is smaller than the map and larger than a pixel."""
        if self.window == (1, 1):
            return torch.unflatten(self.conv(x.flatten(3)), 3, x.shape[3:])
        if x.shape[3:] != self.window:
            raise NotImplementedError("aten::conv3d")
        pixels = x.permute(0, 1, 3, 4, 2).flatten(1, 3)
        return self.conv(pixels[..., None])[..., None]
