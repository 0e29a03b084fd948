"""Dynamic ReLU: Chen et al., "Dynamic ReLU", ECCV 2020, arXiv:2003.10027, the form without spatial attention (B).

From the authors' code (DyReLU in github.com/microsoft/DynamicHead): the gate is the hard sigmoid.
"""

import torch
from torch import Tensor, nn


class DynamicReLU(nn.Module):
    """y_i = max_k (a_ik(x) * x_i + b_ik(x)): (N, C, H, W) -> the same shape.

    a_k = a0_k + span_a * t, b_k = span_b * t, with t = 2 * h_sigmoid(W2 ReLU(W1 mean_hw(x))) - 1: 2KC values, ordered
    a_1, b_1, a_2, b_2, ...

    squeeze: hidden width of the coefficient net.  a0: K values; (1, 0) starts as ReLU.  spans: of slopes and offsets.

    >>> DynamicReLU(64, 8)(torch.rand(1, 64, 14, 14)).shape
    torch.Size([1, 64, 14, 14])
    """

    def __init__(
        self,
        channels: int,
        squeeze: int,
        a0: tuple[float, ...] = (1.0, 0.0),
        spans: tuple[float, float] = (1.0, 0.5),
    ) -> None:
        super().__init__()
        self.channels, self.terms = channels, len(a0)
        self.squeeze = nn.Linear(channels, squeeze)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(squeeze, 2 * self.terms * channels)
        self.gate = nn.Hardsigmoid()
        starts = [value for slope in a0 for value in (slope, 0.0)]
        self.register_buffer("start", torch.tensor(starts).view(1, -1, 1), persistent=False)
        self.register_buffer("span", torch.tensor(spans * self.terms).view(1, -1, 1), persistent=False)
        self.start: Tensor
        self.span: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        n, c, count = x.shape[0], x.shape[1], 2 * self.terms
        t = 2 * self.gate(self.excite(self.relu(self.squeeze(x.mean((2, 3)))))) - 1
        slopes_offsets = (self.start + self.span * t.view(n, count, c)).view(n, count * c, 1, 1).chunk(count, 1)
        y = slopes_offsets[0] * x + slopes_offsets[1]
        for k in range(2, count, 2):
            y = torch.maximum(y, slopes_offsets[k] * x + slopes_offsets[k + 1])
        return y

    def extra_madds(self, input_shape: tuple[int, ...]) -> int:
        """Applying the slopes, K multiplications an element."""
        n, c, h, w = input_shape
        return self.terms * n * c * h * w

    def extra_repr(self) -> str:
        """channels, K."""
        return f"{self.channels}, K={self.terms}"
