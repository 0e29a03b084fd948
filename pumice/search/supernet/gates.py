"""How much of each option a pass through a supernet uses."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pumice.models.spaces.space import Choice, Space

Gates = Sequence[Tensor]
"""A vector for each position, the weights of its options, which sum to 1."""


def gumbel(theta: Sequence[Tensor], tau: float) -> list[Tensor]:
    """Gumbel softmax (Jang et al., "Categorical reparameterization with Gumbel-softmax", ICLR 2017, arXiv:1611.01144).

    m_i = exp((theta_i + g_i) / tau) / sum_j exp((theta_j + g_j) / tau),  g = -log(-log u), u uniform

    The noise is drawn from torch's generator on the CPU, so that every device sees the same.
    """
    noise = [-torch.empty(len(t)).exponential_().log() for t in theta]
    return [torch.softmax((t + g.to(t.device)) / tau, 0) for t, g in zip(theta, noise, strict=True)]


def one_hot(space: Space, choice: Choice, device: torch.device | str = "cpu") -> list[Tensor]:
    """The gates that use one network alone."""
    pairs = zip(space.positions, choice, strict=True)
    return [torch.eye(len(position.options), device=device)[option] for position, option in pairs]


def probabilities(theta: Sequence[Tensor]) -> list[Tensor]:
    """P(option) of each position: softmax(theta)."""
    return [torch.softmax(t.detach(), 0) for t in theta]


def entropy(probabilities: Tensor) -> float:
    """-sum p log p, nats; 0 of a decision that is made."""
    return float(torch.special.entr(probabilities).sum())


def most_probable(theta: Sequence[Tensor]) -> Choice:
    """The first of the most probable options at each position."""
    return tuple(int(t.detach().argmax()) for t in theta)
