"""A built dense network, with timm's interface."""

import torch.nn.functional as F
from torch import Tensor

from pumice.errors import BadInput
from pumice.models.dense.encoder import WholeEncoder
from pumice.models.dense.spec import DenseSpec
from pumice.models.plainnet import PlainNet
from pumice.nn.conv import set_norm
from pumice.nn.drop_path import set_drop_path
from pumice.nn.initialise import Scheme, initialise


class DenseNet(PlainNet):
    """(N, in_chans, H, W) -> what its head makes of the backbone's maps; to segment, (N, classes, H, W)."""

    spec: DenseSpec

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a net to segment have the size of its input, bilinearly enlarged, so that a file of it is whole.

        Heatmaps have a quarter of it, on backbones too that pad less than half a kernel.
        """
        y, (height, width) = super().forward(x), x.shape[2:]
        if self.spec.plan.task == "segment":
            return F.interpolate(y, (height, width), mode="bilinear", align_corners=False)
        if self.spec.plan.task == "keypoints" and y.shape[2:] != (height // 4, width // 4):
            return F.interpolate(y, (height // 4, width // 4), mode="bilinear", align_corners=False)
        return y

    def start(self, init: Scheme, bn_momentum: float, bn_eps: float, drop_path_rate: float) -> None:
        """The backbone starts as it does alone, but for another library's, which has started already; so has the head.

        Norms of the head are set as the backbone's.
        """
        foreign = isinstance(self.encoder, WholeEncoder) and self.spec.backbone is None
        if not foreign:
            initialise(self.encoder, init)
            set_norm(self, eps=bn_eps, momentum=bn_momentum)
        if set_drop_path(self, drop_path_rate) == 0 and drop_path_rate > 0:
            why = "the backbone is another library's" if foreign else "this net has no residual branches"
            raise BadInput(f"{why}, so drop_path_rate must be 0")
