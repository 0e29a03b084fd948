"""Learned group convolution: Huang et al., "CondenseNet: An Efficient DenseNet using Learned Group Convolutions",
CVPR 2018, arXiv:1711.09224, section 3.

While training, a dense 1 x 1 convolution loses, group by group, the inputs that matter least to it; what is left of it
is a standard grouped convolution behind a selection of channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.nn.shuffle import ChannelShuffle


def stage_at(progress: float, condense_factor: int) -> int:
    """How many of the C - 1 prunings are due at a point of training in [0, 1]: one each 1 / (2 (C - 1)) of it.

    All are done at half of the training; the sparse net trains through the other half.

    >>> [stage_at(p, 4) for p in (0.0, 0.2, 0.4, 0.5, 1.0)]
    [0, 1, 2, 3, 3]
    """
    last = condense_factor - 1
    return next((stage for stage in range(last) if 2 * progress < (stage + 1) / last), last)


class SelectChannels(nn.Module):
    """y[:, i] = x[:, index[i]]: (N, C, ...) -> (N, len(index), ...).

    index: int64, saved with the weights; a channel may be chosen more than once or never.

    >>> SelectChannels(torch.tensor([2, 0]))(torch.tensor([[5.0, 6.0, 7.0]]))
    tensor([[7., 5.]])
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, len(index), ...)."""
        return x.index_select(1, self.index)

    def extra_repr(self) -> str:
        """Number of channels."""
        return f"{len(self.index)}"


class MaskedConv2d(nn.Conv2d):
    """y = (W * mask) x + b: a convolution some of whose weights are held at zero.

    mask: 0 and 1 in the shape of W, saved with it.  A masked weight gets no gradient, but an optimiser may still move
    it by weight decay or momentum: it does not count.

    >>> conv = MaskedConv2d(2, 1, 1, bias=False)
    >>> _ = conv.mask.zero_()
    >>> conv(torch.rand(1, 2, 1, 1)).item()
    0.0
    """

    channel_rule = "freeze"
    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias)
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        return F.conv2d(x, self.weight * self.mask, self.bias)


class LearnedGroupConv(nn.Module):
    """Learned group convolution, the form that learns.  (N, I, H, W) -> (N, O, H, W).

    y = (W * mask) dropout(ReLU(norm(x)))

    W is dense, 1 x 1.  Output row r belongs to group r mod G.  In each of C - 1 prunings every group gives up the I / C
    inputs of its own that are least important to it, by the sum of |W| over its rows, so that I / C remain.  Groups
    choose apart: an input may stay with several of them, or with none.

    groups: G.  condense_factor: C.  dropout: rate before the convolution.
    count: inputs that each group has given up; with the mask, all that a resumed training needs.

    >>> layer = LearnedGroupConv(16, 32, groups=4, condense_factor=4)
    >>> layer.prune(3)
    >>> layer.conv.mask.mean().item()
    0.25
    >>> layer.condensed().conv
    Conv2d(16, 32, kernel_size=(1, 1), stride=(1, 1), groups=4, bias=False)
    """

    count: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, condense_factor: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check(in_channels, out_channels, groups, condense_factor)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups, self.condense_factor = groups, condense_factor
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.norm = nn.BatchNorm2d(in_channels)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv = MaskedConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H, W)."""
        return self.conv(self.dropout(self.act(self.norm(x))))

    @property
    def stage(self) -> int:
        """Prunings done, 0 to C - 1."""
        return int(self.count) * self.condense_factor // self.in_channels

    def by_group(self, values: Tensor) -> Tensor:
        """(O, I, 1, 1) -> (O / G, G, I): rows of a group along the first axis."""
        return values.reshape(-1, self.groups, self.in_channels)

    @torch.no_grad()
    def prune(self, stage: int) -> None:
        """Do the prunings that are missing up to number `stage`, all at once."""
        done, due = int(self.count), stage * (self.in_channels // self.condense_factor)
        if due <= done:
            return
        importance = self.by_group(self.conv.weight * self.conv.mask).abs().sum(0)
        gone = self.by_group(self.conv.mask)[0] == 0  # first in line, before inputs whose weights happen to be zero
        order = importance.masked_fill(gone, -1.0).sort(dim=1, stable=True).indices
        given_up = order[:, :due].expand(self.out_channels // self.groups, -1, -1)
        mask = self.by_group(self.conv.mask).scatter(2, given_up, 0.0)
        self.conv.mask.copy_(mask.reshape(self.conv.mask.shape))
        self.count.fill_(due)

    def lasso(self) -> Tensor:
        """sum over groups and inputs of sqrt(max(1e-6, sum over the group's rows of W^2)), masked; a scalar.

        0 from pruning number G - 1 on, as in the authors' code, which compares the count of prunings with G, not C:
        with G above C it never ends, with G below C it ends before the last prunings.  An input given up adds 1e-3, and
        no gradient.
        """
        if self.stage >= self.groups - 1:
            return self.conv.weight.new_zeros(())
        squares = self.by_group(self.conv.weight * self.conv.mask).square().sum(0)
        return squares.clamp(min=1e-6).sqrt().sum()

    @torch.no_grad()
    def condensed(self) -> "CondensedConv":
        """The same function as a selection of channels and a grouped convolution.

        Raises:
            BadInput: prunings are missing.
        """
        g, kept = self.groups, self.in_channels // self.condense_factor
        mask = self.by_group(self.conv.mask)[0] != 0
        if not bool((mask.sum(1) == kept).all()):
            raise BadInput(
                f"a convolution has done {self.stage} of its {self.condense_factor - 1} prunings; "
                "condense a net after half of its training, or prune it with set_progress(net, 1)"
            )
        columns = mask.nonzero()[:, 1].view(g, kept)
        index = columns.flatten()
        rate = self.dropout.p if isinstance(self.dropout, nn.Dropout) else 0.0
        new = CondensedConv(self.in_channels, self.out_channels, g, self.condense_factor, rate).to(self.conv.weight)
        new.select.index.copy_(index)
        own = self.norm.state_dict()
        new.norm.load_state_dict({key: value[index] if value.ndim else value for key, value in own.items()})
        new.norm.eps, new.norm.momentum = self.norm.eps, self.norm.momentum
        rows = self.by_group(self.conv.weight).transpose(0, 1)  # (G, O / G, I)
        weight = rows.gather(2, columns[:, None].expand(-1, self.out_channels // g, -1))
        new.conv.weight.copy_(weight.reshape(new.conv.weight.shape))
        return new.train(self.training)

    def extra_repr(self) -> str:
        """G and C."""
        return f"groups={self.groups}, condense_factor={self.condense_factor}"


class CondensedConv(nn.Module):
    """Learned group convolution, the form that runs.  (N, I, H, W) -> (N, O, H, W).

    y = S(conv_1x1(dropout(ReLU(norm(x[:, index])))))    I -> I' = I G / C -> O, in G groups; S shuffles G channels

    A fresh one, not made by `LearnedGroupConv.condensed`, gives group g the inputs g, g + C, g + 2C, ...

    >>> CondensedConv(16, 32, groups=4, condense_factor=4)(torch.rand(1, 16, 7, 7)).shape
    torch.Size([1, 32, 7, 7])
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, condense_factor: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check(in_channels, out_channels, groups, condense_factor)
        inputs = torch.arange(in_channels).view(-1, condense_factor).t()
        index = inputs[torch.arange(groups) % condense_factor].flatten()
        self.select = SelectChannels(index)
        self.norm = nn.BatchNorm2d(len(index))
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv = nn.Conv2d(len(index), out_channels, 1, groups=groups, bias=False)
        self.shuffle = ChannelShuffle(groups)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H, W)."""
        return self.shuffle(self.conv(self.dropout(self.act(self.norm(self.select(x))))))


def check(in_channels: int, out_channels: int, groups: int, condense_factor: int) -> None:
    """
    Raises:
        BadInput: the channels cannot be shared out so.
    """
    if min(groups, condense_factor) < 1 or any(
        (in_channels % groups, in_channels % condense_factor, out_channels % groups)
    ):
        raise BadInput(
            f"a learned group convolution from {in_channels} to {out_channels} channels cannot have {groups} groups "
            f"and condensation factor {condense_factor}; groups must divide both widths, the factor the first"
        )
