"""MnasNet's search by reinforcement learning: Tan et al., CVPR 2019, arXiv:1807.11626.

A controller draws a batch of choices, each is judged, the rewards teach it, and again.  The paper's problem is
`Problem(MnasnetSpace(), latency, 75.0, Weighted(75.0))`; EfficientNet-B0 (arXiv:1905.11946) came out of the same search
with multiply-adds for cost:

    space = MnasnetSpace(act="SI", gated_ends=True)
    Problem(space, MAdds(space), 400e6, Weighted(400e6))

From the paper: the loop and the reward.  The controller and its training are NASNet's, as far as that paper tells.
Where both are silent: 20 choices a batch, four steps of PPO on each.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice
from pumice.search.controller import Controller
from pumice.search.policy import PPO, Policy, Reinforce, Step
from pumice.search.problem import Problem
from pumice.search.reward import Accuracy
from pumice.search.searcher import Searcher, fresh
from pumice.search.trial import Trial

Rule = Literal["ppo", "reinforce"]
BATCH, GUESS, FURTHER = 1, 2, 3  # kinds of randomness


@dataclass(frozen=True)
class Update:
    """One batch and what the controller was when it drew it.

    choices, rewards: in the order of drawing.
    news: how many of them had not been drawn before.
    step: entropy, baseline and advantage.
    """

    choices: tuple[Choice, ...]
    rewards: tuple[float, ...]
    news: int
    step: Step

    @property
    def reward(self) -> float:
        """Mean of the batch."""
        return sum(self.rewards) / len(self.rewards)


class Mnasnet(Searcher):
    """Batches are a function of the seed and of what choices are worth, so trials may finish in any order.

    A choice that was judged before is worth what its trial said: it counts again in the update and costs no trial.
    When others still judge the rest of a batch, a worker that asks gets a further draw, which counts where it is drawn
    again.  After `patience` draws in a row without news the likeliest new neighbour (one position changed) of the
    controller's likeliest choice is judged, else a random one that keeps the target; the update leaves that out.

    The reward keeps a target, not the sampling: choices beyond it are judged as well.  Where the reward is accuracy
    alone, choices beyond the target are worth 0 and never judged.

    rule: "reinforce" is the mean of grad log P * R.
    batch: draws for an update.  epochs: PPO's steps on each.

    Raises:
        BadInput: another rule, or a number that must be above 0 and is not.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int = 0,
        *,
        rule: Rule = "ppo",
        batch: int = 20,
        epochs: int = 4,
        lr: float = 3.5e-4,
        patience: int = 100,
    ) -> None:
        super().__init__(problem, seed)
        if rule not in ("ppo", "reinforce"):
            raise BadInput(f"rule {rule!r} is unknown; choose ppo or reinforce")
        if min(batch, epochs, patience) < 1 or lr <= 0:
            raise BadInput(f"batch {batch}, epochs {epochs}, patience {patience} and lr {lr:g} must be above 0")
        self.rule, self.batch, self.epochs, self.lr, self.patience = rule, batch, epochs, lr, patience
        self._start()

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """What the controller's batch still lacks.

        Raises:
            BadInput: a target that no choice keeps, when draws no longer bring news.
        """
        known = {trial.choice: trial.value for trial in finished}
        taken = {*known, *pending}
        lacking = self._replay(known)
        if not lacking:
            return fresh(self.problem, self.rng(number), taken)
        left = [choice for choice in lacking if choice not in taken]
        return left[0] if left else self._further(number, taken)

    def records(self, finished: Sequence[Trial]) -> list[Update]:
        """Every update that these trials made, in order."""
        self._replay({trial.choice: trial.value for trial in finished})
        return list(self._updates)

    def _start(self) -> None:
        """Before the first trial."""
        sizes = [len(position.options) for position in self.problem.space.positions]
        controller = Controller(sizes, self.seed)
        self._policy: Policy = (
            PPO(controller, self.lr, epochs=self.epochs) if self.rule == "ppo" else Reinforce(controller, self.lr)
        )
        self._updates: list[Update] = []
        self._used: dict[Choice, float] = {}  # all that was waited for so far
        self._repeats = 0
        self._draw()

    def _draw(self) -> None:
        """A batch, and a guess with it when the last ones brought no news."""
        self._drawn = self._sample(len(self._updates), BATCH)
        self._awaited = [choice for choice in dict.fromkeys(self._drawn) if self._judged(choice)]
        self._news = len({*self._awaited} - self._used.keys())
        self._repeats = 0 if self._news else self._repeats + self.batch
        self._over = False
        if self._repeats >= self.patience:
            guess = self._guess()
            self._over = guess is None
            self._awaited += [] if guess is None else [guess]
            self._repeats = 0

    def _replay(self, known: Mapping[Choice, float]) -> list[Choice]:
        """Learn from every batch that is known whole; then what the next one lacks, [] where no news can come."""
        if any(known.get(choice) != value for choice, value in self._used.items()):
            self._start()  # other trials than those that were shown before
        while not self._over:
            lacking = [choice for choice in self._awaited if choice not in known]
            if lacking:
                return lacking
            self._used |= {choice: known[choice] for choice in self._awaited}
            rewards = tuple(self._used.get(choice, 0.0) for choice in self._drawn)
            step = self._policy.learn(torch.tensor(self._drawn), torch.tensor(rewards, dtype=torch.float64))
            self._updates.append(Update(tuple(self._drawn), rewards, self._news, step))
            self._draw()
        return []

    def _judged(self, choice: Choice) -> bool:
        """Whether the choice gets a trial."""
        return not isinstance(self.problem.reward, Accuracy) or self.problem.feasible(choice)

    def _sample(self, *key: int) -> list[Choice]:
        """A batch from the controller as it is."""
        rng = np.random.default_rng((self.seed, *key))
        return self._policy.controller.sample(rng.random((self.batch, len(self.problem.space.positions))))

    def _guess(self) -> Choice | None:
        """The likeliest new choice beside the controller's likeliest, else a random one."""
        controller = self._policy.controller
        middle = controller.likeliest()
        beside = [middle] + [
            (*middle[:i], option, *middle[i + 1 :])
            for i, position in enumerate(self.problem.space.positions)
            for option in range(len(position.options))
            if option != middle[i]
        ]
        new = [choice for choice in beside if choice not in self._used and self._judged(choice)]
        if not new:
            return fresh(self.problem, np.random.default_rng((self.seed, len(self._updates), GUESS)), self._used)
        with torch.no_grad():
            return new[int(controller.log_prob(torch.tensor(new)).argmax())]

    def _further(self, number: int, taken: Collection[Choice]) -> Choice | None:
        """A draw beyond the batch, for a worker that need not wait for the others."""
        for choice in self._sample(number, FURTHER):
            if choice not in taken and self._judged(choice):
                return choice
        return fresh(self.problem, self.rng(number), taken)
