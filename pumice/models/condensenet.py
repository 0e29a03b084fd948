"""CondenseNet: Huang et al., "CondenseNet: An Efficient DenseNet using Learned Group Convolutions", CVPR 2018,
arXiv:1711.09224.

From the paper and the authors' code (github.com/ShichenLiu/CondenseNet, commit 833a91d): every number in the tables,
the bottleneck of 4 times the growth, the growth that doubles from stage to stage, transitions that only pool.
A net has two forms.  `condensed=True` is the one that runs, and that is counted: grouped convolutions behind selections
of channels.  `condensed=False` is the one that learns which channels (`pumice.models.condense` leads from one to the
other).  The authors' conversion also keeps just the half of the classifier's inputs with the largest weights, which
changes what the net answers: classifier="half"; "full" keeps them all, and the answers.
The authors count an operation for every ReLU and pooled pixel, so their multiply-adds are higher.
The light nets come from the authors' densenet_LGC.py: constant growth, transitions that halve the width.  Their depths
are in the paper, their growth is in neither: see the notes.
Where silent: without its stride (output_stride) a stage drops the pool before it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import Head, HeadRow
from pumice.models.rows import Row
from pumice.models.spec import NetSpec, Variant
from pumice.nn.learned_group import CondensedConv, LearnedGroupConv, SelectChannels

Inputs = Literal["half", "full"]
BOTTLENECK = 4


@dataclass(frozen=True)
class Grouped(Row):
    """What every row with learned group convolutions has: G, C, which form, and the dropout before them."""

    groups: int
    condense_factor: int
    condensed: bool
    dropout: float

    def reduce(self, in_channels: int, out_channels: int) -> nn.Module:
        """A learned group convolution in the row's form."""
        kind = CondensedConv if self.condensed else LearnedGroupConv
        return kind(in_channels, out_channels, self.groups, self.condense_factor, self.dropout)


class DenseLayer(nn.Module):
    """Figure 1.  (N, C, H, W) -> (N, C + k, H, W).

    y = conv_3x3(ReLU(norm(learned_1x1(x))))    C -> 4k -> k, both convolutions in G groups
    return concat(x, y)
    """

    def __init__(self, in_channels: int, row: "DenseStage") -> None:
        super().__init__()
        hidden, d = BOTTLENECK * row.growth, row.dilation
        self.reduce = row.reduce(in_channels, hidden)
        self.norm = nn.BatchNorm2d(hidden)
        self.act = nn.ReLU()
        self.conv = nn.Conv2d(hidden, row.growth, 3, padding=d, dilation=d, groups=row.groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + k, H, W)."""
        return torch.cat((x, self.conv(self.act(self.norm(self.reduce(x))))), dim=1)


@dataclass(frozen=True)
class Stem(Row):
    """The first convolution, alone: the layers after it begin with a norm."""

    kernel_size: int
    out_channels: int
    stride: int

    def width(self, in_channels: int) -> int:
        """out_channels."""
        return self.out_channels

    def build(self, in_channels: int) -> nn.Module:
        """nn.Conv2d."""
        k, d = self.kernel_size, self.dilation
        return nn.Conv2d(in_channels, self.out_channels, k, self.stride, d * (k // 2), d, bias=False)


@dataclass(frozen=True)
class DenseStage(Grouped):
    """A pool, if there is a stride, and so many layers, each of which reads all before it."""

    layers: int
    growth: int
    stride: int

    def width(self, in_channels: int) -> int:
        """in_channels + layers * growth."""
        return in_channels + self.layers * self.growth

    def build(self, in_channels: int) -> nn.Module:
        """Pool and DenseLayers."""
        layers = (DenseLayer(in_channels + i * self.growth, self) for i in range(self.layers))
        return nn.Sequential(pool(self.stride), *layers)


@dataclass(frozen=True)
class Transition(Grouped):
    """The light nets' step between stages: a learned convolution to half the width, rounded up to G, and a pool."""

    stride: int

    def width(self, in_channels: int) -> int:
        """ceil(in_channels / 2), rounded up to a multiple of G."""
        return -(-((in_channels + 1) // 2) // self.groups) * self.groups

    def build(self, in_channels: int) -> nn.Module:
        """Convolution and pool."""
        return nn.Sequential(self.reduce(in_channels, self.width(in_channels)), pool(self.stride))


@dataclass(frozen=True)
class NormAct(Row):
    """The norm and ReLU behind the last layer."""

    stride: int = 1

    def width(self, in_channels: int) -> int:
        """in_channels."""
        return in_channels

    def build(self, in_channels: int) -> nn.Module:
        """Batch norm and ReLU."""
        return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())


def pool(stride: int) -> nn.Module:
    """The mean of stride x stride pixels; nothing at stride 1."""
    return nn.AvgPool2d(stride) if stride > 1 else nn.Identity()


class SelectLinearHead(Head):
    """logits = W dropout(f[index]) + b, f = mean_hw(x): (N, C, H, W) -> (N, classes).

    inputs: "half" selects C / 2 features (every other one of a fresh net), "full" takes all.
    """

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float, inputs: Inputs) -> None:
        super().__init__()
        self.num_features = in_channels // 2 if inputs == "half" else in_channels
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        index = torch.arange(self.num_features) * 2
        self.select = SelectChannels(index) if inputs == "half" else nn.Identity()
        self.dropout = nn.Dropout(drop_rate)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new linear layer, as torch draws it, with bias 0."""
        if num_classes == 0:
            self.classifier: nn.Module = nn.Identity()
            return
        layer = nn.Linear(self.num_features, num_classes)
        nn.init.zeros_(layer.bias)
        self.classifier = layer

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = self.dropout(self.select(self.flatten(self.pool(x))))
        return x if pre_logits else self.classifier(x)


@dataclass(frozen=True)
class SelectLinear(HeadRow):
    """Global average pool, a selection of features, linear."""

    inputs: Inputs
    drop_rate: float = 0.0

    def build(self, in_channels: int, num_classes: int, drop_rate: float | None) -> Head:
        """SelectLinearHead."""
        return SelectLinearHead(
            in_channels, num_classes, self.drop_rate if drop_rate is None else drop_rate, self.inputs
        )


IMAGENET = (4, 6, 8, 10, 8)  # layers of the stages
CIFAR = 3  # stages, all of the same depth


def condensenet(
    stem_stride: int,
    stages: tuple[tuple[int, int], ...],
    grouped: tuple[int, int, bool, float],
    classifier: Inputs,
    halving: bool = False,
) -> NetSpec:
    """A net from its stages' (layers, growth); `grouped` are the fields of `Grouped`.

    Raises:
        BadInput: the groups do not divide the growth, a stage is empty, or everything is dropped.
    """
    groups, condense_factor, condensed, dropout = grouped
    growth = stages[0][1]
    if min(growth, groups, condense_factor) < 1 or growth % groups or growth % condense_factor:
        raise BadInput(
            f"growth {growth} must be a multiple of groups ({groups}) and of condense_factor ({condense_factor})"
        )
    if stages[0][0] < 1 or dropout >= 1:
        raise BadInput(f"layers {stages[0][0]} and dropout {dropout} cannot be had; give at least 1 and less than 1")
    first, *rest = (
        DenseStage(*grouped, layers, k, 1 if i == 0 or halving else 2) for i, (layers, k) in enumerate(stages)
    )
    rows: list[Row] = [Stem(3, 2 * growth, stem_stride), first]
    for stage in rest:
        # The authors' transitions take no dropout.
        rows += [Transition(*grouped[:3], 0.0, stride=2), stage] if halving else [stage]
    head = SelectLinear(classifier if condensed else "full")
    return NetSpec((*rows, NormAct()), head, init="condensenet")


def imagenet(
    growth: int = 8,
    groups: int = 4,
    condense_factor: int = 4,
    condensed: bool = True,
    classifier: Inputs = "half",
    dropout: float = 0.0,
) -> NetSpec:
    """The nets for ImageNet: growth of the first stage, G, C, form, inputs of the condensed classifier, dropout."""
    stages = tuple((layers, growth * 2**i) for i, layers in enumerate(IMAGENET))
    return condensenet(2, stages, (groups, condense_factor, condensed, dropout), classifier)


def cifar(
    layers: int = 14,
    growth: int = 8,
    groups: int = 4,
    condense_factor: int = 4,
    condensed: bool = True,
    classifier: Inputs = "half",
    dropout: float = 0.0,
) -> NetSpec:
    """The nets of three stages for 32 x 32 pixels; the name's number is 6 * layers + 2."""
    stages = tuple((layers, growth * 2**i) for i in range(CIFAR))
    return condensenet(1, stages, (groups, condense_factor, condensed, dropout), classifier)


def light(
    layers: int = 15,
    growth: int = 16,
    groups: int = 4,
    condense_factor: int = 4,
    condensed: bool = True,
    classifier: Inputs = "full",
    dropout: float = 0.0,
) -> NetSpec:
    """DenseNet's plain layout; the name's number is 6 * layers + 4."""
    stages = ((layers, growth),) * CIFAR
    return condensenet(1, stages, (groups, condense_factor, condensed, dropout), classifier, halving=True)


def small(name: str, layers: int, growth: int = 8, note: str = "") -> Variant:
    """A CIFAR-10 net."""
    note = note or "the published size belongs to the net before its classifier is halved"
    options = {"layers": layers} if growth == 8 else {"layers": layers, "growth": growth}
    return Variant(cifar, options, published=name, input_size=32, num_classes=10, note=note)


VARIANTS = {
    "condensenet74_c4_g4": Variant(imagenet, published="condensenet74_c4_g4"),
    "condensenet74_c8_g8": Variant(imagenet, {"groups": 8, "condense_factor": 8}, published="condensenet74_c8_g8"),
    "condensenet50_cifar": small("condensenet50_cifar", 8),
    "condensenet74_cifar": small("condensenet74_cifar", 12),
    "condensenet86_cifar": small("condensenet86_cifar", 14),
    "condensenet98_cifar": small("condensenet98_cifar", 16),
    "condensenet110_cifar": small("condensenet110_cifar", 18),
    "condensenet122_cifar": small("condensenet122_cifar", 20),
    "condensenet182_cifar": small(
        "condensenet182_cifar_star",
        30,
        growth=12,
        note="trained for 600 epochs; the published size belongs to the net before its classifier is halved",
    ),
    "condensenet_light94_cifar": Variant(
        light,
        published="condensenet_light94_cifar",
        input_size=32,
        num_classes=10,
        status="reconstruction",
        note="three stages of 15 layers follow from the depth; the growth of 16 is inferred: with it the authors' own "
        "counter says 0.33 M parameters and 122 M operations, the figures remembered from the paper",
    ),
    "condensenet_light160_cifar": Variant(
        light,
        {"layers": 26, "growth": 32},
        published="condensenet_light160_cifar_star",
        input_size=32,
        num_classes=10,
        status="optional",
        note="the growth of 32 is a guess: 3.15 M parameters fit the 3.1 M remembered from the paper, but "
        "multiply-adds are 2.4 % above the published 1084 M",
    ),
}
