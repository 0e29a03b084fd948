"""Training batches of a stream, shuffled within a buffer, that go on where they were stopped, pixel by pixel.

Which images come when is a function of the seed, the epoch, the number of worker processes and the shards: the order
of the shards is drawn, each reader (a worker of a process) takes every n-th, fills a buffer, and draws from it.  So a
position can always be found again by reading from the epoch's beginning without decoding.  torchdata's loader saves
that time: its state says which shard was open and which images the buffer held, and those shards alone are read again.
"""

import warnings
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from pumice.data.image import BadImage, read_image
from pumice.data.labels import indexer
from pumice.data.order import mix
from pumice.data.pipeline import Changed
from pumice.data.stream import Encoded, ImageStream
from pumice.errors import BadInput

AHEAD = 4  # states kept: Lightning asks for a batch before it trains on the one before
State = dict[str, Any]
Item = tuple[int, int, Encoded]
COUNTS = ("epoch", "reader", "readers", "passed", "limit", "round", "place", "taken", "drawn", "given")


class StreamLoader:
    """An iterable of batches (images (N, 3, H, W) float32, labels (N,) int64); an epoch has `len` of them.

    With one reader an epoch shows every image once where `stream.images` is their true number, but for a last, smaller
    batch.  With more, a reader that has come to the end of its shards begins them again.

    Args:
        stream: the images.
        changed: makes an image into network input.
        batch_size: per process.
        seed: of order and augmentation.
        workers: processes that prepare batches; the order of images depends on their number.
        rank: of this process among `world` processes, which share the shards.
        world: number of processes.
        pin_memory: page-locked batches, for a GPU.

    Raises:
        BadInput: fewer images than processes.
    """

    def __init__(
        self,
        stream: ImageStream,
        changed: Changed,
        batch_size: int,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        *,
        pin_memory: bool = False,
    ) -> None:
        batch_size = min(batch_size, len(stream) // world)
        if batch_size < 1:
            raise BadInput(f"an epoch of {len(stream)} images is too short for {world} processes")
        self.batches = len(stream) // (batch_size * world)
        self.images = _Images(stream, changed, batch_size, seed, self.batches, rank, world)
        self.workers = workers
        self.states: deque[tuple[tuple[int, int], State]] = deque(maxlen=AHEAD)
        # Workers are made anew for each epoch: those that lived on would not hear of it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*set_vital")  # torchdata 0.11 calls what torch 2.14 deprecates
            self.loader = StatefulDataLoader(
                self.images,
                batch_size,
                num_workers=workers,
                pin_memory=pin_memory,
                generator=torch.Generator().manual_seed(seed),
            )

    @property
    def sampler(self) -> "StreamLoader":
        """What has `rank`, `set_epoch` and `start_at`, as an EpochSampler has: itself."""
        return self

    @property
    def rank(self) -> int:
        """Of this process."""
        return self.images.rank

    @rank.setter
    def rank(self, value: int) -> None:
        self.images.rank = value

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration yields; its first batch is kept if it is the one of `start_at`."""
        if epoch != self.images.epoch:
            self.start_at(epoch, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """Let the next iteration begin at this batch of this epoch."""
        self.images.epoch, self.images.first_batch = epoch, batch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, batch = self.images.epoch, self.images.first_batch
        if batch == self.batches:
            return
        self.loader.load_state_dict(self._state((epoch, batch)) or {})
        for got in self.loader:
            batch += 1
            self.states.append(((epoch, batch), self.loader.state_dict()))
            yield got

    def saved(self, epoch: int, batch: int) -> State | None:
        """What `load` needs to begin at that batch without reading from the epoch's beginning; None if unknown."""
        state = self._state((epoch, batch))
        if state is None or self.images.world > 1:  # the state of one process is not that of another
            return None
        return {"epoch": epoch, "batch": batch, "workers": self.workers, "state": state}

    def load(self, saved: State | None) -> None:
        """Remember what `saved` gave to an earlier process, if it had as many workers."""
        if saved is not None and saved["workers"] == self.workers and self.images.world == 1:
            self.states.append(((saved["epoch"], saved["batch"]), saved["state"]))

    def _state(self, position: tuple[int, int]) -> State | None:
        return next((state for known, state in self.states if known == position), None)


class _Images(IterableDataset[tuple[Tensor, int]]):
    """What each worker iterates over."""

    def __init__(
        self,
        stream: ImageStream,
        changed: Changed,
        batch_size: int,
        seed: int,
        batches: int,
        rank: int,
        world: int,
    ) -> None:
        self.stream, self.changed, self.batch_size, self.seed = stream, changed, batch_size, seed
        self.batches, self.rank, self.world = batches, rank, world
        self.epoch = self.first_batch = 0

    def __iter__(self) -> "_Reader":
        info = get_worker_info()
        return _Reader(self, 0 if info is None else info.id, 1 if info is None else info.num_workers)


class _Reader(Iterator[tuple[Tensor, int]]):
    """The samples of one worker, from the first batch on that is its own; torchdata asks it for its state.

    The loader takes batches from its workers in turn, so of those left worker w yields every n-th, from the w-th on.

    round: how often the shards of this reader have been begun anew.
    place: in the order of its shards.
    taken: images read of the shard at that place.
    drawn: images taken out of the buffer since the epoch began, damaged ones too.
    given: samples yielded or passed over since the epoch began.
    buffer: (number of the shard, number in the shard, image) of those that the next sample is drawn from.
    """

    def __init__(self, images: _Images, worker: int, workers: int) -> None:
        self.images, self.stream = images, images.stream
        self.index_of = indexer(images.stream.classes, "the stream")
        self.epoch = images.epoch
        lane = (worker + images.first_batch) % workers
        before, everything = (len(range(lane, end, workers)) for end in (images.first_batch, images.batches))
        self.reader, self.readers = images.rank * workers + lane, images.world * workers
        self.passed, self.limit = before * images.batch_size, everything * images.batch_size
        self.round = self.place = self.taken = self.drawn = self.given = 0
        self.buffer: list[Item] = []
        self.source = self._read()

    def __next__(self) -> tuple[Tensor, int]:
        """The next sample; those of batches that are passed over are not changed into network input."""
        while self.given < self.limit:
            shard, place, encoded = self._draw()
            try:
                image = read_image(encoded.file)
            except BadImage:
                if self.stream.strict:
                    raise
                continue
            self.given += 1
            if self.given > self.passed:
                seed = mix(self.images.seed, self.epoch, (shard << 40) + place)
                return self.images.changed(image, seed), self.index_of(encoded.label)
        raise StopIteration

    def _draw(self) -> Item:
        """An image out of the buffer, which is filled first; every image of a round comes before any of the next."""
        self.buffer += islice(self.source, self.stream.buffer - len(self.buffer))
        if not self.buffer:
            if not self.given:
                raise BadInput("the shards of the stream hold no images that can be read")
            self.round, self.place, self.taken = self.round + 1, 0, 0
            self.source = self._read()
            return self._draw()
        turn = mix(self.images.seed, self.epoch, -2 - self.reader)
        slot = mix(turn, self.round, self.drawn) % len(self.buffer)
        self.drawn += 1
        self.buffer[slot], self.buffer[-1] = self.buffer[-1], self.buffer[slot]
        return self.buffer.pop()

    def _order(self) -> list[int]:
        """Numbers of the shards that this reader reads in this round, in order."""
        shards = len(self.stream.shards)
        generator = torch.Generator().manual_seed(mix(self.images.seed, self.epoch, self.round))
        order = torch.randperm(shards, generator=generator).tolist()
        return order if self._shares_images else order[self.reader :: self.readers]

    @property
    def _shares_images(self) -> bool:
        """Whether there are too few shards, so that each reader reads all and takes every n-th image."""
        return len(self.stream.shards) < self.readers

    def _read(self) -> Iterator[Item]:
        """The images of this round that have not been read yet."""
        order = self._order()
        while self.place < len(order):
            number = order[self.place]
            for place, encoded in enumerate(self.stream.shards[number]()):
                if place < self.taken:
                    continue
                self.taken = place + 1
                if not self._shares_images or place % self.readers == self.reader:
                    yield number, place, encoded
            self.place, self.taken = self.place + 1, 0

    def state_dict(self) -> State:
        """Where it is, without the images themselves."""
        held = torch.tensor([item[:2] for item in self.buffer], dtype=torch.int64).reshape(-1, 2)
        return {name: getattr(self, name) for name in COUNTS} | {"buffer": held}

    def load_state_dict(self, state: State) -> None:
        """Go there, reading again the shards of which the buffer held images."""
        for name in COUNTS:
            setattr(self, name, state[name])
        wanted: dict[int, set[int]] = {}
        for number, place in state["buffer"].tolist():
            wanted.setdefault(number, set()).add(place)
        found = {
            (number, place): encoded
            for number, places in wanted.items()
            for place, encoded in enumerate(islice(self.stream.shards[number](), max(places) + 1))
            if place in places
        }
        try:
            self.buffer = [(number, place, found[number, place]) for number, place in state["buffer"].tolist()]
        except KeyError as error:
            raise BadInput(
                "the shards of the stream have changed since the run was stopped; start a new run"
            ) from error
        self.source = self._read()
