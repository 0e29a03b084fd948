"""What every built network promises: timm's interface, whether it is a chain of rows or not."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.described import config_of, describe
from pumice.models.heads import DenseHead, Head
from pumice.models.manifest import ModelConfig
from pumice.models.sides import Sides
from pumice.nn.conv import set_norm
from pumice.nn.drop_path import set_drop_path
from pumice.nn.initialise import Scheme, initialise

SIDE = 32  # pixels of an image that shows how wide maps are; more where a net does not take it


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

    def positions(self, out_indices: Sequence[int] | None) -> list[int]:
        """Which maps `out_indices` means, finest first: negative from the end, None all.

        Raises:
            BadInput: there is no such map.
        """
        count = len(self)
        indices = range(count) if out_indices is None else out_indices
        if not indices or any(not -count <= i < count for i in indices):
            raise BadInput(
                f"out_indices {tuple(indices)} name no maps of this net's {count}; choose from 0 to {count - 1}"
            )
        return sorted({i % count for i in indices})


class Net(nn.Module, ABC):
    """(N, in_chans, H, W) -> what its head makes of it: logits (N, num_classes) of a classifier.

    config: the arguments that rebuild it.  preprocess: how its input is made; replaced by that of loaded weights.
    """

    config: ModelConfig
    preprocess: Preprocess
    sides: Sides
    in_chans: int
    num_classes: int
    num_features: int
    feature_info: FeatureInfo
    head: Head | DenseHead

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor | list[Tensor]:
        """(N, in_chans, H, W) -> the last feature map; a dense net's head reads all of its maps."""

    @abstractmethod
    def trunk(self, out_indices: Sequence[int] | None) -> nn.Module:
        """The module (N, in_chans, H, W) -> list of the chosen maps, with `feature_info`; it shares the weights."""

    def forward_head(self, x: Tensor | list[Tensor], pre_logits: bool = False) -> Tensor:
        """What `forward_features` returned -> logits, or (N, num_features) before the classifier."""
        return self.head(x, pre_logits) if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, num_classes) of a classifier."""
        if not torch.compiler.is_exporting():  # an exported net is open to sizes that this check would close
            self.sides.check(x.shape[2], x.shape[3])
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer with weights."""
        return self.head.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one; 0 classes leave none, and a classifier returns pooled features."""
        with next(self.parameters()).device:
            self.head.reset(num_classes)
        self.num_classes = num_classes
        if (config := config_of(self)) is not None:
            describe(self, replace(config, num_classes=num_classes))

    def tell_widths(self) -> None:
        """Say how wide the net's maps and features are now: `feature_info` and `num_features`, after a cut.

        Raises:
            BadInput: the layers do not fit together.
        """
        modes = [(module, module.training) for module in self.modules()]
        like = next(self.parameters())
        side = next(n for n in range(SIDE, 2 * SIDE + self.sides.least) if self.sides.allow(n, n))
        image = torch.zeros(1, self.in_chans, side, side, device=like.device, dtype=like.dtype)
        self.eval()
        try:
            with torch.no_grad():
                maps = self.trunk(None)(image)
                head = self.head
                wide = maps[-1].shape[1] if isinstance(head, DenseHead) else head(maps[-1], pre_logits=True).shape[1]
        except (RuntimeError, ValueError, IndexError) as error:
            raise BadInput(f"this network's layers do not fit together: {str(error).partition(chr(10))[0]}") from error
        finally:
            for module, mode in modes:
                module.training = mode
        told = zip(self.feature_info, maps, strict=True)
        self.feature_info = FeatureInfo({**info, "num_chs": one.shape[1]} for info, one in told)
        self.num_features = wide
        if not isinstance(self.head, DenseHead):
            self.head.num_features = wide

    def start(self, init: Scheme, bn_momentum: float, bn_eps: float, drop_path_rate: float) -> None:
        """Fresh weights and the settings of norms and residual branches, once every module is there."""
        initialise(self, init)
        set_norm(self, eps=bn_eps, momentum=bn_momentum)
        if set_drop_path(self, drop_path_rate) == 0 and drop_path_rate > 0:
            raise BadInput("this net has no residual branches, so drop_path_rate must be 0")
