"""The LSTM controller of NASNet (Zoph et al., CVPR 2018, arXiv:1707.07012), which MnasNet (arXiv:1807.11626) took over.

From the paper: one layer of 100 units, weights from U(-0.1, 0.1), a softmax for every decision, each decision fed back.
Here another way: double precision, so that replaying on another machine draws the same tokens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pumice.models.spaces.space import Choice


class Controller(nn.Module):
    """A distribution over the choices of a space, P(choice) = product of P(token t | tokens before t).

    x_t = embedding(token t - 1), the first one learned; h_t = LSTM(x_t); P(token t) = softmax(W_t h_t + b_t)

    sizes: how many options each position has.
    seed: of the weights; torch's global randomness is neither used nor touched.

    >>> Controller((3, 2)).log_prob(torch.tensor([[0, 1], [2, 0]])).shape
    torch.Size([2])
    """

    starts: Tensor
    mask: Tensor

    def __init__(self, sizes: Sequence[int], seed: int = 0, units: int = 100) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        starts = np.cumsum([1, *sizes[:-1]])  # row 0 of the embedding is what the first position is fed
        with torch.device("meta"):  # where torch's own initialisation draws nothing
            self.embedding = nn.Embedding(1 + sum(sizes), units, dtype=torch.float64)
            self.lstm = nn.LSTM(units, units, batch_first=True, dtype=torch.float64)
            self.weight = nn.Parameter(torch.empty(len(sizes), units, max(sizes), dtype=torch.float64))
            self.bias = nn.Parameter(torch.empty(len(sizes), 1, max(sizes), dtype=torch.float64))
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-0.1, 0.1, generator=generator)
        absent = torch.arange(max(sizes)) >= torch.tensor(self.sizes)[:, None]
        self.register_buffer("starts", torch.from_numpy(starts))
        self.register_buffer("mask", torch.zeros(absent.shape, dtype=torch.float64).masked_fill(absent, -torch.inf))

    def log_probs(self, tokens: Tensor) -> Tensor:
        """log P of every option at every position, given the tokens before it.

        (N, positions) int64 -> (N, positions, most options), -inf where a position has no such option.
        """
        fed = torch.cat([tokens.new_zeros(len(tokens), 1), tokens[:, :-1] + self.starts[:-1]], dim=1)
        states = self.lstm(self.embedding(fed))[0].transpose(0, 1)
        logits = torch.baddbmm(self.bias, states, self.weight).transpose(0, 1)
        return torch.log_softmax(logits + self.mask, dim=2)

    def log_prob(self, tokens: Tensor) -> Tensor:
        """log P of whole choices: (N, positions) -> (N,)."""
        return taken(self.log_probs(tokens), tokens)

    @torch.no_grad()
    def sample(self, draws: np.ndarray) -> list[Choice]:
        """Choices from numbers of [0, 1), (N, positions): token t is the first whose cumulated P exceeds the number."""
        fed, state, tokens = torch.zeros(len(draws), 1, dtype=torch.int64), None, []
        for t, size in enumerate(self.sizes):
            states, state = self.lstm(self.embedding(fed), state)
            p = torch.softmax(states[:, 0] @ self.weight[t, :, :size] + self.bias[t, :, :size], dim=1)
            below = p.cumsum(dim=1)[:, :-1] <= torch.from_numpy(draws[:, t : t + 1])
            tokens.append(below.sum(dim=1, keepdim=True))
            fed = tokens[-1] + self.starts[t]
        return [tuple(row) for row in torch.cat(tokens, dim=1).tolist()]

    @torch.no_grad()
    def likeliest(self) -> Choice:
        """The choice of the most probable token at each position, one after the other."""
        tokens = torch.zeros(1, len(self.sizes), dtype=torch.int64)
        for t in range(len(self.sizes)):
            tokens[0, t] = self.log_probs(tokens)[0, t].argmax()
        return tuple(tokens[0].tolist())


def taken(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """What `log_probs` says of the tokens, summed over positions: -> (N,)."""
    return log_probs.gather(2, tokens[:, :, None])[:, :, 0].sum(dim=1)


def entropy(log_probs: Tensor) -> Tensor:
    """Mean entropy of the softmaxes along the tokens, summed over positions, in nats: -> a scalar.

    Along tokens that the controller drew itself, this estimates the entropy of its distribution of choices.
    """
    return -(log_probs.exp() * log_probs.clamp(min=-1e9)).sum(dim=(1, 2)).mean()
