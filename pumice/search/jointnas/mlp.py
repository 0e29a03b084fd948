"""Small multilayer perceptrons in numpy, where torch would spend three times as long on its own calls as on sums."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class MLP:
    """Dense layers with SiLU between them: x -> W_n ... silu(W_1 x + b_1) ... + b_n, silu(z) = z sigmoid(z).

    Args:
        widths: of the input, of every layer.
        rng: of the weights, N(0, 1 / (3 inputs)), torch's variance, with which few labels go further than with
            Kaiming's 2 / inputs.
    """

    def __init__(self, widths: Sequence[int], rng: np.random.Generator) -> None:
        self.parameters: list[Array] = []
        for wide, out in pairwise(widths):
            weights = rng.standard_normal((wide, out)) / math.sqrt(3 * wide)
            self.parameters += [weights.astype(np.float32), np.zeros(out, np.float32)]

    def forward(self, x: Array) -> list[Array]:
        """(N, inputs) -> in turn what each layer reads and what it says, last the output (N, outputs)."""
        passed = [x]
        for i in range(0, len(self.parameters), 2):
            if i:
                passed.append(passed[-1] * _sigmoid(passed[-1]))
            passed.append(passed[-1] @ self.parameters[i] + self.parameters[i + 1])
        return passed

    def backward(self, passed: Sequence[Array], gradient: Array) -> tuple[list[Array], Array]:
        """What `forward` gave and the gradient by its output -> those by the parameters, in their order, and by x."""
        found: list[Array] = []
        for i in reversed(range(0, len(self.parameters), 2)):
            found[:0] = [passed[i].T @ gradient, gradient.sum(0)]
            gradient = gradient @ self.parameters[i].T
            if i:
                gate = _sigmoid(passed[i - 1])
                gradient *= gate + passed[i] * (1 - gate)
        return found, gradient


def _sigmoid(x: Array) -> Array:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


class Adam:
    """Kingma and Ba, arXiv:1412.6980, on parameters in place; the rate falls to 0 by a cosine over `steps`."""

    def __init__(self, parameters: Sequence[Array], rate: float, steps: int) -> None:
        self.parameters, self.rate, self.steps = parameters, rate, steps
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]
        self.done = 0

    def step(self, gradients: Sequence[Array]) -> None:
        """One step."""
        rate = self.rate * (1 + math.cos(math.pi * self.done / self.steps)) / 2
        self.done += 1
        rate *= math.sqrt(1 - 0.999**self.done) / (1 - 0.9**self.done)
        for p, g, m, s in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            m += np.float32(0.1) * (g - m)
            s += np.float32(0.001) * (g * g - s)
            p -= np.float32(rate) * m / (np.sqrt(s) + np.float32(1e-8))


def huber(predicted: Array, wanted: Array) -> Array:
    """The gradient of the mean Huber loss, of threshold 1, by what is predicted."""
    return np.clip(predicted - wanted, -1, 1) / np.float32(predicted.size)
