"""Does `pumice train` train as fast as timm's own code, and how long does it wait for images?

    .venv/bin/python benchmarks/throughput.py [NAME ...] [--size 128] [--pairs 30] [--threads 2] [--data DIR]

Speed: for each network, Pumice's training loop and timm's (its task, loader, optimiser, average and schedule, as its
train.py puts them together, on timm's own network of the name) take turns step by step: batch 64, the same photos
decoded in memory, the same augmentation and settings.  Each has a process of its own, as in life: `pumice train` keeps
the memory that a step frees, and timm's steps would profit.  Printed: timm's time over ours, wall and process CPU, the
median over pairs with a bootstrapped 95 % interval.  The claim: a lower bound of at least 0.97.

With --one-process timm's steps run inside Pumice's process, memory kept for both: the code alone is compared.

Waiting: the share of the time between steps, in Pumice's loop alone at 224 pixels with decoded images, images prepared
by one other process and by the training process itself.  The claim: at most 10 % with the process.

Without --data the photos are made: 300 x 200 smooth noise as JPEG.  Ends 1 when a claim fails.
"""

import argparse
import csv
import io
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pumice.data.images import ImageSet, Splits
from pumice.data.memory import fill, keep_decoded
from pumice.data.open import open_data
from pumice.models.described import preprocess_of
from pumice.recipes.small_data import classify
from pumice.train.config import TrainConfig
from pumice.train.interrupt import Interrupt
from pumice.train.net import build_net
from pumice.train.trainer import run_epochs

NETS = ("mobilenetv3_small_100", "mobilenetv2_100", "mnasnet_100", "ghostnet_100", "efficientnet_lite0")
BATCH, CLASSES, PHOTOS = 64, 10, 640
WARM = 4  # pairs that do not count
LEAST, MOST_WAIT = 0.97, 0.10


Steps = Iterator[tuple[float, float]]  # seconds of each, wall and process CPU


class Enough(BaseException):
    """Ends a training run."""


def photo(data: bytes) -> Image.Image:
    """Decode."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def made_photos() -> Splits:
    """Smooth noise, 300 x 200, as JPEG in memory."""
    random = np.random.default_rng(0)
    loaders = []
    for _ in range(PHOTOS):
        small = Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((300, 200), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        loaders.append(partial(photo, buffer.getvalue()))
    labels = tuple(i % CLASSES for i in range(PHOTOS))
    classes = tuple(str(i) for i in range(CLASSES))
    names = tuple(f"{i}.jpg" for i in range(PHOTOS))
    images = ImageSet(classes, labels, names, tuple(loaders))
    return Splits("made", images, images.subset(range(BATCH)))


def opened(data: str | None) -> Splits:
    """The data, or made photos; every training image that fits is decoded."""
    splits = open_data(data) if data else made_photos()
    fill(keep_decoded(splits.train))
    return splits


class Photos(torch.utils.data.Dataset[Any]):
    """The images as timm's loader wants them; `create_loader` sets the transform."""

    transform: Callable[[Image.Image], Tensor] | None = None

    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        assert self.transform is not None
        return self.transform(self.images.image(index)), self.images.labels[index]


def timm_steps(name: str, splits: Splits, config: TrainConfig) -> Iterator[None]:
    """timm's training code; each `next` is one step, the loading of its batch included."""
    import timm
    from timm.data import create_loader
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2
    from timm.task import ClassificationTask
    from timm.utils import dispatch_clip_grad

    net = timm.create_model(name, num_classes=len(splits.classes))
    device = torch.device("cpu")
    task = ClassificationTask(net, criterion_kwargs={"smoothing": config.label_smoothing}, device=device, verbose=False)
    task.setup_ema(decay=config.ema_decay, use_warmup=True)
    size = config.img_size
    loader = create_loader(
        Photos(keep_decoded(splits.train)),
        input_size=(3, size, size),
        batch_size=config.batch_size,
        is_training=True,
        use_prefetcher=False,
        scale=config.rrc_scale,
        hflip=config.hflip,
        color_jitter=config.color_jitter,
        interpolation=preprocess_of(build_net(config, splits.classes)).interpolation,
        num_workers=config.workers,
        pin_memory=False,
        device=device,
    )
    optimizer = create_optimizer_v2(net, opt=config.optimizer, lr=config.lr, weight_decay=config.weight_decay)
    schedule, _ = create_scheduler_v2(
        optimizer,
        "cosine",
        num_epochs=config.epochs,
        warmup_epochs=2,
        updates_per_epoch=len(loader),
        step_on_epochs=False,
    )
    task.train()
    updates = 0
    for _ in range(config.epochs):
        for images, target in loader:
            images, target = images.to(device), target.to(device)
            loss = task(images, target)["loss"]
            optimizer.zero_grad()
            loss.backward()
            if config.grad_clip is not None:
                dispatch_clip_grad(net.parameters(), value=config.grad_clip, mode="norm")
            optimizer.step()
            updates += 1
            task.update_ema(step=updates)
            schedule.step_update(num_updates=updates)
            yield


def timed_steps(steps: Iterator[None]) -> Steps:
    """Seconds of each step, wall and process CPU."""
    while True:
        before = clocks()
        next(steps)
        now = clocks()
        yield now[0] - before[0], now[1] - before[1]


def serve(pipe: Connection, name: str, data: str | None, config: TrainConfig, threads: int) -> None:
    """In a process of its own: a step of timm's for every word, answered with its times."""
    torch.set_num_threads(threads)
    steps = timed_steps(timm_steps(name, opened(data), config))
    while pipe.recv():
        pipe.send(next(steps))


@contextmanager
def elsewhere(name: str, data: str | None, config: TrainConfig, threads: int) -> Iterator[Steps]:
    """`timed_steps` of timm's code in another process, which rests between them."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, name, data, config, threads), daemon=True)
    process.start()
    there.close()

    def asked() -> Steps:
        while True:
            here.send(True)
            yield here.recv()

    yield asked()
    here.send(False)
    process.join()


class Turns(pl.Callback):  # type: ignore[misc]
    """Between two steps of Pumice's loop timm's takes one; both are timed from end to end."""

    def __init__(self, other: Steps, pairs: int) -> None:
        self.other, self.pairs = other, pairs
        self.ours: list[tuple[float, float]] = []
        self.theirs: list[tuple[float, float]] = []
        self.mark = (0.0, 0.0)

    def on_train_epoch_start(self, *_: Any) -> None:
        """The validation before it is no part of a step."""
        self.mark = clocks()

    def on_train_batch_end(self, *_: Any) -> None:
        """Our step is over: timm's turn."""
        now = clocks()
        self.ours.append((now[0] - self.mark[0], now[1] - self.mark[1]))
        self.theirs.append(next(self.other))
        self.mark = clocks()
        if len(self.ours) == WARM + self.pairs:
            raise Enough


class Waits(pl.Callback):  # type: ignore[misc]
    """Seconds between the end of a step and the beginning of the next, and in all."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seen, self.waited = steps, 0, 0.0
        self.ended = self.begun = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """The batch is there."""
        if self.seen > 1:
            self.waited += time.perf_counter() - self.ended

    def on_train_batch_end(self, *_: Any) -> None:
        """From here on the loop waits; the first step warms up."""
        self.ended = time.perf_counter()
        self.seen += 1
        if self.seen == 2:
            self.begun = self.ended
        if self.seen == self.steps + 2:
            raise Enough

    @property
    def share(self) -> float:
        """Of the time."""
        return self.waited / (self.ended - self.begun)


def clocks() -> tuple[float, float]:
    """Wall and process CPU, seconds."""
    return time.perf_counter(), time.process_time()


def config_of(name: str, size: int, workers: int) -> TrainConfig:
    """The defaults of `pumice train`, for longer than is run."""
    return classify("made", name, img_size=size, batch_size=BATCH, workers=workers, epochs=1000)


def train(config: TrainConfig, splits: Splits, callback: pl.Callback) -> None:
    """Pumice's loop until the callback has enough."""
    try:
        run_epochs(build_net(config, splits.classes), splits, config, Interrupt(), more=(callback,))
    except Enough:
        return


def interval(ratios: np.ndarray) -> tuple[float, float, float]:
    """Median and its bootstrapped 95 % interval."""
    drawn = np.random.default_rng(0).choice(ratios, (5000, len(ratios)))
    low, high = np.quantile(np.median(drawn, 1), (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(NETS))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=12, help="of waiting")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one-process", action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    splits = opened(args.data)
    rows: list[dict[str, Any]] = []
    for name in args.names:
        config = config_of(name, args.size, 0)
        if args.one_process:
            turns = Turns(timed_steps(timm_steps(name, splits, config)), args.pairs)
            train(config, splits, turns)
        else:
            with elsewhere(name, args.data, config, args.threads) as steps:
                turns = Turns(steps, args.pairs)
                train(config, splits, turns)
        ours, theirs = np.array(turns.ours[WARM:]), np.array(turns.theirs[WARM:])
        row: dict[str, Any] = {"name": name, "ms": round(float(np.median(ours[:, 0])) * 1e3)}
        for column, clock in enumerate(("wall", "cpu")):
            middle, low, high = interval(theirs[:, column] / ours[:, column])
            row |= {clock: round(middle, 3), f"{clock} low": round(low, 3), f"{clock} high": round(high, 3)}
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        for workers in (1, 0):
            waits = Waits(args.steps)
            train(config_of(name, 224, workers), splits, waits)
            row[f"wait, {workers} workers"] = round(waits.share, 3)
            print(f"wait, {workers} workers {waits.share:.3f}", flush=True)
        rows.append(row)
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    held = all(row["wall low"] >= LEAST and row["wait, 1 workers"] <= MOST_WAIT for row in rows)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
