"""Interleaved group convolutions: Zhang et al., ICCV 2017, arXiv:1707.02725, section 3."""

from torch import Tensor, nn

from pumice.nn.shuffle import ChannelShuffle


class InterleavedGroupConv(nn.Module):
    """y = P W_d P^T W_p x: (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    W_p: the primary k x k convolution, in L groups.  P^T: channel shuffle by L, which brings the first channels of
    every primary group together, then the second ones, and so on.  W_d: the secondary 1 x 1 convolution, in S groups.
    P: shuffle by S, which undoes P^T when S = O / L.  Then every secondary group holds one channel of each primary
    group, so every output sees every input: two sparse matrices whose product is dense.  Nothing stands between them.

    primary_groups: L.  secondary_groups: S; None is O / L.

    >>> InterleavedGroupConv(48, 48, primary_groups=24)(torch.rand(1, 48, 32, 32)).shape
    torch.Size([1, 48, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        primary_groups: int,
        secondary_groups: int | None = None,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        c, o, k, first = in_channels, out_channels, kernel_size, primary_groups
        second = o // first if secondary_groups is None else secondary_groups
        padding = dilation * (k - 1) // 2
        self.primary = nn.Conv2d(c, o, k, stride, padding, dilation, groups=first, bias=False)
        self.apart = ChannelShuffle(first)
        self.secondary = nn.Conv2d(o, o, 1, groups=second, bias=False)
        self.back = ChannelShuffle(second)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.back(self.secondary(self.apart(self.primary(x))))
