"""Channel shuffle: Zhang et al., "ShuffleNet", CVPR 2018, arXiv:1707.01083, section 3.1."""

from torch import Tensor, nn


class ChannelShuffle(nn.Module):
    """out[:, j * g + i] = in[:, i * (C / g) + j]: channels seen as (g, C / g), transposed, flattened.

    >>> ChannelShuffle(2)(torch.arange(6.0).view(1, 6, 1, 1)).flatten()
    tensor([0., 3., 1., 4., 2., 5.])
    """

    channel_rule = "freeze"

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)

    def extra_repr(self) -> str:
        """groups."""
        return f"groups={self.groups}"
