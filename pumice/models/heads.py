"""From the last feature map to logits: the heads that families share, and what every head promises."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pumice.nn.activation import Activation, activation


class Head(nn.Module, ABC):
    """A classification head.

    num_features: width of what `forward(x, pre_logits=True)` returns.
    classifier: the last layer with weights; nn.Identity when the net has no classes.
    """

    num_features: int
    classifier: nn.Module

    @abstractmethod
    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> logits (N, classes), or (N, num_features) before the classifier."""

    @abstractmethod
    def reset(self, num_classes: int) -> None:
        """Replace the classifier by a new one; 0 classes leave none."""


class DenseHead(nn.Module, ABC):
    """The head of a net whose output is no single vector an image: segmentation, detection.

    classifier: the last layer with weights that depends on the classes.
    """

    classifier: nn.Module

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> Tensor:
        """The encoder's maps, finest first -> (N, classes, H, W), or a detector's (N, boxes, 4 + classes)."""

    @abstractmethod
    def reset(self, num_classes: int) -> None:
        """Replace what depends on the classes.

        Raises:
            BadInput: the head cannot have so few.
        """

    def decoding(self, height: int, width: int) -> dict[str, Any]:
        """How the output for an input of that size is read, as JSON values; {} where it says all by itself."""
        return {}

    def decoding_on(self, maps: Sequence[tuple[int, int]], height: int, width: int) -> dict[str, Any]:
        """The same, for a head that must know the height and width of the encoder's maps, finest first."""
        return self.decoding(height, width)


class HeadRow(ABC):
    """The last line of a paper's table: a frozen record that builds its head."""

    @abstractmethod
    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """The head; drop_rate None is the paper's own."""


class PoolLinearHead(Head):
    """logits = W dropout(mean_hw(x)) (+ b): (N, C, H, W) -> (N, classes)."""

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float, bias: bool) -> None:
        super().__init__()
        self.num_features, self.bias = in_channels, bias
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer, N(0, 0.01)."""
        self.classifier = linear(self.num_features, num_classes, self.bias)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.dropout(self.flatten(self.pool(x)))
        return x if pre_logits else self.classifier(x)


class PoolHiddenLinearHead(Head):
    """logits = W2 dropout(act(W1 mean_hw(x) + b1)) + b2: (N, C, H, W) -> (N, classes).

    MobileNetV3's efficient last stage (its figure 5), after the 1 x 1 convolution.
    """

    def __init__(self, in_channels: int, num_classes: int, hidden: int, act: Activation, drop_rate: float) -> None:
        super().__init__()
        self.num_features = hidden
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.hidden = nn.Linear(in_channels, hidden)
        self.act = activation(act)
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer."""
        self.classifier = linear(self.num_features, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.dropout(self.act(self.hidden(self.flatten(self.pool(x)))))
        return x if pre_logits else self.classifier(x)


def linear(in_features: int, num_classes: int, bias: bool = True) -> nn.Module:
    """A linear classifier with weights N(0, 0.01) and bias 0; none for 0 classes."""
    if num_classes == 0:
        return nn.Identity()
    layer = nn.Linear(in_features, num_classes, bias)
    nn.init.normal_(layer.weight, 0.0, 0.01)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True)
class PoolLinear(HeadRow):
    """Global average pool, dropout, linear."""

    drop_rate: float = 0.0
    bias: bool = True

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """PoolLinearHead."""
        return PoolLinearHead(in_channels, num_classes, self.drop_rate if drop_rate is None else drop_rate, self.bias)


@dataclass(frozen=True)
class PoolHiddenLinear(HeadRow):
    """Pool, a hidden layer, the classifier."""

    hidden: int
    act: Activation
    drop_rate: float = 0.2

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """PoolHiddenLinearHead."""
        rate = self.drop_rate if drop_rate is None else drop_rate
        return PoolHiddenLinearHead(in_channels, num_classes, self.hidden, self.act, rate)
