"""A built dense network, with timm's interface."""

from pumice.models.dense.encoder import WholeEncoder
from pumice.models.dense.spec import DenseSpec
from pumice.models.plainnet import PlainNet
from pumice.nn.conv import set_norm
from pumice.nn.drop_path import set_drop_path
from pumice.nn.initialise import Scheme, initialise


class DenseNet(PlainNet):
    """(N, in_chans, H, W) -> what its head makes of the backbone's maps, see `DenseHead`."""

    spec: DenseSpec

    def start(self, init: Scheme, bn_momentum: float, bn_eps: float, drop_path_rate: float) -> None:
        """The backbone starts as it does alone, but for another library's, which has started already; so has the head.

        Norms of the head are set as the backbone's.
        """
        foreign = isinstance(self.encoder, WholeEncoder) and self.spec.backbone is None
        if not foreign:
            initialise(self.encoder, init)
            set_norm(self, eps=bn_eps, momentum=bn_momentum)
            set_drop_path(self.encoder, drop_path_rate)
