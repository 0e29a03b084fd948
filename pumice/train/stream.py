"""The training batches of one epoch, from any batch on, as Lightning asks for them."""

import time
from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader

from pumice.data.pipeline import EpochSampler


class Stream:
    """Batches of `pumice.data.pipeline`'s training loader, from `position` (epoch, step) to the end of that epoch.

    It has no length, so that Lightning counts nothing: the position is a function of the steps done, ours to say.

    waited: seconds that this process stood still for batches since the iteration began.
    """

    def __init__(self, loader: DataLoader[tuple[Tensor, int]]) -> None:
        assert isinstance(loader.sampler, EpochSampler)
        self.loader, self.sampler = loader, loader.sampler
        self.position = (0, 0)
        self.waited = 0.0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.sampler.start_at(*self.position)
        self.waited = 0.0
        began = time.perf_counter()
        for batch in self.loader:
            self.waited += time.perf_counter() - began
            yield batch
            began = time.perf_counter()
