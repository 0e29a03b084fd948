"""How a controller learns from the rewards of what it drew: PPO and REINFORCE.

PPO: Schulman et al., arXiv:1707.06347, with NASNet's settings (Zoph et al., CVPR 2018, arXiv:1707.07012): Adam of rate
3.5e-4, entropy weight 1e-5, a moving average of the rewards, decay 0.95, as baseline.  Clip 0.2 is PPO's own.
REINFORCE: Williams, Machine Learning 8, 1992.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pumice.search.controller import Controller, entropy, taken


@dataclass(frozen=True)
class Step:
    """What a batch was like before the controller learned from it.

    entropy: of the controller, in nats.  baseline: what was expected.  advantage: mean reward above that.
    """

    entropy: float
    baseline: float
    advantage: float


class Policy(ABC):
    """A controller, its optimiser and what it remembers of rewards."""

    def __init__(self, controller: Controller, lr: float = 3.5e-4) -> None:
        self.controller = controller
        self.optimizer = torch.optim.Adam(controller.parameters(), lr)
        self.baseline: float | None = None

    def learn(self, tokens: Tensor, rewards: Tensor) -> Step:
        """One update from a batch drawn from the controller as it is.

        Args:
            tokens: (N, positions), int64.
            rewards: (N,), float64.
        """
        mean = float(rewards.mean())
        baseline = mean if self.baseline is None else self.baseline
        with torch.no_grad():
            log_probs = self.controller.log_probs(tokens)
        with torch.enable_grad():
            self._ascend(tokens, rewards, baseline, taken(log_probs, tokens))
        self.baseline = 0.95 * baseline + 0.05 * mean
        return Step(float(entropy(log_probs)), baseline, mean - baseline)

    @abstractmethod
    def _ascend(self, tokens: Tensor, rewards: Tensor, baseline: float, before: Tensor) -> None:
        """Change the weights; before: log P of the tokens, (N,)."""

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Reinforce(Policy):
    """One step along the mean of grad log P * R; no baseline, no entropy: slow where all rewards are alike."""

    def _ascend(self, tokens: Tensor, rewards: Tensor, baseline: float, before: Tensor) -> None:
        self._descend(-(self.controller.log_prob(tokens) * rewards).mean())


class PPO(Policy):
    """Several steps up the clipped objective.

    A = (R - baseline) / rms of that over the batch: bounded, and the same for accuracies of [0, 1] and in percent
    objective = mean of min(r A, clip(r, 1 - c, 1 + c) A) + weight * entropy,  r = P / P before the update
    """

    def __init__(
        self,
        controller: Controller,
        lr: float = 3.5e-4,
        *,
        epochs: int = 4,
        clip: float = 0.2,
        entropy_weight: float = 1e-5,
    ) -> None:
        super().__init__(controller, lr)
        self.epochs, self.clip, self.entropy_weight = epochs, clip, entropy_weight

    def _ascend(self, tokens: Tensor, rewards: Tensor, baseline: float, before: Tensor) -> None:
        surplus = rewards - baseline
        advantage = surplus / surplus.square().mean().sqrt().clamp(min=1e-12)
        for _ in range(self.epochs):
            log_probs = self.controller.log_probs(tokens)
            ratio = (taken(log_probs, tokens) - before).exp()
            clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
            objective = torch.minimum(ratio * advantage, clipped * advantage).mean()
            self._descend(-objective - self.entropy_weight * entropy(log_probs))
