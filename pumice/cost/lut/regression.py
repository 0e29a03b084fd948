"""Times of blocks that were never measured, from those that were: a Gaussian process on the logarithm of time.

What is expected before anything is known is a roofline with an overhead: t0 = a + b madds + c read + d written +
e weights + f ragged (multiply-adds beyond whole vectors), its rates (none negative) fitted to the relative errors.  On
what remains, log t - log t0, lies a Gaussian process with a squared-exponential kernel that has a length of its own for
every feature (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5); lengths
maximise the marginal likelihood.  It also says how sure it is: far from every measured block the answer falls back to
the roofline, with the spread of all blocks about it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.cost.lut.features import NAMES

Array = NDArray[np.float64]
Columns = NDArray[np.int64]

SIZES = tuple(NAMES.index(name) for name in ("madds", "read", "written", "weights", "ragged"))
LEAST_MS = 5e-4
"""Profilers count whole microseconds: what takes less than half of one is taken for half of one."""
NOISE = 0.04  # relative, of one measured time, at least
STEP_MS = 1e-3  # of the profilers' clocks
TUNED_ON = 400  # blocks that the lengths are chosen on
MOST = 2500  # blocks that are remembered
STEPS = 60  # of the optimiser
LEAST_LENGTH = -0.7  # logarithm, of scaled features: shorter ones learn single blocks by heart


@dataclass(frozen=True)
class Regression:
    """A fitted sort of block.

    rates: a to f, ms.
    columns: the features that vary among the remembered blocks; another one says nothing.
    centre: of these features.  lengths: of the kernel, in their units.
    amplitude: variance of log t about the roofline.
    known: centred features of the remembered blocks, in lengths, (n, columns).  weights: K^-1 residual, (n,).
    """

    rates: Array
    columns: Columns
    centre: Array
    lengths: Array
    amplitude: float
    known: Array
    weights: Array

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Features (m, features) -> ms and the standard deviation of its logarithm, (m,) each.

        The deviation is that of a process that knows only the nearest remembered block: simple, and on the safe side.
        """
        scaled = (x[:, self.columns] - self.centre) / self.lengths
        kernel = self.amplitude * np.exp(-0.5 * _squares(scaled, self.known))
        residual = kernel @ self.weights
        nearest = kernel.max(1, initial=0.0) / self.amplitude if self.amplitude else np.zeros(len(x))
        spread = np.sqrt(self.amplitude * np.maximum(1 - nearest**2, 0.0) + NOISE**2)
        return np.exp(np.log(roofline(self.rates, x)) + residual), spread

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {
            name: [float(f"{number:.6g}") for number in value.flat] if isinstance(value, np.ndarray) else value
            for name, value in self.__dict__.items()
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Regression":
        """Inverse of `to_json`, to 6 digits."""
        parts: dict[str, Any] = {n: np.array(part) if isinstance(part, list) else part for n, part in value.items()}
        columns = parts["columns"].astype(int)
        return cls(
            **{**parts, "columns": columns, "known": parts["known"].reshape(len(parts["weights"]), len(columns))}
        )


def roofline(rates: Array, x: Array) -> Array:
    """Features (m, features) -> ms by rates alone."""
    return np.maximum(_amounts(x) @ rates, LEAST_MS)


def _amounts(x: Array) -> Array:
    return np.concatenate([np.ones((len(x), 1)), np.exp(x[:, SIZES])], 1)


def _squares(a: Array, b: Array) -> Array:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)


def fit(x: Array, ms: Array, seed: int = 0) -> Regression:
    """Features (n, features) and times (n,) -> a regression."""
    ms = np.maximum(ms, LEAST_MS)
    order = np.random.default_rng(seed).permutation(len(x))[:MOST]
    x, ms = x[order], ms[order]
    rates = _rates(x, ms)
    residual = np.log(ms) - np.log(roofline(rates, x))
    noise = NOISE**2 + (0.5 * STEP_MS / ms) ** 2
    columns = np.flatnonzero(x.std(0) > 1e-9)
    centre, scale = x[:, columns].mean(0), x[:, columns].std(0)
    z = (x[:, columns] - centre) / scale
    lengths, amplitude = _tune(z[:TUNED_ON], residual[:TUNED_ON], noise[:TUNED_ON])
    known = z / lengths
    kernel = amplitude * np.exp(-0.5 * _squares(known, known)) + np.diag(noise)
    weights = np.linalg.solve(kernel, residual)
    return Regression(rates, columns, centre, lengths * scale, amplitude, known, weights)


def _rates(x: Array, ms: Array) -> Array:
    """Non-negative least squares of relative errors, by multiplicative updates (Lee and Seung, 2001)."""
    a = _amounts(x) / ms[:, None]
    size = a.max(0)
    a = a / size
    rates = np.full(a.shape[1], 1 / a.shape[1])
    for _ in range(500):
        rates = rates * (a.sum(0) / (a.T @ (a @ rates) + 1e-12))
    return rates / size


def _tune(z: Array, residual: Array, noise: Array) -> tuple[Array, float]:
    """Lengths and amplitude that maximise the marginal likelihood of a subset, with a mild prior on long lengths."""
    import torch

    x, y, n = (torch.from_numpy(part) for part in (z, residual, noise))
    logs = torch.full((x.shape[1] + 1,), 1.0, dtype=torch.float64)
    logs[-1] = float(np.log(max(residual.var(), 1e-3)))
    logs.requires_grad_()
    optimiser = torch.optim.Adam([logs], lr=0.1)
    with torch.enable_grad():
        for _ in range(STEPS):
            scaled = x / logs[:-1].exp()
            norms = scaled.square().sum(1)
            apart = (norms[:, None] + norms - 2 * scaled @ scaled.T).clamp_min(0)
            kernel = logs[-1].exp() * torch.exp(-0.5 * apart) + torch.diag(n)
            root = torch.linalg.cholesky(kernel)
            white = torch.linalg.solve_triangular(root, y[:, None], upper=False)
            loss = 0.5 * white.square().sum() + root.diagonal().log().sum() + 0.05 * (logs[:-1] - 1.5).square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                logs[:-1].clamp_(min=LEAST_LENGTH)
    return logs[:-1].detach().exp().numpy(), float(logs[-1].detach().exp())
