"""What a training step minimises: cross-entropy, and the divergence that other objectives add to it."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def loss_of(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in float32.  Targets: classes (N,), or distributions (N, classes), smoothed already."""
    smoothing = label_smoothing if target.ndim == 1 else 0.0
    return functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)


def divergence(logits: Tensor, toward: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(toward / T) || softmax(logits / T)) in float32, the mean over images: (N, classes) twice -> ().

    With T^2 the gradients keep their size whatever T is (Hinton et al., arXiv:1503.02531, section 2).
    """
    log_p, log_q = (torch.log_softmax(each.float() / temperature, 1) for each in (logits, toward))
    return temperature**2 * functional.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


class Objective(nn.Module):
    """Cross-entropy of the network's own answers.

    partner: a network that trains beside the network, None here; see `pumice.train.partner`.
    teacher_digest: of a teacher's weights, None here; see `pumice.train.distill`.
    """

    def __init__(self, label_smoothing: float, partner: nn.Module | None = None) -> None:
        super().__init__()
        self.label_smoothing, self.partner = label_smoothing, partner

    @property
    def teacher_digest(self) -> str | None:
        """None: nobody teaches."""
        return None

    def forward(self, net: nn.Module, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The losses whose sum is minimised, by whose they are, that of `net` first.

        images: (N, C, H, W).  target: see `loss_of`.
        """
        return {"network": loss_of(net(images), target, self.label_smoothing)}
