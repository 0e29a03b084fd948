"""The accuracy predictor u(A, h): pre-trained on what costs nothing, then fitted to the trials."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost
from pumice.search.jointnas.encoding import Encoding
from pumice.search.jointnas.mlp import MLP, Adam, Array, huber

EMBEDDING = 24  # as in the paper
HIDDEN = 64
KNOWN, BATCH, PRETRAINING = 4096, 256, (400, 0.005)  # architectures, those of a step, steps and rate
HEAD, ALL = (10, 0.003), (150, 0.01)  # steps and rate: the head on a frozen embedding, everything
EMPHASIS = 10.0  # on statistics, which are few, beside the one-hot columns
SMALL = 0.1  # what the embedding is multiplied with before labels come: large, the head learns them by heart from it
LEAST = 1e-6


class Predictor:
    """e = embed(A); statistics = proxy(e); accuracy = head(e, h).

    The proxy head predicts the statistics and, so that the embedding keeps what they do not depend on, A itself.

    Args:
        statistics: of architectures, any number of them; recipes must not matter to them.
        seed: of all randomness.
        pretrained: False leaves the embedding at its random weights.
    """

    def __init__(self, space: Space, statistics: Sequence[Cost], seed: int, *, pretrained: bool = True) -> None:
        self.encoding = Encoding(space)
        rng = np.random.default_rng((seed, 0))
        choices = [space.random(rng) for _ in range(KNOWN)]
        nets = self.encoding.nets(choices)
        known = np.array([[cost.of(choice) for cost in statistics] for choice in choices]).reshape(KNOWN, -1)
        known = np.concatenate([EMPHASIS * _standard(known), _standard(nets)], axis=1).astype(np.float32)
        self.embed = MLP((nets.shape[1], HIDDEN, EMBEDDING), rng)
        self.proxy = MLP((EMBEDDING, known.shape[1]), rng)
        self.head = MLP((EMBEDDING + self.encoding.recipes(choices[:1]).shape[1], HIDDEN, 1), rng)
        if pretrained:
            self._pretrain(nets, known, rng)
        self.start = self.embed, self.head
        self.middle, self.spread = 0.0, 1.0

    def _pretrain(self, nets: Array, known: Array, rng: np.random.Generator) -> None:
        steps, rate = PRETRAINING
        descent = Adam([*self.embed.parameters, *self.proxy.parameters], rate, steps)
        for _ in range(steps):
            drawn = rng.integers(len(nets), size=BATCH)
            inner = self.embed.forward(nets[drawn])
            outer = self.proxy.forward(inner[-1])
            of_proxy, gradient = self.proxy.backward(outer, huber(outer[-1], known[drawn]))
            descent.step([*self.embed.backward(inner, gradient)[0], *of_proxy])
        for last in self.embed.parameters[-2:]:
            last *= np.float32(SMALL)

    def fit(self, choices: Sequence[Choice], accuracies: Sequence[float]) -> None:
        """Begin anew from the pre-trained weights and learn all of these: the head first, then everything."""
        self.embed, self.head = deepcopy(self.start)
        nets, recipes = self.encoding.nets(choices), self.encoding.recipes(choices)
        measured = np.asarray(accuracies, dtype=np.float64)
        self.middle = float(np.median(measured))
        self.spread = float(np.median(np.abs(measured - self.middle))) * 1.4826 + LEAST
        wanted = ((measured - self.middle) / self.spread).astype(np.float32)[:, None]
        for (steps, rate), frozen in ((HEAD, True), (ALL, False)):
            descent = Adam([*self.head.parameters, *([] if frozen else self.embed.parameters)], rate, steps)
            for _ in range(steps):
                inner = self.embed.forward(nets)
                outer = self.head.forward(np.concatenate([inner[-1], recipes], axis=1))
                of_head, gradient = self.head.backward(outer, huber(outer[-1], wanted))
                of_embed = [] if frozen else self.embed.backward(inner, gradient[:, :EMBEDDING])[0]
                descent.step([*of_head, *of_embed])

    def predict(self, choices: Sequence[Choice]) -> NDArray[np.float64]:
        """Accuracies, (choices,)."""
        embedded = self.embed.forward(self.encoding.nets(choices))[-1]
        read = np.concatenate([embedded, self.encoding.recipes(choices)], axis=1)
        return self.middle + self.spread * self.head.forward(read)[-1][:, 0].astype(np.float64)


def _standard(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Columns of mean 0 and deviation 1."""
    return (values - values.mean(0)) / (values.std(0) + LEAST)
