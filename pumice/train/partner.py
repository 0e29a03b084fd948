"""Mutual learning: a second network trains beside the first, which learns from its answers too.

From Li et al., MicroNet's first version, arXiv:2011.12289: a MicroNet follows a partner of its widths and depth whose
factorised convolutions are plain.  The weight, the temperature and what the divergence does to the partner are not
published; both learn from scratch, from the same batches, in our reading.
From Zhang et al., "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384: any two networks follow each other.
"""

from dataclasses import replace

from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of
from pumice.models.described import config_of, describe
from pumice.models.families import options_of, variants
from pumice.train.config import Gradient, TrainConfig
from pumice.train.net import build_net
from pumice.train.objective import Objective, divergence, loss_of

FULL_RANK = "full_rank"
OTHER_SEED = 1_000_003  # a twin that started from the same weights would have nothing to say


class MutualLearning(Objective):
    """L = CE(net) + CE(partner) + w T^2 KL(softmax(partner / T) || softmax(net / T)).

    gradient: "net": the divergence moves the network alone.  "both": it moves the partner too.  "mutual": it moves the
        network, and another one of the same weight, with the places changed, moves the partner, as in deep mutual
        learning.
    """

    partner: nn.Module

    def __init__(
        self, partner: nn.Module, label_smoothing: float, weight: float, temperature: float, gradient: Gradient
    ) -> None:
        super().__init__(label_smoothing, partner)
        self.weight, self.temperature, self.gradient = weight, temperature, gradient

    def forward(self, net: nn.Module, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Losses of "network" and "partner"; the one divergence of "net" and "both" counts as the network's."""
        ours, theirs = net(images), self.partner(images)
        network, partner = (loss_of(logits, target, self.label_smoothing) for logits in (ours, theirs))
        toward = theirs if self.gradient == "both" else theirs.detach()
        network = network + self.weight * divergence(ours, toward, self.temperature)
        if self.gradient == "mutual":
            partner = partner + self.weight * divergence(theirs, ours.detach(), self.temperature)
        return {"network": network, "partner": partner}


def build_partner(net: nn.Module, config: TrainConfig, classes: tuple[str, ...], preprocess: Preprocess) -> nn.Module:
    """The partner that `config` names, with fresh weights; it is fed what the network is fed.

    Raises:
        BadInput: no such network, none that classifies, or the network has no full-rank partner.
    """
    assert config.partner is not None
    model, options = config.partner, {}
    if model == FULL_RANK:
        made = config_of(net)
        name = type(net).__name__ if made is None else made.name
        if made is None or name not in variants() or FULL_RANK not in options_of(name):
            raise BadInput(
                f"{name} has no full-rank partner, only MicroNets have; name another net with --partner NAME"
            )
        if made.options.get(FULL_RANK):
            raise BadInput(f"{name} with full_rank=true is the partner itself; leave one of the two out")
        model, options = name, {**made.options, FULL_RANK: True}
    fresh = replace(
        config,
        model=model,
        model_options=options,
        seed=config.seed + OTHER_SEED,
        pretrained=False,
        weights=None,
    )
    partner = build_net(fresh, classes)
    manifest_of(partner).needs_classifier("a partner learns the classes of whole images")
    describe(partner, preprocess=preprocess)
    return partner
