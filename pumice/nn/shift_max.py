"""Dynamic Shift-Max: Li et al., "MicroNet", ICCV 2021, arXiv:2108.05894, section 4, as the authors released it.

The release (github.com/liyunsheng13/micronet, commit ed89b26) differs from the paper in three ways, and is followed:
the shifted copy is also rolled by one inside each group, K = 1 applies no ReLU, and coefficients span [-2, 2].
"""

import torch
from torch import Tensor, nn


class DynamicShiftMax(nn.Module):
    """y_i = max_k (a_ik(x) * x_i + b_ik(x) * x_shift(i)): (N, C, H, W) -> the same shape, J = 2.

    Channels are seen as (G, C / G); shift([g, c]) = [g + 1 mod G, c + 1 mod C / G].
    The 2KC coefficients are 4 * (h_sigmoid(W2 ReLU(W1 mean_hw(x))) - 1/2) plus the starting values a0, b0.

    groups: G.  squeeze: hidden width of the coefficient net.  a0, b0: K values each.

    >>> DynamicShiftMax(64, 4, 8, a0=(1, 1), b0=(0, 0))(torch.rand(1, 64, 14, 14)).shape
    torch.Size([1, 64, 14, 14])
    """

    channel_rule = "freeze"

    def __init__(
        self, channels: int, groups: int, squeeze: int, a0: tuple[float, ...] = (1,), b0: tuple[float, ...] = (0,)
    ) -> None:
        super().__init__()
        self.channels, self.groups, self.terms = channels, groups, len(a0)
        self.squeeze = nn.Linear(channels, squeeze)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(squeeze, 2 * self.terms * channels)
        self.gate = nn.Hardsigmoid()
        starts = [value for pair in zip(a0, b0, strict=True) for value in pair]
        self.register_buffer("start", torch.tensor(starts).view(1, -1, 1), persistent=False)
        shifted = torch.arange(channels).view(groups, channels // groups).roll((-1, -1), (0, 1)).flatten()
        self.register_buffer("shift", shifted, persistent=False)
        self.start: Tensor
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        n, c = x.shape[:2]
        y = self.gate(self.excite(self.relu(self.squeeze(x.mean((2, 3))))))
        y = 4 * (y - 0.5)
        coefficients = (
            (y.view(n, 2 * self.terms, c) + self.start).view(n, 2 * self.terms * c, 1, 1).chunk(2 * self.terms, 1)
        )
        shifted = x.index_select(1, self.shift)
        first = coefficients[0] * x + coefficients[1] * shifted
        if self.terms == 1:
            return first
        return torch.maximum(first, coefficients[2] * x + coefficients[3] * shifted)

    def extra_madds(self, input_shape: tuple[int, ...]) -> int:
        """Applying the coefficients, 2K multiplications an element: the paper counts them, hooks miss them."""
        n, c, h, w = input_shape
        return 2 * self.terms * n * c * h * w

    def extra_repr(self) -> str:
        """channels, groups, K."""
        return f"{self.channels}, groups={self.groups}, K={self.terms}"
