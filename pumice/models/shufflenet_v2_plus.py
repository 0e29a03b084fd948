"""ShuffleNetV2+, a later net of ShuffleNetV2's repository: units of Ma et al., "ShuffleNet V2", ECCV 2018,
arXiv:1807.11164.

From the authors' code (github.com/megvii-model/ShuffleNet-Series, ShuffleNetV2+): every number; no paper describes it.
Stage 1 has ReLU, the rest h-swish; stages 3 and 4 have SE with batch norm and without biases.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pumice.models.heads import Head, HeadRow, linear
from pumice.models.rows import Conv, Row
from pumice.models.shufflenet_v2_units import Unit
from pumice.models.spec import NetSpec, Variant
from pumice.nn.gate import SqueezeExcite

Size = Literal["small", "medium", "large"]


class PlusHead(Head):
    """(N, C, H, W) -> (N, classes).

    logits = W2 dropout(h_swish(W1 SE(mean_hw(x))))
    """

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.num_features = in_channels
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.se = SqueezeExcite(in_channels, in_channels // 4, norm=True)
        self.flatten = nn.Flatten(1)
        self.hidden = nn.Linear(in_channels, in_channels, bias=False)
        self.act = nn.Hardswish()
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer without bias."""
        self.classifier = linear(self.num_features, num_classes, bias=False)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.flatten(self.se(self.pool(x)))
        x = self.dropout(self.act(self.hidden(x)))
        return x if pre_logits else self.classifier(x)


@dataclass(frozen=True)
class PoolGateLinear(HeadRow):
    """Pool, SE, a hidden layer as wide, the classifier."""

    drop_rate: float = 0.2

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """PlusHead."""
        return PlusHead(in_channels, num_classes, self.drop_rate if drop_rate is None else drop_rate)


# fmt: off
WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "small":  (36, 104, 208, 416),
    "medium": (48, 128, 256, 512),
    "large":  (68, 168, 336, 672),
}
CHOICES = (  # the searched kernel of every unit: 0 is 3 x 3, 1 is 5 x 5, 2 is 7 x 7, 3 is Xception
    (0, 0, 3, 1),
    (1, 1, 0, 0),
    (2, 0, 2, 1, 1, 0, 2, 0),
    (2, 1, 3, 2),
)
# fmt: on


def plus(size: Size = "small") -> NetSpec:
    """ShuffleNetV2+."""
    rows: list[Row] = [Conv(3, 16, 2, "HS")]
    for i, (c, choices) in enumerate(zip(WIDTHS[size], CHOICES, strict=True)):
        for j, choice in enumerate(choices):
            unit = Unit(
                *(c, c // 2, 1 if j else 2, j == 0),
                kernel_size=3 if choice == 3 else 3 + 2 * choice,
                act="HS" if i else "RE",
                kind="xception" if choice == 3 else "plain",
                se="norm" if i > 1 else "none",
            )
            rows.append(unit)
    return NetSpec((*rows, Conv(1, 1280, 1, "HS")), PoolGateLinear(), init="shufflenet")


NOTE = "from the repository of ShuffleNetV2; no paper describes it"
VARIANTS = {
    "shufflenetv2plus_small": Variant(
        plus, {"size": "small"}, published="ShuffleNetV2+ Small", status="optional", note=NOTE
    ),
    "shufflenetv2plus_medium": Variant(
        plus, {"size": "medium"}, published="ShuffleNetV2+ Medium", status="optional", note=NOTE
    ),
    "shufflenetv2plus_large": Variant(
        plus, {"size": "large"}, published="ShuffleNetV2+ Large", status="optional", note=NOTE
    ),
}
