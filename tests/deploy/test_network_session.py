"""A runtime's wrong answer is told from a network that multiplies rounding errors."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from pumice.deploy.network_session import disagreement


class Chaos(nn.Module):
    """Adds `by` and takes it away again: in float32 an answer of 1 is left with an error of about 1e-8 by."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x + self.by) - self.by).flatten(1)


def test_a_wrong_answer_is_told_from_rounding() -> None:
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8), dtype=np.float32)
    exact = SimpleNamespace(run=lambda x: x.reshape(1, -1))
    off = SimpleNamespace(run=lambda x: 1.1 * x.reshape(1, -1))
    # Torch is off by 2e-3 of the largest output, the session is not.
    assert disagreement(exact, Chaos(by=1e5), x) == 0  # type: ignore[arg-type]
    assert disagreement(off, Chaos(by=1e5), x) > 0.05  # type: ignore[arg-type]
    assert disagreement(off, Chaos(by=0.0), x) > 0.05  # type: ignore[arg-type]
