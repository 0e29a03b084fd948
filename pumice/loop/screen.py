"""Measure candidates where the budget is for: folded, exported, in the runtime that they would ship in.

Where a lookup table stands for that device, it says their latencies: nothing is exported, run or kept.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from torch import nn

from pumice.cost.database import lookup, measurement_key, store
from pumice.cost.lut.table import Lut
from pumice.cost.predicted import guessed, timing_of
from pumice.cost.remote.runner import Item, time_items
from pumice.deploy.direct import write_network
from pumice.deploy.export import export
from pumice.deploy.network import folded
from pumice.deploy.onnx import export_to_measure
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.loop.candidates import JUDGED, NATIVE, Candidate, mark
from pumice.loop.config import FitConfig
from pumice.loop.where import table, there
from pumice.models.described import config_of
from pumice.models.manifest import ModelConfig
from pumice.progress import track
from pumice.tasks.names import CLASSIFY

# Latency grows slower than multiply-adds: on one machine, nets of 3 M and 216 M took 1.4 and 6.4 ms.
EXPONENT = 0.75
USUAL_RATE = 3.2e-6  # ms per multiply-add ** EXPONENT: such a machine, before anything was measured on this one
HOPELESS = 1.5  # times the budget, by the most hopeful prediction: not worth an export
SHOWN = 8  # candidates named before training
NO_TIME = "no time left to measure it"
A_CANDIDATE_S = 0.35  # of measuring; the winner's file is measured at length


def screen(candidates: list[Candidate], config: FitConfig, build: Callable[[str], nn.Module], deadline: float) -> None:
    """Measure or predict what may keep the budget, the most promising networks first, until `deadline`.

    deadline: of time.perf_counter.

    One network is exported once, open in its input size, and all its candidates are timed against each other.  Code of
    the native engine is of one size: it is compiled for each, which takes longer than anything else here.
    Measurements of the last 30 days on that machine are taken from the database.
    """
    open_ones = [c for c in candidates if c.status == "not measured"]
    models = {name: list(group) for name, group in groupby(open_ones, key=lambda c: c.model)}
    order = sorted(models, key=lambda name: -best_promise(models[name], candidates, config))
    lut = table(config)
    for name in track(order, "measuring candidates" if lut is None else "predicting candidates"):
        wanted = [c for c in models[name] if not hopeless(c, candidates, config)]
        if not wanted:
            continue
        if time.perf_counter() > deadline:
            for c in wanted:
                c.reason = NO_TIME if lut is None else "no time left to predict it"
            continue
        net = build(name)
        try:
            if lut is not None:
                foretell(wanted, lut, net)
            else:
                recall(wanted, config, described(net))
                if missing := [c for c in wanted if not c.timings and c.runtime != NATIVE]:
                    measure(missing, config, net)
                for c in (c for c in wanted if not c.timings and not hopeless(c, candidates, config)):
                    measure_compiled(c, config, net, deadline)
        except BadInput as error:
            for c in [c for c in wanted if not c.timings]:
                c.reason = str(error)
        for c in wanted:
            if c.timings:
                settle(c, config)


def settle(candidate: Candidate, config: FitConfig) -> None:
    """A candidate with a latency keeps the budget or does not."""
    candidate.status = "predicted" if candidate.timings[-1].predicted else "measured"
    mark(candidate, config.budget)


def key_of(candidate: Candidate, model: ModelConfig, config: FitConfig) -> str:
    """Under which the database keeps its latency."""
    size = (model.in_chans, *candidate.shape)
    device = there(config)
    where = device.machine if device else None
    return measurement_key(model, runtime=candidate.runtime, input_size=size, threads=config.threads, where=where)


def recall(candidates: Iterable[Candidate], config: FitConfig, model: ModelConfig) -> None:
    """Take earlier measurements of the same network from the database."""
    for c in candidates:
        timing = lookup(key_of(c, model, config))
        if timing is not None:
            c.timings.append(timing)


def described(net: nn.Module) -> ModelConfig:
    """The config of a network of `create_model`."""
    config = config_of(net)
    assert config is not None
    return config


def expected(candidate: Candidate, known: list[Candidate]) -> tuple[float, float]:
    """Latency in ms to expect by its multiply-adds: at the fastest rate known so far, and at the middle one."""
    rates = sorted(c.timings[-1].p50_ms / c.madds**EXPONENT for c in known if c.timings) or [0.0, USUAL_RATE]
    return rates[0] * candidate.madds**EXPONENT, rates[len(rates) // 2] * candidate.madds**EXPONENT


def hopeless(candidate: Candidate, known: list[Candidate], config: FitConfig) -> bool:
    """Whether measuring is pointless: a smaller input was over budget already, or nothing came near such a speed."""
    limit = config.budget.max_latency_ms
    if limit is None:
        return False
    for c in known:
        same = (c.model, c.runtime) == (candidate.model, candidate.runtime)
        if same and c.size < candidate.size and c.timings and c.timings[-1].p50_ms > HOPELESS * limit:
            candidate.status = "over budget"
            candidate.reason = f"at {c.size} it takes {c.timings[-1].p50_ms:.3g} ms already"
            return True
    least, _ = expected(candidate, known)
    if least > HOPELESS * limit:
        candidate.reason = (
            f"at the best speed {'measured here' if config.lut is None else 'predicted'} it would take {least:.3g} ms"
        )
        return True
    return False


def best_promise(group: list[Candidate], known: list[Candidate], config: FitConfig) -> float:
    """The best promise of a network among the sizes that look like keeping the budget."""
    limit = config.budget.max_latency_ms
    near = [c.promise for c in group if limit is None or expected(c, known)[1] <= 1.2 * limit]
    return max(near, default=0.0)


def measure(wanted: list[Candidate], config: FitConfig, net: nn.Module) -> None:
    """Export one network and time it at every wanted size and runtime, interleaved.

    Raises:
        BadInput: it cannot be exported.
    """
    model = described(net)
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for c in wanted:
            size = (model.in_chans, *c.shape)
            # TensorFlow's padding is computed from the size: left open, that made EfficientNet-lite0 3 times slower.
            open_size = model.padding != "same" and config.task == CLASSIFY
            file = Path(folder, f"{0 if open_size else c.size}.onnx")
            if not file.exists() and config.task == CLASSIFY:
                export_to_measure(net, file, size, open_size=open_size)
            elif not file.exists():  # torch's older exporter stumbles over what resizes to a computed size
                write_network(folded(net, size), file, size)
            items.append(Item(str(file), c.model, c.runtime, config.threads, input_size=size))
        device = there(config)
        measuring = device.time if device else time_items
        timings = measuring(items, time_limit_s=A_CANDIDATE_S * len(wanted), seed=config.seed)
    for c, timing in zip(wanted, timings, strict=True):
        c.timings.append(timing)
        store(timing, key_of(c, model, config))


def measure_compiled(candidate: Candidate, config: FitConfig, net: nn.Module, deadline: float) -> None:
    """Compile one network at one size, until `deadline`, and time it.

    Raises:
        BadInput: it cannot be compiled.
    """
    if time.perf_counter() > deadline:
        candidate.reason = NO_TIME
        return
    model = described(net)
    size = (model.in_chans, *candidate.shape)
    with tempfile.TemporaryDirectory() as folder:
        made = export(net, Path(folder, "model.so"), check=False, input_size=size)
        item = Item(str(made.path), candidate.model, candidate.runtime, config.threads, input_size=size)
        timing = time_items([item], time_limit_s=A_CANDIDATE_S, seed=config.seed)[0]
    candidate.timings.append(timing)
    store(timing, key_of(candidate, model, config))


def foretell(wanted: list[Candidate], lut: Lut, net: nn.Module) -> None:
    """Let a table say the latency of one network at every wanted size.

    Raises:
        BadInput: it cannot be traced.
    """
    channels = described(net).in_chans
    still = folded(net, (channels, *wanted[0].shape))
    for c in wanted:
        c.timings.append(timing_of(lut, trace(still, (channels, *c.shape), name=c.model), c.model))


def say_judged(candidates: list[Candidate], pool: list[Candidate], say: Callable[[str], None]) -> None:
    """Tell how many candidates keep the budget, and which are the most promising."""
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
