"""Shift-Max: Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, section 4, dynamic and static.

form "released": as the authors' release (github.com/liyunsheng13/micronet, commit ed89b26) runs it; a shifted copy is
also rolled inside each group, and K = 1 applies no ReLU.  The release has J = 2 alone: a third copy continues its rule.
form "paper": copies are shifted by whole groups, and K = 1 applies a ReLU.
In either form coefficients span [-2, 2] around their start, as in the release; the paper does not say.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Form = Literal["released", "paper"]
Values = tuple[float, ...]


def sources(channels: int, groups: int, copies: int, form: Form) -> Tensor:
    """((J - 1) * C): the channel that each channel of the copies j = 1 .. J - 1 is taken from.

    Channels are seen as (G, C / G): "paper" [g, c] <- [g + j mod G, c], which is i <- i + j * C / G mod C;
    "released" [g, c] <- [g + j mod G, c + j mod C / G].
    """
    own = torch.arange(channels).view(groups, channels // groups)
    inside = form == "released"
    shifted = [own.roll((-j, -j * inside), (0, 1)).flatten() for j in range(1, copies)]
    return torch.cat([own.new_empty(0), *shifted])


def shift_max(x: Tensor, coefficients: Sequence[Tensor], shift: Tensor, copies: int) -> Tensor:
    """max_k sum_j coefficients[k * J + j] * x_j, x_0 = x: (N, C, H, W) -> the same shape."""
    moved = x.index_select(1, shift) if copies > 1 else x
    others = moved.chunk(copies - 1, 1) if copies > 2 else (moved,) * (copies - 1)
    best = None
    for first in range(0, len(coefficients), copies):
        y = coefficients[first] * x
        for coefficient, other in zip(coefficients[first + 1 : first + copies], others, strict=True):
            y = y + coefficient * other
        best = y if best is None else torch.maximum(best, y)
    assert best is not None
    return best


def interleaved(a0: Values, b0: Values | None, c0: Values) -> list[float]:
    """K values each -> a0[0], b0[0], c0[0], a0[1], ...; empty ones are left out, b0 None is zeros."""
    given = [values for values in (a0, len(a0) * (0.0,) if b0 is None else b0, c0) if values]
    return [value for candidate in zip(*given, strict=True) for value in candidate]


class Shifting:
    """What both kinds share.  copies: J.  terms: K.

    present: None, or 0 where a copy's channel is gone from a narrower net, as ((J - 1) C, 1, 1); elsewhere 1.
    """

    channel_rule = "in place"
    channels: int
    groups: int
    copies: int
    terms: int
    shift: Tensor
    present: Tensor | None
    rectifier: nn.Module | None

    def apply_to(self, x: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
        """JK coefficients, each to be broadcast over (N, C, H, W) -> the maximum, rectified if need be."""
        if self.present is not None:
            there = self.present.chunk(self.copies - 1)
            coefficients = [
                c * there[i % self.copies - 1] if i % self.copies else c for i, c in enumerate(coefficients)
            ]
        y = shift_max(x, coefficients, self.shift, self.copies)
        return y if self.rectifier is None else self.rectifier(y)

    def narrow(self, stays: Tensor, made: Tensor) -> None:
        """Number the channels that stay anew; a term whose channel is gone is zero."""
        own = (stays.cumsum(0) - 1).repeat(self.copies - 1)
        kept = stays.repeat(self.copies - 1)
        source = self.shift[kept]
        there = stays[source]
        if self.present is not None:
            there = there & (self.present.flatten()[kept] > 0)
        self.shift = torch.where(there, own[source], own[kept])
        self.present = None if bool(there.all()) else there.float().view(-1, 1, 1)
        self.channels = int(stays.sum())

    def extra_madds(self, input_shape: tuple[int, ...]) -> int:
        """Applying the coefficients, JK multiplications an element: the paper counts them, hooks miss them."""
        n, c, h, w = input_shape
        return self.copies * self.terms * n * c * h * w

    def extra_repr(self) -> str:
        """channels, groups, J, K."""
        return f"{self.channels}, groups={self.groups}, J={self.copies}, K={self.terms}"


class DynamicShiftMax(Shifting, nn.Module):
    """y_i = max_k (a_ik(x) * x_i + b_ik(x) * x_shift(i) + c_ik(x) * x_shift2(i)): (N, C, H, W) -> the same shape.

    The JKC coefficients are 4 * (h_sigmoid(W2 ReLU(W1 mean_hw(x))) - 1/2) plus the starting values a0, b0, c0.

    groups: G.  squeeze: hidden width of the coefficient net.  a0, b0, c0: K values each; empty ones have no term, so
    that their number is J; b0 None is zeros.  relu: after the maximum; None is the form's own: the paper's at K = 1.

    >>> DynamicShiftMax(64, 4, 8, a0=(1, 1), b0=(0, 0))(torch.rand(1, 64, 14, 14)).shape
    torch.Size([1, 64, 14, 14])
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        squeeze: int,
        a0: Values = (1,),
        b0: Values | None = None,
        c0: Values = (),
        *,
        form: Form = "released",
        relu: bool | None = None,
    ) -> None:
        super().__init__()
        starts = interleaved(a0, b0, c0)
        self.channels, self.groups, self.terms, self.copies = channels, groups, len(a0), len(starts) // len(a0)
        self.squeeze = nn.Linear(channels, squeeze)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(squeeze, len(starts) * channels)
        self.gate = nn.Hardsigmoid()
        self.rectifier = nn.ReLU() if (form == "paper" and self.terms == 1 if relu is None else relu) else None
        self.register_buffer("start", torch.tensor(starts).view(1, -1, 1), persistent=False)
        self.register_buffer("shift", sources(channels, groups, self.copies, form), persistent=False)
        self.register_buffer("present", None, persistent=False)
        self.start: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        n, c, jk = x.shape[0], x.shape[1], self.copies * self.terms
        y = self.gate(self.excite(self.relu(self.squeeze(x.mean((2, 3))))))
        y = 4 * (y - 0.5)
        return self.apply_to(x, (y.view(n, jk, c) + self.start).view(n, jk * c, 1, 1).chunk(jk, 1))


class StaticShiftMax(Shifting, nn.Module):
    """Dynamic Shift-Max whose coefficients are learned numbers, the same for every image: the paper's ablation.

    groups: G.  a0, b0, c0, form, relu: as there.  Two candidates that start equal would stay equal.

    >>> StaticShiftMax(64, 4, a0=(1, 0), b0=(0, 0))(torch.rand(1, 64, 14, 14)).shape
    torch.Size([1, 64, 14, 14])
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        a0: Values = (1,),
        b0: Values | None = None,
        c0: Values = (),
        *,
        form: Form = "released",
        relu: bool | None = None,
    ) -> None:
        super().__init__()
        starts = interleaved(a0, b0, c0)
        self.channels, self.groups, self.terms, self.copies = channels, groups, len(a0), len(starts) // len(a0)
        self.coefficients = nn.Parameter(torch.tensor(starts).float().view(-1, 1).repeat(1, channels))
        self.rectifier = nn.ReLU() if (form == "paper" and self.terms == 1 if relu is None else relu) else None
        self.register_buffer("shift", sources(channels, groups, self.copies, form), persistent=False)
        self.register_buffer("present", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        jk = self.copies * self.terms
        return self.apply_to(x, self.coefficients.view(1, jk * self.channels, 1, 1).chunk(jk, 1))
