"""Micro-factorised convolutions: Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, sections 3.1 and 3.2."""

from torch import Tensor, nn

from pumice.nn.shuffle import ChannelShuffle


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


class FactorisedPointwise(nn.Module):
    """y = norm(P S(norm(Q x))): (N, C, H, W) -> (N, O, H, W); section 3.1, without the activations of its blocks.

    Q squeezes C to `hidden` channels in G1 groups, S shuffles them, P expands them to O in G2.  Where G1 * G2 is
    `hidden`, each output sees each input by one path, for C * hidden / G1 + hidden * O / G2 multiply-adds a pixel.

    groups: (G1, G2).  norm: False leaves the norms out and gives P a bias instead, for maps of a single pixel.

    >>> FactorisedPointwise(576, 96, 240, (8, 12))(torch.rand(1, 576, 14, 14)).shape
    torch.Size([1, 240, 14, 14])
    """

    def __init__(self, channels: int, hidden: int, out_channels: int, groups: tuple[int, int], norm: bool = True):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1, groups=groups[0], bias=False)
        self.squeeze_norm = nn.BatchNorm2d(hidden) if norm else nn.Identity()
        self.shuffle = ChannelShuffle(groups[0])
        self.expand = nn.Conv2d(hidden, out_channels, 1, groups=groups[1], bias=not norm)
        self.expand_norm = nn.BatchNorm2d(out_channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        return self.expand_norm(self.expand(self.shuffle(self.squeeze_norm(self.squeeze(x)))))
