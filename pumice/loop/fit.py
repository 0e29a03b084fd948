"""`fit`: images and a budget in; a trained, measured and verified model file out."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.cost.budget import Budget
from pumice.cost.predicted import guessed
from pumice.cost.timing import PREDICTED
from pumice.errors import BadInput, CheckFailed
from pumice.files import read_json, write_json
from pumice.loop.candidates import JUDGED, Candidate, promising, propose, remaining
from pumice.loop.config import FitConfig
from pumice.loop.where import own_threads, table, there

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import Splits

MARGIN = (
    0.1  # of the latency budget kept in hand: a core of a shared machine drifts by more within minutes (docs/log.md)
)
MEASURING = 0.3  # share of the time that measuring candidates may take
SHIPPING_S = 40.0  # for export, verification, measurement and report; less of a short budget
SECOND_CHANCE = 0.2  # of the time, when every candidate that was tried turned out too slow
SHOWN = 8  # candidates named before training


@dataclass(frozen=True)
class FitResult:
    """What `fit` came to.

    out: run folder.  file: the model file.
    model, input_size, runtime: what ships.  top1: of the file, on validation images.
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
    from pumice.data.open import open_data

    splits = open_data(config.data, seed=config.seed, val_fraction=config.val_fraction, strict=config.strict)
    for one in splits.skipped[:10]:
        say(f"skipped {one.path}: {one.reason}")
    if splits.skipped:
        total = len(splits.skipped) + len(splits.train) + len(splits.val)
        say(f"{len(splits.skipped)} of {total} files skipped")
    runtimes = _runtimes(config)
    made = _claim(out, config)
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
    from pumice.loop.screen import screen
    from pumice.loop.ship import at_size, try_out, withdraw
    from pumice.train.environment import environment

    write_json(out / "environment.json", environment())
    write_json(out / "data.json", description(splits))
    build = _builder(config, len(splits.classes))
    candidates = propose(config, len(splits.classes), runtimes, _only(config))
    say(f"{len(splits.train)} images of {len(splits.classes)} classes to train, {len(splits.val)} to judge")
    lut = table(config)
    if lut is not None:
        say(f"latencies are {PREDICTED}: {lut.machine}, {lut.runtime}, {lut.threads} thread(s)")
    screen(candidates, config, build, started + MEASURING * config.time_s)
    write_json(out / "candidates.json", [c.to_json() for c in candidates])
    pool = promising(candidates, MARGIN, config.budget)
    _say_judged(candidates, pool, say)
    if not pool:
        _refuse(candidates, config, splits, out, started)

    deadline = started + config.time_s - min(SHIPPING_S, 0.25 * config.time_s)
    adapted = config.pretrained or config.weights is not None

    def make(candidate: Candidate) -> Runner:
        net = build(candidate.model)
        at_size(net, candidate.size)
        images = len(splits.train)
        recipe = config_for(candidate, config.data, config.seed, images, adapted=adapted, freeze=config.freeze)
        return enter(candidate, net, recipe, splits)

    rungs: list[dict[str, Any]] = []
    while pool:
        runners = start(pool, splits, max(1.0, deadline - time.perf_counter()), adapted, make)
        say(f"training {len(runners)}: {', '.join(r.candidate.label for r in runners)}")
        ordered, more = halve(
            runners, splits, deadline, say, lambda r: try_out(r.net, r.candidate, config, splits.classes, out)
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
    from pumice.loop.ship import MODEL, keeps, ship
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
    candidate.status, candidate.val_top1 = "shipped", scores.top1
    candidate.reason = "best top-1 within the budget"
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
            "task": "classify",
            "model": candidate.model,
            "input_size": list(manifest.input_size),
            "runtime": candidate.runtime,
            "data": config.data,
            "file": MODEL,
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
            "catalogue": entry(candidate.model).to_json(),
        },
    )
    write_card(out, "model.md")
    write_page([out], out / "report.html")
    say(f"{out / MODEL}: verified on {checked.images} images, at most {timing.bound_words}")
    return FitResult(
        out,
        out / MODEL,
        candidate.model,
        manifest.input_size,
        candidate.runtime,
        scores.top1,
        bound,
        clock,
        True,
        seconds,
        timing.predicted,
    )


def _is_of(one: dict[str, Any], candidate: Candidate) -> bool:
    same = one["model"] == candidate.model and one["runtime"] == candidate.runtime
    return same and one["input_size"][1] == candidate.size


def _runtimes(config: FitConfig) -> tuple[str, ...]:
    """The runtimes that may run the file: here, where it is verified, and where it is measured.

    A table is of one runtime, which need not be here: another one verifies the file then.

    Raises:
        BadInput: unknown, not installed, or one that reads no files; or the device that measures cannot be reached, or
            the table cannot be read.
    """
    from pumice.deploy.session import installed, require

    lut = table(config)
    able, wanted = ("onnxruntime", "openvino"), config.runtime if lut is None else lut.runtime
    if wanted != "auto" and wanted not in able:
        raise BadInput(f"fit cannot ship for runtime {wanted!r}; choose {' or '.join(able)}")
    anything = wanted == "auto" or lut is not None
    here = tuple(name for name in able if installed(name)) if anything else (require(wanted),)
    if not here:
        raise BadInput("fit ships files for onnxruntime or openvino; install them with `pip install 'pumice[deploy]'`")
    if lut is not None:
        return (lut.runtime,)
    device = there(config)
    found = here if device is None else tuple(name for name in here if name in device.machine.versions)
    if device is not None and not found:
        raise BadInput(f"{device.address} has no {' and no '.join(here)}; run `pip install {here[0]} numpy` there")
    return found


def _only(config: FitConfig) -> str | None:
    """The network that the weights file belongs to."""
    if config.weights is None:
        return None
    from pumice.models.weights import owner_of

    return owner_of(config.weights)


def _builder(config: FitConfig, num_classes: int) -> Callable[[str], "nn.Module"]:
    """A function from a name to its network with a head for the data's classes; the same seed, the same weights."""
    from pumice.recipes.small_data import classify
    from pumice.train.net import build_net

    def build(name: str) -> "nn.Module":
        recipe = classify(config.data, name, pretrained=config.pretrained, weights=config.weights)
        return build_net(replace(recipe, seed=config.seed), tuple(map(str, range(num_classes))))

    return build


def _say_judged(candidates: list[Candidate], pool: list[Candidate], say: Callable[[str], None]) -> None:
    judged, over = sum(c.status in JUDGED for c in candidates), sum(c.status == "over budget" for c in candidates)
    say(
        f"{len(candidates)} candidates: {judged} within budget, {over} over, "
        f"{len(candidates) - judged - over} without a latency"
    )
    if warning := guessed(timing for c in candidates for timing in c.timings):
        say(warning)
    for c in pool[:SHOWN]:
        said = " predicted" if c.timings[-1].predicted else ""
        say(f"  {c.label}: {c.bound_ms:.3g} ms{said}, {c.madds / 1e6:.4g} M multiply-adds")


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


def _claim(out: Path, config: FitConfig) -> bool:
    """Make the run folder and its config.json; whether it was new.  A `fit` that was killed there is begun again.

    Raises:
        BadInput: the folder holds something else.
    """
    held = out / "config.json"
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; name a folder for the run")
    if held.is_file():
        unfinished = not (out / "metrics.json").exists() and read_json(held).get("verb") == "fit"
        if not unfinished:
            raise BadInput(f"{out} holds another run; choose another --out")
    elif out.is_dir() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty; choose another --out")
    new = not out.exists()
    write_json(held, config.to_json())
    return new
