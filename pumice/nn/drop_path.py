"""Stochastic depth: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, arXiv:1603.09382."""

from torch import Tensor, nn


class DropPath(nn.Module):
    """y = x * keep / (1 - p), keep ~ Bernoulli(1 - p) per sample while training; y = x in evaluation.

    >>> DropPath(0.2).eval()(torch.ones(2, 3, 4, 4)).mean()
    tensor(1.)
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same shape."""
        if not self.training or self.p == 0.0:
            return x
        keep = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)

    def extra_repr(self) -> str:
        """p."""
        return f"p={self.p}"


def set_drop_path(model: nn.Module, rate: float) -> int:
    """Give the residual branches of a net rates that rise linearly from 0 to `rate`; returns how many there are."""
    paths = [module for module in model.modules() if isinstance(module, DropPath)]
    for i, path in enumerate(paths):
        path.p = rate * i / max(1, len(paths) - 1)
    return len(paths)
