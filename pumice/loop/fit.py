"""`fit`: images and a budget in; a trained, measured and verified model file out."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.cost.budget import Budget
from pumice.cost.timing import PREDICTED
from pumice.errors import BadInput, CheckFailed
from pumice.files import write_json
from pumice.loop.begin import builder, claim, only_net, opened, runtimes_for
from pumice.loop.candidates import Candidate, promising, propose, remaining
from pumice.loop.config import FitConfig
from pumice.loop.dense import propose_dense
from pumice.loop.where import own_threads, table
from pumice.tasks.names import CLASSIFY

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import Splits

MARGIN = (
    0.1  # of the latency budget kept in hand: a core of a shared machine drifts by more within minutes (docs/log.md)
)
MEASURING = 0.3  # share of the time that measuring candidates may take
LEAST_MEASURING = 0.1
SHIPPING_S = 40.0  # for export, verification, measurement and report; less of a short budget
SECOND_CHANCE = 0.2  # of the time, when every candidate that was tried turned out too slow


@dataclass(frozen=True)
class FitResult:
    """What `fit` came to.

    out: run folder.  file: the model file.
    model, input_size, runtime: what ships.  top1: of the file, on validation images; of a dense task its main figure.
    said: the same in words.
    bound_ms: upper 95 % bound of its latency, measured in a fresh process; clock: "wall", or "cpu" on a busy machine.
    predicted: that bound was not measured: a lookup table of another device predicts it.
    """

    out: Path
    file: Path
    model: str
    input_size: tuple[int, int, int]
    runtime: str
    top1: float
    bound_ms: float
    clock: str
    within_budget: bool
    seconds: float
    predicted: bool = False
    said: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "out": str(self.out), "file": str(self.file), "input_size": list(self.input_size)}


def fit(
    data: str | Path,
    *,
    max_latency_ms: float | None = None,
    max_madds: int | None = None,
    max_params: int | None = None,
    max_size_bytes: int | None = None,
    max_memory_bytes: int | None = None,
    out: str | Path = "runs/fit",
    say: Callable[[str], None] | None = None,
    **settings: Any,
) -> FitResult:
    """Choose, train, export, verify and measure a network for these images within this budget.

    Candidates (network x input size x runtime) are measured on this machine, or on the device `on`, those over budget
    dropped, the promising ones trained by successive halving, and the winner's file verified and measured again.  With
    `lut`, the lookup table of another device, every latency is predicted instead, and said to be.

    Args:
        data: `digits` or an image folder.
        max_latency_ms: upper 95 % bound of the median forward pass of one image.
        max_madds, max_params, max_size_bytes, max_memory_bytes: further limits.
        out: run folder to make.
        say: told of every step in a sentence.
        settings: fields of `FitConfig`: runtime, threads, on, lut, time_s, seed, pretrained, weights, models, ...

    Raises:
        BadInput: data, budget or settings that cannot work.
        CheckFailed: nothing keeps the budget; the message says by how much the closest misses.
    """
    settings["threads"] = own_threads(settings.get("threads"), settings.get("lut"))
    budget = Budget(max_latency_ms, max_madds, max_params, max_size_bytes, max_memory_bytes)
    return run(FitConfig(data=str(data), budget=budget, **settings), Path(out), say or (lambda sentence: None))


def run(config: FitConfig, out: Path, say: Callable[[str], None]) -> FitResult:
    """`fit` of a config; the run folder's config.json is there before torch is imported."""
    started = time.perf_counter()
    splits = opened(config)
    for one in splits.skipped[:10]:
        say(f"skipped {one.path}: {one.reason}")
    if splits.skipped:
        total = len(splits.skipped) + len(splits.train) + len(splits.val)
        say(f"{len(splits.skipped)} of {total} files skipped")
    runtimes = runtimes_for(config)
    made = claim(out, config)
    try:
        result = _run(config, out, say, started, splits, runtimes)
    except BadInput:
        if made:
            shutil.rmtree(out, ignore_errors=True)
        raise
    return result


def _run(
    config: FitConfig,
    out: Path,
    say: Callable[[str], None],
    started: float,
    splits: "Splits",
    runtimes: tuple[str, ...],
) -> FitResult:
    from pumice.data.describe import description
    from pumice.loop.halving import Runner, config_for, enter, halve, start
    from pumice.loop.screen import say_judged, screen
    from pumice.loop.ship import at_size, try_out, withdraw
    from pumice.train.environment import environment

    write_json(out / "environment.json", environment())
    write_json(out / "data.json", description(splits))
    build = builder(config, len(splits.classes))
    if config.task == CLASSIFY:
        candidates = propose(config, len(splits.classes), runtimes, only_net(config))
    else:
        candidates = propose_dense(config, splits, runtimes, build)
    say(f"{len(splits.train)} images of {len(splits.classes)} classes to train, {len(splits.val)} to judge")
    lut = table(config)
    if lut is not None:
        say(f"latencies are {PREDICTED}: {lut.machine}, {lut.runtime}, {lut.threads} thread(s)")
    least = time.perf_counter() + LEAST_MEASURING * config.time_s  # counting may have taken long
    screen(candidates, config, build, max(started + MEASURING * config.time_s, least))
    write_json(out / "candidates.json", [c.to_json() for c in candidates])
    pool = promising(candidates, MARGIN, config.budget)
    say_judged(candidates, pool, say)
    if not pool:
        _refuse(candidates, config, splits, out, started)

    deadline = started + config.time_s - min(SHIPPING_S, 0.25 * config.time_s)
    adapted = config.pretrained or config.weights is not None

    def make(candidate: Candidate) -> Runner:
        net = build(candidate.model)
        at_size(net, *candidate.shape)
        how: dict[str, Any] = {"adapted": adapted, "freeze": config.freeze}
        how |= {"task": config.task, "task_options": config.task_options}
        recipe = config_for(candidate, config.data, config.seed, len(splits.train), **how)
        return enter(candidate, net, recipe, splits)

    rungs: list[dict[str, Any]] = []
    while pool:
        runners = start(pool, splits, max(1.0, deadline - time.perf_counter()), adapted, make)
        say(f"training {len(runners)}: {', '.join(r.candidate.label for r in runners)}")
        ordered, more = halve(
            runners, splits, deadline, say, lambda r: try_out(r.net, r.candidate, config, splits, out)
        )
        rungs += [{**rung, "rung": len(rungs) + i} for i, rung in enumerate(more)]
        write_json(out / "rungs.json", rungs)
        write_json(out / "candidates.json", [c.to_json() for c in candidates])
        for runner in ordered:
            if runner.candidate.status != "trained":
                continue
            result = _ship(runner.net, runner.candidate, candidates, rungs, config, splits, out, started, say)
            if result is not None:
                return result
            withdraw(out)
        pool = remaining(pool, config.budget)
        deadline = max(deadline, time.perf_counter() + SECOND_CHANCE * config.time_s)
        say(f"none of those keeps the budget as a file; {len(pool)} other candidates are left")
    return _refuse(candidates, config, splits, out, started)


def _ship(
    net: "nn.Module",
    candidate: Candidate,
    candidates: list[Candidate],
    rungs: list[dict[str, Any]],
    config: FitConfig,
    splits: "Splits",
    out: Path,
    started: float,
    say: Callable[[str], None],
) -> FitResult | None:
    """Ship one candidate; None if its file misses the budget after all."""
    from pumice.loop.halving import WORDS
    from pumice.loop.ship import keeps, ship
    from pumice.models.catalogue import entry
    from pumice.report.page import write_page
    from pumice.report.tables import write_card
    from pumice.train.records import write_metrics

    say(f"shipping {candidate.label}")
    manifest, made, checked, timing, scores = ship(net, candidate, config, splits, out)
    if not keeps(timing, made, candidate, config):
        candidate.status, candidate.reason = "over budget", f"its file's bound is {timing.bound_words}"
        say(f"{candidate.label}: {candidate.reason}; the next one is tried")
        return None
    candidate.status, candidate.val_top1 = "shipped", scores.main
    candidate.reason = f"best {WORDS[config.task]} within the budget"
    write_json(out / "candidates.json", [c.to_json() for c in candidates])
    mine = [one for rung in rungs for one in rung["candidates"] if _is_of(one, candidate)]
    epochs = [row for one in mine for row in one["curve"]]
    write_metrics(out / "metrics.csv", [{**row, "epoch": i + 1} for i, row in enumerate(epochs)])
    seconds = time.perf_counter() - started
    bound, clock = timing.bound_ms
    write_json(
        out / "metrics.json",
        {
            "finished": True,
            "task": config.task,
            "model": candidate.model,
            "input_size": list(manifest.input_size),
            "runtime": candidate.runtime,
            "data": config.data,
            "file": made.path.name,
            "file_bytes": made.bytes,
            "params": candidate.params,
            "madds": candidate.madds,
            "budget": config.budget.to_json(),
            "within_budget": True,
            "seconds": seconds,
            "images": {"train": len(splits.train), "val": len(splits.val), "skipped": len(splits.skipped)},
            "classes": list(splits.classes),
            "scores": scores.to_json(),
            "manifest": manifest.to_json(),
            "catalogue": entry(candidate.model.rpartition(":")[2]).to_json(),
        },
    )
    write_card(out, "model.md")
    write_page([out], out / "report.html")
    say(f"{made.path}: verified on {checked.images} images, at most {timing.bound_words}")
    return FitResult(
        out,
        made.path,
        candidate.model,
        manifest.input_size,
        candidate.runtime,
        scores.main,
        bound,
        clock,
        True,
        seconds,
        timing.predicted,
        scores.sentence(),
    )


def _is_of(one: dict[str, Any], candidate: Candidate) -> bool:
    same = one["model"] == candidate.model and one["runtime"] == candidate.runtime
    return same and one["input_size"][1] == candidate.size


def _refuse(candidates: list[Candidate], config: FitConfig, splits: "Splits", out: Path, started: float) -> FitResult:
    """Say by how much the closest candidate misses, in the run folder and as an error."""
    from pumice.report.page import write_page

    judged = [(max(m.ratio for m in misses), c, misses) for c in candidates if (misses := c.misses(config.budget))]
    if judged:
        _, closest, misses = min(judged, key=lambda item: item[0])
        worst = max(misses, key=lambda m: m.ratio)
        reason = f"nothing keeps this budget; the closest is {closest.label}: {worst}"
        if worst.name == "max_latency_ms" and closest.timings[-1].predicted:
            reason += f" ({PREDICTED})"
    else:
        reason = f"no candidate could be {'predicted' if config.lut else 'measured'} in this time; give a longer --time"
    write_json(out / "candidates.json", [c.to_json() for c in candidates])
    write_json(
        out / "metrics.json",
        {
            "finished": True,
            "data": config.data,
            "budget": config.budget.to_json(),
            "within_budget": False,
            "reason": reason,
            "seconds": time.perf_counter() - started,
            "images": {"train": len(splits.train), "val": len(splits.val), "skipped": len(splits.skipped)},
        },
    )
    write_page([out], out / "report.html")
    raise CheckFailed(reason)
