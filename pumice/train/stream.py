"""The training batches of one epoch, from any batch on, as Lightning asks for them."""

import time
from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader

from pumice.data.pipeline import EpochSampler, TrainImages


class Stream:
    """Batches of `pumice.data.pipeline`'s training loader, from `position` (epoch, batch) to the end of that epoch.

    It has no length, so that Lightning counts nothing: the position is a function of the steps done, ours to say.

    waited: seconds that this process stood still for batches since the iteration began.
    """

    def __init__(self, loader: DataLoader[tuple[Tensor, int]]) -> None:
        assert isinstance(loader.sampler, EpochSampler)
        self.loader, self.sampler = loader, loader.sampler
        self.position = (0, 0)
        self.waited = 0.0

    def names(self, epoch: int, batch: int) -> list[str]:
        """Names of the images in one batch of an epoch, both counted from 0, in the order of the batch."""
        assert isinstance(self.loader.dataset, TrainImages)
        names = self.loader.dataset.images.names
        return [names[index] for index in self.sampler.batch(epoch, batch)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.sampler.start_at(*self.position)
        self.waited = 0.0
        began = time.perf_counter()
        for batch in self.loader:
            self.waited += time.perf_counter() - began
            yield batch
            began = time.perf_counter()
