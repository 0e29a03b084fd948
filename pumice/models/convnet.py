"""A built chain of rows with timm's interface."""

from collections.abc import Sequence

from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.models.heads import Head
from pumice.models.manifest import ModelConfig
from pumice.models.net import FeatureInfo, Net
from pumice.models.spec import NetSpec


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


class ConvNet(Net):
    """Rows, then a head: (N, in_chans, H, W) -> logits (N, num_classes)."""

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
        self.spec, self.sides = spec, spec.sides
        self.in_chans, self.num_classes = in_chans, num_classes
        self.blocks = nn.Sequential(*blocks)
        self.head: Head = spec.head.build(width, num_classes, drop_rate)
        self.num_features = self.head.num_features
        self.feature_info = feature_info(dilated, spec, in_chans)
        self.start(spec.init, spec.bn_momentum, spec.bn_eps, drop_path_rate)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> the last feature map."""
        return self.blocks(x)

    def trunk(self, out_indices: Sequence[int] | None) -> "FeatureNet":
        """The chosen maps, without the blocks after them."""
        return FeatureNet(self, out_indices)


class FeatureNet(nn.Module):
    """The trunk of a net: (N, in_chans, H, W) -> a list of maps, finest first.

    out_indices: which of the net's maps, negative from the end; None is all.
    """

    config: ModelConfig
    preprocess: Preprocess

    def __init__(self, net: ConvNet, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        self.feature_info = FeatureInfo(net.feature_info[i] for i in net.feature_info.positions(out_indices))
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
