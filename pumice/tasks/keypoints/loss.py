"""The loss of heatmaps: Xiao et al., ECCV 2018, arXiv:1804.06208; hard joints: Chen et al., "Cascaded Pyramid Network",
CVPR 2018, arXiv:1711.07319."""

from torch import Tensor, nn


class HeatmapLoss(nn.Module):
    """Mean over pixels, persons and joints of weight * (output - target)^2.

    A joint that is not labelled counts in the mean, with 0.  hardest: if above 0, of every person only so many
    joints of the greatest loss are in the mean.
    """

    def __init__(self, hardest: int = 0) -> None:
        super().__init__()
        self.hardest = hardest

    def forward(self, outputs: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """(N, J, H, W); targets: `heatmaps` of that shape, `weights` (N, J) -> a scalar."""
        each = (outputs - targets["heatmaps"]).square().mean((2, 3)) * targets["weights"]
        if 0 < self.hardest < each.shape[1]:
            each = each.topk(self.hardest, dim=1).values
        return each.mean()
