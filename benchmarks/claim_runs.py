"""The trainings of `claims.py`, each in a forked process, so that they share the libraries and the decoded images."""

import math
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from changed_once import augment_of, change, install, keep, kind_of

from pumice.data.images import Splits
from pumice.data.memory import fill, keep_decoded
from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.deploy.session import open_session
from pumice.files import read_json, write_json
from pumice.recipes.small_data import classify
from pumice.tasks.classify import evaluate
from pumice.train.config import TrainConfig
from pumice.train.run import resume, train

WATCHED = 100  # images of a class to watch while training
FINISHED = "test.json"
LIBRARIES = ("pumice.train.trainer", "timm.data", "timm.optim", "timm.utils", "tensorboard.summary.writer")
"""Imported once, before the processes part."""


@dataclass(frozen=True)
class Scale:
    """What the runs of a table have in common.

    images: of a class, to train on.
    batch: images a step; the learning rate of the recipe goes with its square root, as of Adam it should (Malladi et
        al., arXiv:2205.10287).
    device: cpu or cuda.
    """

    images: int = 1000
    batch: int = 64
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """One run: `printed` is what the paper says of ImageNet, top-1; `against` the label that it is compared with."""

    claim: str
    label: str
    model: str
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    against: str = ""

    @property
    def folder(self) -> str:
        """Of the run; equal work of several claims is done once."""
        said = {"model": self.model, **self.options, **self.changes}
        parts = [f"{k}-{v}" for k, v in said.items() if k != "model"]
        words = "_".join([self.model, *parts, f"seed-{self.seed}"])
        return "".join(c if c.isalnum() or c in "-_." else "+" for c in words)

    def config(self, data: str, scale: Scale) -> TrainConfig:
        """The defaults of `pumice train`, but for the scale and what the claim is about."""
        config = classify(data, self.model, seed=self.seed, model_options=self.options, **self.changes)
        lr = config.lr * math.sqrt(scale.batch / config.batch_size)
        return replace(config, batch_size=scale.batch, lr=lr, accelerator=scale.device)


class Images:
    """CIFAR-10 as it is used, decoded: to train on, to watch while training, to test."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        whole = open_data(str(folder))
        train_set = whole.train.subset(_first(whole.train.labels, scale.images))
        watched = whole.val.subset(_first(whole.val.labels, WATCHED))
        self.used = Splits(whole.source, train_set, watched)
        self.test = keep_decoded(whole.val)
        for images in (keep_decoded(train_set), self.test):
            fill(images)


def _first(labels: Sequence[int], most: int) -> list[int]:
    """Indices of the first images of each class."""
    seen: defaultdict[int, int] = defaultdict(int)
    kept = []
    for i, label in enumerate(labels):
        seen[label] += 1
        if seen[label] <= most:
            kept.append(i)
    return kept


def run(job: Job, images: Images, out: Path, scale: Scale) -> None:
    """Train, or go on, and test the last weights."""
    place = out / job.folder
    if (place / "config.json").is_file():
        result = resume(place, splits=images.used)
    else:
        result = train(job.config(images.used.source, scale), place, splits=images.used)
    if result.interrupted:
        return
    condensed = place / "condensed.safetensors"
    weights = condensed if condensed.exists() else place / "last.safetensors"
    with open_session(weights, runtime="eager", device=scale.device) as session:
        assert session.manifest is not None
        scores = evaluate(session, session.manifest.preprocess, images.test, batch_size=250)
    write_json(place / FINISHED, {"top1": scores.top1, "loss": scores.loss, "images": scores.count})


@dataclass
class Task:
    """A piece of work, and those that must be done before."""

    name: str
    do: Callable[[], None]
    needed: "tuple[Task, ...]" = ()
    process: BaseProcess | None = None

    @property
    def ready(self) -> bool:
        """Whether it can begin."""
        return all(task.done for task in self.needed)

    @property
    def done(self) -> bool:
        """Whether it has ended well."""
        return self.process is not None and self.process.exitcode == 0


def tasks_of(jobs: Sequence[Job], images: Images, out: Path, scale: Scale, once: bool) -> list[Task]:
    """The runs that are not finished, those of a seed after its images have been changed."""
    waiting = [job for job in jobs if not (out / job.folder / FINISHED).exists()]
    shown = keep_decoded(images.used.train)
    tasks: list[Task] = []
    changing: defaultdict[Any, list[Task]] = defaultdict(list)
    for job in waiting:
        config = job.config(images.used.source, scale)
        side = config.img_size
        assert side is not None
        kind = kind_of(job.seed, Preprocess(size=(side, side)), augment_of(config))
        if once and kind not in changing:
            epochs = max(j.changes["epochs"] for j in waiting if (j.seed, j.changes["img_size"]) == (job.seed, side))
            keep(kind, epochs, len(shown))
            changing[kind] = [
                Task(f"epoch {epoch + 1} of seed {job.seed} at {side} pixels", partial(change, kind, epoch, shown))
                for epoch in range(epochs)
            ]
            tasks += changing[kind]
        needed = tuple(changing[kind]) if once else ()
        name = f"{job.claim}, {job.label}, seed {job.seed}"
        tasks.append(Task(name, partial(run, job, images, out, scale), needed))
    if once:
        install()
    return tasks


def work(tasks: Sequence[Task], workers: int, minutes: float | None, log: Path) -> None:
    """Do them, some at a time; after so many minutes, stop those that are under way, which can go on later."""
    torch.set_num_threads(1)
    for name in LIBRARIES:
        import_module(name)
    fork = get_context("fork")
    begun = time.monotonic()
    waiting, running = list(tasks), list[Task]()
    try:
        while waiting or running:
            if minutes is not None and time.monotonic() - begun > 60 * minutes:
                break
            while len(running) < workers and (task := next((t for t in waiting if t.ready), None)) is not None:
                waiting.remove(task)
                task.process = fork.Process(target=_apart, args=(task.do, log))
                task.process.start()
                running.append(task)
            if not running:
                break  # what is left needs what has failed
            time.sleep(0.2)
            for task in [t for t in running if t.process is not None and not t.process.is_alive()]:
                running.remove(task)
                assert task.process is not None
                how = "done" if task.done else f"failed ({task.process.exitcode})"
                print(f"{time.monotonic() - begun:.0f} s, {how}: {task.name}; {len(waiting)} to begin", flush=True)
    finally:
        for task in running:
            assert task.process is not None
            task.process.terminate()
        for task in running:
            assert task.process is not None
            task.process.join()


def _apart(do: Callable[[], None], log: Path) -> None:
    """In a process of its own, whose words go into a file."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
        try:
            do()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    os._exit(0)  # libraries that the first process has imported have things to end that are not ours


def check_scale(out: Path, scale: Scale) -> str | None:
    """What is wrong with training at this scale into a folder that holds other runs; writes the scale down."""
    file, wanted = out / "scale.json", asdict(scale)
    if file.exists() and read_json(file) != wanted:
        return f"{out} holds runs of another scale: {read_json(file)}"
    write_json(file, wanted)
    return None
