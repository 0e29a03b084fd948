"""A network whose architecture is probabilities, and the loss that trains them."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.spaces.space import Space
from pumice.search.supernet.gates import Gates


class Relaxed(nn.Module, ABC):
    """Every network of a space at once.

    theta: of each position, the logits of its options; all 0 at first.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.theta = nn.ParameterList(torch.zeros(len(position.options)) for position in space.positions)

    @abstractmethod
    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        """(N, C, H, W) -> logits (N, classes)."""

    @abstractmethod
    def cost(self, gates: Gates) -> Tensor | None:
        """What the mixture costs, a number that is differentiable in the gates; None where nothing does.

        With one-hot gates it is the cost of that network.
        """

    def weights(self) -> list[nn.Parameter]:
        """All parameters but theta."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("theta.")]

    def error(self, x: Tensor, labels: Tensor, gates: Gates) -> Tensor:
        """Cross-entropy of a batch."""
        return F.cross_entropy(self(x, gates), labels)


def factor(cost: Tensor, alpha: float = 0.2, beta: float = 0.6) -> Tensor:
    """alpha * log(cost)^beta, which multiplies the cross-entropy: FBNet's loss (arXiv:1812.03443, equation 2).

    The power is on the logarithm.  Public re-implementations have beta * log(cost), or add the term to the
    cross-entropy; neither is the paper's.  The cost must be above 1 in its unit, and the unit matters: it decides how
    much one per cent of cost counts.
    """
    return alpha * torch.log(cost) ** beta
