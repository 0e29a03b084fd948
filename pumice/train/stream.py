"""The training batches of one epoch, from any batch on, as Lightning asks for them."""

import re
import time
from collections.abc import Iterator, Sequence

from torch import Tensor

from pumice.data.order import EpochSampler
from pumice.data.pipeline import Batches
from pumice.data.stream_loader import State, StreamLoader
from pumice.errors import BadInput

OURS = re.compile(r"^pumice\.[\w.]*\.Bad(?:Input|Image): (.*)$", re.MULTILINE)


class Stream:
    """Batches of a training loader of `pumice.data`, from `position` (epoch, step) to the end of that epoch.

    It has no length, so that Lightning counts nothing: the position is a function of the steps done, ours to say.

    called: names of the samples, by index; none of those that come in a stream.
    waited: seconds that this process stood still for batches since the iteration began.
    """

    def __init__(self, loader: Batches, called: Sequence[str] = ()) -> None:
        assert isinstance(loader.sampler, EpochSampler | StreamLoader)
        self.loader, self.sampler, self.called = loader, loader.sampler, called
        self.position = (0, 0)
        self.waited = 0.0

    def names(self, epoch: int, batch: int) -> list[str]:
        """Names of the images in one batch of an epoch, both counted from 0, in the order of the batch.

        Images of a stream have none: their places in the stream's order stand for them.
        """
        if isinstance(self.loader, StreamLoader):
            size = self.loader.images.batch_size
            return [f"no. {batch * size + i + 1} of epoch {epoch + 1}" for i in range(size)]
        assert isinstance(self.sampler, EpochSampler)
        return [self.called[index] for index in self.sampler.batch(epoch, batch)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.sampler.start_at(*self.position)
        self.waited = 0.0
        began = time.perf_counter()
        try:
            for batch in self.loader:
                self.waited += time.perf_counter() - began
                yield batch
                began = time.perf_counter()
        except (BadInput, RuntimeError) as error:  # of a worker process: its whole traceback is the message
            said = OURS.search(str(error))
            if said is None:
                raise
            raise BadInput(said[1]) from error

    def saved(self, epoch: int, batch: int) -> State | None:
        """What resume.pt needs beyond the position; None where order and samples are functions of it."""
        return self.loader.saved(epoch, batch) if isinstance(self.loader, StreamLoader) else None

    def load(self, saved: State | None) -> None:
        """Take what `saved` gave to an earlier process."""
        if isinstance(self.loader, StreamLoader):
            self.loader.load(saved)
