"""How long a supernet is trained, and how fast."""

import math
from dataclasses import dataclass, replace

from pumice.errors import BadInput

PAPER_EPOCHS = 90


@dataclass(frozen=True)
class Schedule:
    """FBNet's values (arXiv:1812.03443, section 4.1; the authors' code was never released).

    epochs: of the weights' images; warmup: the first of them, in which theta rests.
    lr, momentum, decay: SGD of the weights, its rate a half cosine down to 0, epoch by epoch.
    theta_lr, theta_decay: Adam of theta.
    tau, cooling: the temperature of epoch e, from 0, is tau * exp(-cooling * e).
    alpha, beta: of the loss, see `factor`.
    """

    epochs: int = PAPER_EPOCHS
    warmup: int = 10
    lr: float = 0.1
    momentum: float = 0.9
    decay: float = 1e-4
    theta_lr: float = 0.01
    theta_decay: float = 5e-4
    tau: float = 5.0
    cooling: float = 0.045
    alpha: float = 0.2
    beta: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < self.epochs:
            raise BadInput(
                f"a search of {self.epochs} epochs, the first {self.warmup} for the weights alone, never trains "
                f"theta; give more epochs than warm-up"
            )
        if min(self.lr, self.theta_lr, self.tau, self.alpha) <= 0:
            raise BadInput("lr, theta_lr, tau and alpha of a supernet's schedule must be above 0")

    def shortened(self, epochs: int) -> "Schedule":
        """The same curves in another number of epochs: warm-up and cooling in proportion."""
        return replace(
            self,
            epochs=epochs,
            warmup=round(self.warmup * epochs / self.epochs),
            cooling=self.cooling * self.epochs / epochs,
        )

    def lr_at(self, epoch: int) -> float:
        """Learning rate of the weights."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def tau_at(self, epoch: int) -> float:
        """Temperature."""
        return self.tau * math.exp(-self.cooling * epoch)
