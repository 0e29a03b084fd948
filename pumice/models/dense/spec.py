"""A backbone and a head as a spec."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from pumice.models.dense.encoder import RowsEncoder, WholeEncoder
from pumice.models.dense.plan import HeadPlan
from pumice.models.heads import DenseHead, Head
from pumice.models.spec import Encoder, NetSpec, PlainSpec


@dataclass(frozen=True)
class DenseSpec(PlainSpec):
    """A head on a chain of rows, on the encoder of a net that is no chain, or on another library's trunk.

    trunk: makes the other library's `features_only` net from the channels of its input; None with a backbone of ours.
    """

    plan: HeadPlan
    backbone: NetSpec | PlainSpec | None = None
    trunk: Callable[[int], nn.Module] | None = None
    output_stride: int = 32

    def encoder(self, in_chans: int) -> Encoder:
        """RowsEncoder or WholeEncoder."""
        if isinstance(self.backbone, NetSpec):
            spec, taps = self.plan.taps(self.backbone)
            return RowsEncoder(self.plan.strided(spec, self.output_stride), taps, in_chans)
        if self.backbone is not None:
            trunk = self.backbone.encoder(in_chans)
            channels, reductions = trunk.channels, trunk.reductions
            return WholeEncoder(trunk, channels, reductions, self.plan.choose(reductions))
        assert self.trunk is not None
        theirs = self.trunk(in_chans)
        info: Any = theirs.feature_info
        channels, reductions = tuple(info.channels()), tuple(info.reduction())
        return WholeEncoder(theirs, channels, reductions, self.plan.choose(reductions))

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> Head | DenseHead:
        """The plan's head on maps of a backbone whose reductions are the usual ones, 2 and its doubles."""
        return self.plan.head(channels, tuple(2 ** (i + 1) for i in range(len(channels))), num_classes, drop_rate)

    def head_on(self, encoder: Encoder, num_classes: int, drop_rate: float | None) -> Head | DenseHead:
        """The plan's head."""
        return self.plan.head(encoder.channels, encoder.reductions, num_classes, drop_rate)


def on_backbone(plan: HeadPlan, backbone: NetSpec | PlainSpec, output_stride: int | None = None) -> DenseSpec:
    """A head on a network of ours, with the backbone's rules of starting weights and norms.

    output_stride: None is what the head asks for.
    """
    return DenseSpec(
        *(plan, backbone, None, plan.output_stride if output_stride is None else output_stride),
        init=backbone.init,
        bn_momentum=backbone.bn_momentum,
        bn_eps=backbone.bn_eps,
        sides=plan.sides,
    )
