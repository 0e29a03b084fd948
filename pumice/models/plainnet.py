"""A built network that is no chain of rows, with timm's interface."""

from collections.abc import Sequence

from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.heads import DenseHead
from pumice.models.manifest import ModelConfig
from pumice.models.net import FeatureInfo, Net
from pumice.models.spec import PlainSpec


class PlainNet(Net):
    """An encoder, then a head: (N, in_chans, H, W) -> logits (N, num_classes), or what a dense head makes."""

    def __init__(
        self,
        spec: PlainSpec,
        *,
        num_classes: int,
        in_chans: int = 3,
        output_stride: int = 32,
        drop_rate: float | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if output_stride != 32:
            raise BadInput(
                f"output_stride {output_stride} cannot be had: this net is no chain of blocks; leave it at 32"
            )
        self.spec, self.sides = spec, spec.sides
        self.in_chans, self.num_classes = in_chans, num_classes
        self.encoder = spec.encoder(in_chans)
        self.head = spec.head_on(self.encoder, num_classes, drop_rate)
        self.dense = isinstance(self.head, DenseHead)
        self.num_features = self.encoder.channels[-1] if isinstance(self.head, DenseHead) else self.head.num_features
        self.feature_info = FeatureInfo(
            {"num_chs": c, "reduction": r, "module": f"encoder.{i}"}
            for i, (c, r) in enumerate(zip(self.encoder.channels, self.encoder.reductions, strict=True))
        )
        self.start(spec.init, spec.bn_momentum, spec.bn_eps, drop_path_rate)

    def tell_widths(self) -> None:
        """The encoder's `channels` too."""
        super().tell_widths()
        self.encoder.channels = tuple(self.feature_info.channels())

    def forward_features(self, x: Tensor) -> Tensor | list[Tensor]:
        """(N, in_chans, H, W) -> the last map; all maps for a dense head."""
        maps = self.encoder(x)
        return maps if self.dense else maps[-1]

    def trunk(self, out_indices: Sequence[int] | None) -> "PlainTrunk":
        """The chosen maps; the whole encoder runs."""
        return PlainTrunk(self, out_indices)


class PlainTrunk(nn.Module):
    """The encoder of a net: (N, in_chans, H, W) -> a list of maps, finest first."""

    config: ModelConfig
    preprocess: Preprocess

    def __init__(self, net: PlainNet, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        self.taps = net.feature_info.positions(out_indices)
        self.feature_info = FeatureInfo(net.feature_info[i] for i in self.taps)
        self.encoder = net.encoder

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps."""
        maps = self.encoder(x)
        return [maps[i] for i in self.taps]
