"""Micro-factorised depthwise convolution: Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, section 3.2."""

from torch import Tensor, nn


class FactorisedDepthwise(nn.Module):
    """y = norm(conv_1xk(norm(conv_kx1(x)))): (N, C, H, W) -> (N, C * c1 * c2, ceil(H/s), ceil(W/s)).

    Both convolutions are depthwise with multipliers c1 and c2; there is no activation between.  A k x k kernel costs
    2k instead of k^2 multiply-adds a pixel.

    >>> FactorisedDepthwise(8, 3, 2, 2, 2)(torch.rand(1, 8, 56, 56)).shape
    torch.Size([1, 32, 28, 28])
    """

    def __init__(self, channels: int, kernel_size: int, stride: int = 1, c1: int = 1, c2: int = 1, dilation: int = 1):
        super().__init__()
        k, p, d = kernel_size, dilation * (kernel_size // 2), dilation
        mid, out = channels * c1, channels * c1 * c2
        self.vertical = nn.Conv2d(channels, mid, (k, 1), (stride, 1), (p, 0), (d, 1), groups=channels, bias=False)
        self.vertical_norm = nn.BatchNorm2d(mid)
        self.horizontal = nn.Conv2d(mid, out, (1, k), (1, stride), (0, p), (1, d), groups=mid, bias=False)
        self.horizontal_norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * c1 * c2, H/s, W/s)."""
        return self.horizontal_norm(self.horizontal(self.vertical_norm(self.vertical(x))))
