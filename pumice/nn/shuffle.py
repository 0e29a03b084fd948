"""Channel shuffle: Zhang et al., "ShuffleNet", CVPR 2018, arXiv:1707.01083, section 3.1; and the split that follows it
in ShuffleNetV2 (Ma et al., ECCV 2018, arXiv:1807.11164, figure 3c)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pumice.errors import BadInput


class ChannelShuffle(nn.Module):
    """out[:, j * g + i] = in[:, i * (C / g) + j]: channels seen as (g, C / g), transposed, flattened.

    order: None, or for each output the channel that it is, where a narrower net's channels fit no such table.

    >>> ChannelShuffle(2)(torch.arange(6.0).view(1, 6, 1, 1)).flatten()
    tensor([0., 3., 1., 4., 2., 5.])
    """

    channel_rule = "pass"
    order: Tensor | None

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.register_buffer("order", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if self.order is not None:
            return x.index_select(1, self.order)
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)

    def narrow(self, stays: Tensor, made: Tensor) -> None:
        """Shuffle only the channels that stay, into the order that they have among all."""
        before = self(torch.arange(len(stays)).view(1, -1, 1, 1)).flatten()
        order = (stays.cumsum(0) - 1)[before[stays[before]]]
        columns, self.order = max(1, len(stays) // self.groups), None
        for groups in (self.groups, len(order) // columns):
            if groups and len(order) % groups == 0:
                self.groups = groups
                if torch.equal(self(torch.arange(len(order)).view(1, -1, 1, 1)).flatten(), order):
                    return
        self.order = order

    def extra_repr(self) -> str:
        """groups, or how many channels an own order has."""
        return f"groups={self.groups}" if self.order is None else f"order of {len(self.order)}"


class ChannelSplit(nn.Module):
    """The parts of a map: (N, C, ...) -> (N, sizes[0], ...), (N, sizes[1], ...), ...

    >>> [part.shape[1] for part in ChannelSplit((2, 4))(torch.rand(1, 6, 7, 7))]
    [2, 4]
    """

    channel_rule = "pass"

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, C, ...) -> a map for each size."""
        return x.split(self.sizes, dim=1)

    def narrow(self, stays: Tensor, made: Tensor) -> None:
        """As many for each part as stay of it.

        Raises:
            BadInput: none do.
        """
        sizes = tuple(int(part.sum()) for part in stays.split(self.sizes))
        if 0 in sizes:
            raise BadInput(f"a split of {len(stays)} channels into {self.sizes} would have an empty part; keep more")
        self.sizes = sizes

    def extra_repr(self) -> str:
        """sizes."""
        return f"{self.sizes}"
