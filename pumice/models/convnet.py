"""A built network with timm's interface."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.described import config_of, describe
from pumice.models.heads import Head
from pumice.models.manifest import ModelConfig
from pumice.models.spec import NetSpec
from pumice.nn.conv import set_norm
from pumice.nn.drop_path import set_drop_path
from pumice.nn.initialise import initialise


class FeatureInfo(list[dict[str, Any]]):
    """The maps that a net offers to dense tasks, one dict each: num_chs, reduction, module."""

    def channels(self) -> list[int]:
        """Width of each map."""
        return [info["num_chs"] for info in self]

    def reduction(self) -> list[int]:
        """Input pixels per pixel of each map."""
        return [info["reduction"] for info in self]

    def module_name(self) -> list[str]:
        """Path of the module that makes each map."""
        return [info["module"] for info in self]


def feature_info(spec: NetSpec, original: NetSpec, in_chans: int) -> FeatureInfo:
    """The last map before every stride of the net as published, so that dilation changes no choice of maps."""
    widths, width = [], in_chans
    for row in spec.rows:
        width = row.width(width)
        widths.append(width)
    ends = [
        i
        for i, reduction in enumerate(original.reductions())
        if i + 1 == len(original.rows) or original.reductions()[i + 1] != reduction
    ]
    reductions = spec.reductions()
    return FeatureInfo({"num_chs": widths[i], "reduction": reductions[i], "module": f"blocks.{i}"} for i in ends)


class ConvNet(nn.Module):
    """Rows, then a head: (N, in_chans, H, W) -> logits (N, num_classes).

    config: the arguments that rebuild it.  preprocess: how its input is made; replaced by that of loaded weights.
    """

    config: ModelConfig
    preprocess: Preprocess

    def __init__(
        self,
        spec: NetSpec,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        output_stride: int = 32,
        drop_rate: float | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        dilated = spec.dilated(output_stride)
        blocks, width = [], in_chans
        for row in dilated.rows:
            blocks.append(row.build(width))
            width = row.width(width)
        self.spec = spec
        self.num_classes = num_classes
        self.blocks = nn.Sequential(*blocks)
        self.head: Head = spec.head.build(width, num_classes, drop_rate)
        self.num_features = self.head.num_features
        self.feature_info = feature_info(dilated, spec, in_chans)
        initialise(self, spec.init)
        set_norm(self, momentum=spec.bn_momentum)
        if set_drop_path(self, drop_path_rate) == 0 and drop_path_rate > 0:
            raise BadInput("this net has no residual branches, so drop_path_rate must be 0")

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> the last feature map."""
        return self.blocks(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map -> logits (N, num_classes), or (N, num_features) before the classifier."""
        return self.head(x, pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer with weights."""
        return self.head.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one; 0 classes leave none, and the net returns pooled features."""
        self.head.reset(num_classes)
        self.num_classes = num_classes
        if (config := config_of(self)) is not None:
            describe(self, replace(config, num_classes=num_classes))


class FeatureNet(nn.Module):
    """The trunk of a net: (N, in_chans, H, W) -> a list of maps, finest first.

    out_indices: which of the net's maps, negative from the end; None is all.
    """

    config: ModelConfig
    preprocess: Preprocess

    def __init__(self, net: ConvNet, out_indices: tuple[int, ...] | None = None) -> None:
        super().__init__()
        count = len(net.feature_info)
        indices = tuple(range(count)) if out_indices is None else out_indices
        if not indices or any(not -count <= i < count for i in indices):
            raise BadInput(f"out_indices {indices} name no maps of this net's {count}; choose from 0 to {count - 1}")
        chosen = sorted({i % count for i in indices})
        self.feature_info = FeatureInfo(net.feature_info[i] for i in chosen)
        self.taps = [int(info["module"].removeprefix("blocks.")) for info in self.feature_info]
        self.blocks = net.blocks[: self.taps[-1] + 1]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps."""
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        return maps
