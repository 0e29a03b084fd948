"""Squeeze-and-excitation: Hu et al., CVPR 2018, arXiv:1709.01507, with the gates that later families gave it."""

from typing import Literal

from torch import Tensor, nn

from pumice.nn.activation import Activation, activation

Gate = Literal["hard", "sigmoid"]


class SqueezeExcite(nn.Module):
    """y = x * gate(W2 act(W1 mean_hw(x))): (N, C, H, W) -> the same shape.

    squeeze: hidden width.  gate: "hard" is ReLU6(x + 3) / 6.
    norm: batch norm between W1 and act, and no biases (ShuffleNetV2+); without it both 1 x 1 convolutions have biases.

    >>> SqueezeExcite(64, 16)(torch.rand(1, 64, 7, 7)).shape
    torch.Size([1, 64, 7, 7])
    """

    def __init__(
        self, channels: int, squeeze: int, *, act: Activation = "RE", gate: Gate = "hard", norm: bool = False
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze, 1, bias=not norm)
        self.norm = nn.BatchNorm2d(squeeze) if norm else nn.Identity()
        self.act = activation(act)
        self.expand = nn.Conv2d(squeeze, channels, 1, bias=not norm)
        self.gate = nn.Hardsigmoid() if gate == "hard" else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return x * self.gate(self.expand(self.act(self.norm(self.reduce(self.pool(x))))))
