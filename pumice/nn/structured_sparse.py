"""Interleaved structured sparse convolutions: Xie et al., "IGCV2", CVPR 2018, arXiv:1804.06202, section 3."""

import math
from collections.abc import Iterator

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.nn.shuffle import ChannelShuffle


class StructuredSparseConv(nn.Module):
    """y = P_L W_L ... P_2 W_2 P_1 W_1 x: (N, C, H, W) -> (N, O, ceil(H/s), ceil(W/s)).

    W_1 is a k x k group convolution, W_2 to W_L are 1 x 1 group convolutions; W_l has K_l channels a group.  Read a
    channel's number as digits of the mixed radix (K_L, ..., K_2, K_1): W_l mixes the channels that differ in the last
    digit alone, and P_l takes that digit to the front.  After L turns every digit was mixed once and all are back in
    their places, so exactly one path leads from every input to every output (the complementary condition).  Nothing
    stands between the factors.

    sizes: K_1 ... K_L, whose product is C; K_1 = 1 is depthwise.  `balanced_sizes` gives the cheapest.
    out_sizes: what each group makes of its K_l channels, with product O; None is `sizes`.

    >>> StructuredSparseConv(64, 64, sizes=(1, 8, 8))(torch.rand(1, 64, 14, 14)).shape
    torch.Size([1, 64, 14, 14])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        sizes: tuple[int, ...],
        out_sizes: tuple[int, ...] | None = None,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        outs = sizes if out_sizes is None else out_sizes
        if (math.prod(sizes), math.prod(outs), len(sizes)) != (in_channels, out_channels, len(outs)):
            raise BadInput(
                f"group sizes {sizes} and {outs} must be as many as each other "
                f"and have the products {in_channels} and {out_channels}"
            )
        layers: list[nn.Module] = []
        width = in_channels
        for i, (k, o) in enumerate(zip(sizes, outs, strict=True)):
            size, step, rate = (kernel_size, stride, dilation) if i == 0 else (1, 1, 1)
            groups = width // k
            width = groups * o
            layers.append(
                nn.Conv2d(groups * k, width, size, step, rate * (size - 1) // 2, rate, groups=groups, bias=False)
            )
            if o > 1:
                layers.append(ChannelShuffle(groups))
        self.factors = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        return self.factors(x)


def balanced_sizes(channels: int, layers: int, spatial: int = 1) -> tuple[int, ...]:
    """K_1 ... K_layers: whole numbers with product `channels` that make spatial * K_1 + K_2 + ... + K_layers least.

    That sum is the weights of a structured sparse convolution per channel.  Over real numbers it is least, at
    `balanced_weights`, when all its terms are equal (the paper's balance condition); whole numbers come as near as the
    divisors of `channels` allow.

    spatial: pixels of the first factor's kernel.
    """
    splits = [(k, *rest) for k in _divisors(channels) for rest in _splits(channels // k, layers - 1)]
    return min(splits, key=lambda sizes: (spatial * sizes[0] + sum(sizes[1:]), sizes))


def balanced_weights(channels: int, layers: int, spatial: int = 9) -> float:
    """Weights per channel when every factor costs the same: L (S C)^(1 / L), least at L = log(S C)."""
    return layers * (spatial * channels) ** (1 / layers)


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def _splits(n: int, parts: int, least: int = 1) -> Iterator[tuple[int, ...]]:
    """Every way to write n as a product of whole numbers from `least` on, in ascending order."""
    if parts == 0:
        if n == 1:
            yield ()
    elif parts == 1:
        if n >= least:
            yield (n,)
    else:
        for k in _divisors(n):
            if k >= least and k**parts <= n:
                yield from ((k, *rest) for rest in _splits(n // k, parts - 1, k))
