"""Successive halving: train the promising candidates a little, keep the better half, train longer.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016,
arXiv:1502.07943, with the time of a training step measured, so that each rung gives every candidate equal seconds.
A rung is a whole schedule, annealed to its end, and the next one goes on from its weights.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from pumice.data.images import ImageSet, Splits
from pumice.loop.candidates import Candidate
from pumice.models.families import family_of
from pumice.recipes.small_data import classify
from pumice.recipes.small_dense import dense
from pumice.tasks.names import CLASSIFY
from pumice.train.config import TrainConfig
from pumice.train.trainer import judged_weights, train_once

WORDS = {CLASSIFY: "top-1", "detect": "AP", "segment": "mIoU", "keypoints": "PCK"}  # of the figure that decides
LAST_SHARE = 0.55  # of the training time goes to the last one standing
MOST_VAL = 1000  # images that judge a rung; the winner is judged on all
PROBE = 2  # batches that show how fast a network trains
MOST = 8  # candidates that start
A_MODEL = 2  # input sizes of one network among them
WANTED_EPOCHS = {False: 10.0, True: 3.0}  # that the last one standing should see; fewer where weights are adapted
ENOUGH_IMAGES = 40_000.0  # whatever the number of epochs
OVERTIME = 1.3  # times a rung's seconds: then it stops in the middle of its schedule, for the machine has become slower
FEWEST_STEPS = 100  # of a rung, or smaller batches
LEAST_IMAGES = {False: 3000.0, True: 300.0}  # a net that sees fewer is at chance, whatever its promise (docs/log.md)
HALVED = 6.0  # points of promise that seeing half as many images costs: a prior for the order, like the promise


@dataclass
class Runner:
    """A candidate in training.

    images_s: training images a second.
    seconds: trained so far.  top1: on validation images, at the end of its last rung.
    """

    candidate: Candidate
    net: nn.Module
    config: TrainConfig
    images_s: float = 0.0
    seconds: float = 0.0
    top1: float = 0.0


def config_for(
    candidate: Candidate,
    data: str,
    seed: int,
    images: int,
    *,
    adapted: bool,
    freeze: bool,
    task: str = CLASSIFY,
    task_options: dict[str, Any] | None = None,
) -> TrainConfig:
    """The recipe for small data, for this candidate."""
    if task != CLASSIFY:
        options: dict[str, Any] = {"img_size": candidate.shape, "seed": seed, "task_options": task_options or {}}
        return dense(task, data, candidate.model, pretrained=adapted, **options)
    changes: dict[str, Any] = {
        "img_size": candidate.size,
        "seed": seed,
        "batch_size": 64 if images >= 1000 else 32 if images >= 200 else 16,
        # Convolutions train 1.4 times as fast in this layout; MicroNet's tiny groups 1.1 times slower (docs/log.md).
        "channels_last": not family_of(candidate.model).__name__.endswith("micronet"),
    }
    if freeze:
        changes["freeze"] = "backbone"
    config = classify(data, candidate.model, **changes)
    if adapted:
        start = classify(data, candidate.model, pretrained=True)
        config = replace(config, lr=start.lr)
    return config


def enter(candidate: Candidate, net: nn.Module, config: TrainConfig, splits: Splits) -> Runner:
    """Measure how fast a candidate trains, on a copy of its weights."""
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    few = evenly(splits.train, PROBE * config.batch_size)
    probe = replace(splits, train=few, val=evenly(splits.val, 2))
    once = replace(config, epochs=1, warmup_epochs=0.0)
    train_once(net, replace(probe, train=evenly(few, config.batch_size)), once)  # the first steps are slower
    started = time.perf_counter()
    train_once(net, probe, once)
    images_s = len(few) / (time.perf_counter() - started)
    net.load_state_dict(kept)
    return Runner(candidate, net, config, images_s)


def evenly(images: ImageSet, count: int) -> ImageSet:
    """At most `count` images, evenly spaced."""
    if len(images) <= count:
        return images
    return images.subset(i * len(images) // count for i in range(count))


def shuffled(images: ImageSet, count: int, seed: int) -> ImageSet:
    """At most `count` images, drawn without replacement."""
    import random

    return (
        images if len(images) <= count else images.subset(sorted(random.Random(seed).sample(range(len(images)), count)))
    )


def run_rung(runner: Runner, splits: Splits, seconds: float, rung: int) -> list[dict[str, float]]:
    """Train one candidate for about so many seconds, and judge it; its rows, one an epoch."""
    val = evenly(splits.val, MOST_VAL)
    # Judging an image costs about a third of training on it.
    images = max(2 * runner.config.batch_size, int(runner.images_s * seconds - len(val) / 3))
    epochs = max(1, int(images / (len(splits.train) + len(val) / 3)))
    train = splits.train if images >= len(splits.train) else shuffled(splits.train, images, runner.config.seed + rung)
    # Few images make few steps: smaller batches then, with a lower rate.
    batch = next((b for b in (64, 32) if b <= runner.config.batch_size and images >= FEWEST_STEPS * b), 16)
    batch = min(batch, runner.config.batch_size)
    config = replace(
        runner.config,
        epochs=epochs,
        warmup_epochs=min(2.0, epochs / 5),
        seed=runner.config.seed + 1000 * rung,
        batch_size=batch,
        lr=runner.config.lr * math.sqrt(batch / runner.config.batch_size),
        time_limit_s=max(5.0, OVERTIME * seconds),
    )
    state, rows = train_once(runner.net, replace(splits, train=train, val=val), config)
    runner.net.load_state_dict(judged_weights(state))
    runner.top1 = main_of(rows[-1])
    curve = [{**row, "seconds": runner.seconds + row["seconds"]} for row in rows]
    runner.seconds = curve[-1]["seconds"]
    return curve


def main_of(row: dict[str, float]) -> float:
    """The figure of an epoch by which candidates are compared: top-1, or the first that a dense task has."""
    return row["val_top1"] if "val_top1" in row else next(row[key] for key in row if key.startswith("val_"))


def start(
    pool: list[Candidate], splits: Splits, seconds: float, adapted: bool, make: Callable[[Candidate], Runner]
) -> list[Runner]:
    """The candidates to train in so many seconds: the best promise first, less what is lost by seeing few images.

    One candidate in the middle shows how fast this machine trains, and the others are taken to train as much faster or
    slower as they run; as many start as a rung can give an epoch each.
    """
    began = time.perf_counter()
    anchor = sorted(pool, key=lambda c: c.p50_ms or 0)[len(pool) // 2]
    first = make(anchor)
    wanted = min(ENOUGH_IMAGES, WANTED_EPOCHS[adapted] * len(splits.train))

    def outlook(c: Candidate) -> float:
        seen = first.images_s * (anchor.p50_ms or 1.0) / (c.p50_ms or 1.0) * seconds * LAST_SHARE
        if seen < LEAST_IMAGES[adapted]:
            return seen - LEAST_IMAGES[adapted]
        return c.promise - HALVED * max(0.0, math.log2(wanted / seen))

    chosen: list[Runner] = []
    for c in sorted(pool, key=lambda c: (-outlook(c), c.bound_ms or 0)):
        if len(chosen) == MOST or sum(r.candidate.model == c.model for r in chosen) == A_MODEL:
            continue
        epochs_s = sum(len(splits.train) / r.images_s for r in [*chosen, *chosen[-1:]])
        left = seconds - (time.perf_counter() - began)
        if chosen and epochs_s > left * (1 - LAST_SHARE) / 3:
            break
        chosen.append(first if c is anchor else make(c))
    return chosen


def halve(
    runners: list[Runner],
    splits: Splits,
    deadline: float,
    said: Callable[[str], None],
    check: Callable[[Runner], bool],
) -> tuple[list[Runner], list[dict[str, Any]]]:
    """Train until `deadline` (time.perf_counter).

    check: whether a candidate, exported as it is now, keeps the budget; asked before the last, long rung.

    Returns:
        the candidates, the best first, and the rungs as rungs.json holds them.
    """
    rungs: list[dict[str, Any]] = []
    standing, out = list(runners), list[Runner]()
    stages = max(0, (len(standing) - 1).bit_length())
    available = deadline - time.perf_counter()
    for rung in range(stages):
        each = available * (1 - LAST_SHARE) / stages / len(standing)
        record = []
        for runner in standing:
            curve = run_rung(runner, splits, each, rung)
            record.append({**place(runner.candidate), "curve": curve})
            runner.candidate.status, runner.candidate.val_top1 = "trained", runner.top1
            word = WORDS[runner.config.task]
            said(f"rung {rung + 1}: {runner.candidate.label}: {word} {runner.top1:.1%} after {runner.seconds:.0f} s")
        rungs.append({"rung": rung, "candidates": record})
        standing.sort(key=lambda r: (-r.top1, r.candidate.bound_ms or r.candidate.madds))
        keep = (len(standing) + 1) // 2
        out = standing[keep:] + out
        standing = standing[:keep]
    ordered = standing + out
    for runner in ordered:
        if check(runner):
            curve = run_rung(runner, splits, max(1.0, deadline - time.perf_counter()), stages)
            rungs.append({"rung": stages, "candidates": [{**place(runner.candidate), "curve": curve}]})
            runner.candidate.status, runner.candidate.val_top1 = "trained", runner.top1
            return [runner, *(r for r in ordered if r is not runner)], rungs
    return ordered, rungs


def place(candidate: Candidate) -> dict[str, Any]:
    """What tells candidates apart in rungs.json."""
    return {"model": candidate.model, "input_size": [3, *candidate.shape], "runtime": candidate.runtime}
