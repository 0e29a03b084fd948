"""Run experiments on this machine: the record that `pumice guidelines` prints and draws."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from pumice.cost import machine
from pumice.cost.count import profile
from pumice.cost.guidelines.experiment import Case, Claim, Column, Experiment, Widths
from pumice.cost.guidelines.experiments import check_names, experiment
from pumice.cost.guidelines.judge import Time, judge, overall, times
from pumice.cost.latency import time_sessions
from pumice.cost.timing import Timing
from pumice.deploy.compare import TOLERANCE, relative_error
from pumice.deploy.direct import write_direct
from pumice.deploy.session import Session, installed, open_session, require
from pumice.errors import BadInput, CheckFailed

Record = dict[str, Any]
PREFERRED = ("onnxruntime", "openvino", "eager")


@dataclass(frozen=True)
class Conditions:
    """How everything is measured.  case_s: seconds that each case may take in each runtime."""

    runtimes: tuple[str, ...]
    threads: int
    batch: int
    device: str
    widths: Widths
    case_s: float
    seed: int


@dataclass(frozen=True)
class Net:
    """A built case.  file: its ONNX file, None where no runtime reads one."""

    model: nn.Module
    input_size: tuple[int, int, int]
    madds: int
    file: Path | None


def run(
    names: Sequence[str] = (),
    *,
    runtimes: Sequence[str] = (),
    threads: int = 1,
    batch: int | None = None,
    device: str = "cpu",
    widths: Widths | None = None,
    time_limit_s: float = 300.0,
    seed: int = 0,
    said: Callable[[str], None] = lambda words: None,
) -> Record:
    """Measure experiments, column by column and runtime by runtime; the cases of a column are interleaved.

    Args:
        names: of `experiments.EXPERIMENTS`; the four guidelines if none is given.
        runtimes: those that are installed, by default; eager alone on another device than the processor.
        threads: of the runtime.
        batch: images a pass; 1 by default, and 8 on a GPU, the paper's batch for whole networks.
        device: "cpu", or "cuda" for eager.
        widths: of the layers, as `Widths` has them; "gpu" on a GPU and "arm" elsewhere if None.
        time_limit_s: of the measuring, all together; making the files comes on top of it.
        seed: of weights, inputs and orders.
        said: told what is being measured, before each column.

    Returns:
        JSON values: "experiments", each with its "columns" (cases and claims) and "verdicts", one a runtime, and the
        conditions.

    Raises:
        BadInput: an unknown experiment or width, or a runtime, device or number of threads that is not there.
        CheckFailed: a runtime does not compute what the network does.
    """
    chosen = [experiment(name) for name in check_names(list(names))]
    if widths is not None and widths not in get_args(Widths):
        raise BadInput(f"widths {widths!r} are unknown; choose {', '.join(get_args(Widths))}")
    layers: Widths = widths or ("arm" if device == "cpu" else "gpu")
    listed = tuple(runtimes) or (tuple(r for r in PREFERRED if installed(r)) if device == "cpu" else ("eager",))
    for name in listed:
        require(name)
    if device != "cpu" and listed != ("eager",):
        raise BadInput(f"only runtime eager runs on {device}; leave the other runtimes out")
    machine.check_threads(threads)
    columns = [(one, one.columns(layers)) for one in chosen]
    cases = sum(len(column.cases) for _, several in columns for column in several)
    case_s = time_limit_s / cases / len(listed)
    images = batch or (1 if device == "cpu" else 8)
    how = Conditions(listed, threads, images, device, layers, case_s, seed)
    start = perf_counter()
    done = [_experiment(one, several, how, said) for one, several in columns]
    return {
        "experiments": done,
        "runtimes": list(listed),
        "runtime_versions": {name: machine.runtime_version(name) for name in listed},
        **{key: value for key, value in asdict(how).items() if key in ("threads", "batch", "device", "widths", "seed")},
        "seconds": perf_counter() - start,
        "machine": machine.describe(),
    }


def _experiment(one: Experiment, columns: tuple[Column, ...], how: Conditions, said: Callable[[str], None]) -> Record:
    measured = []
    for column in columns:
        said(f"{one.name}: {column.title}")
        measured.append(_column(column, one, how))
    return {
        "name": one.name,
        "title": one.title,
        "statement": one.statement,
        "source": one.source,
        "paper": dict(one.paper),
        "columns": measured,
        "verdicts": [_summary(measured, runtime) for runtime in how.runtimes],
    }


def _column(column: Column, one: Experiment, how: Conditions) -> Record:
    timings: dict[str, list[Timing]] = {}
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        files = any(runtime != "eager" for runtime in how.runtimes)
        nets = [
            _net(case, size, Path(folder) / f"{i}.onnx" if files else None, how)
            for i, (case, size) in enumerate(zip(column.cases, column.input_sizes, strict=True))
        ]
        labels = [case.label for case in column.cases]
        for runtime in how.runtimes:
            with ExitStack() as opened:
                sessions = [opened.enter_context(_open(net, runtime, how)) for net in nets]
                for label, net, session in zip(labels, nets, sessions, strict=True):
                    _check(f"{one.name}, {column.title}, {label}", net, session, how.seed)
                limit = how.case_s * len(sessions)
                timings[runtime] = time_sessions(sessions, labels, time_limit_s=limit, seed=how.seed)
    madds = {label: net.madds for label, net in zip(labels, nets, strict=True)}
    seen = {name: dict(zip(labels, times(found), strict=True)) for name, found in timings.items()}
    return {
        "title": column.title,
        "cases": [
            {
                "label": case.label,
                "setting": case.setting,
                "input_size": list(net.input_size),
                "madds": net.madds,
                "paper": dict(case.paper),
                "measured": {name: _measured(timings[name][i], seen[name][case.label]) for name in how.runtimes},
            }
            for i, (case, net) in enumerate(zip(column.cases, nets, strict=True))
        ],
        "claims": [_claim(claim, column, one, madds, seen) for claim in column.claims],
    }


def _net(case: Case, input_size: tuple[int, int, int], file: Path | None, how: Conditions) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        model = case.build().eval()
    if file is None:
        return Net(model, input_size, profile(model, input_size).madds, file)
    graph = write_direct(model, file, input_size, batch=how.batch)
    return Net(model, input_size, graph.madds // how.batch, file)


def _open(net: Net, runtime: str, how: Conditions) -> Session:
    source = net.model if runtime == "eager" or net.file is None else net.file
    return open_session(
        source, runtime=runtime, threads=how.threads, batch=how.batch, input_size=net.input_size, device=how.device
    )


def _check(where: str, net: Net, session: Session, seed: int) -> None:
    """A runtime that computes something else may be fast: that would be no evidence."""
    shape = (session.batch, *net.input_size)
    x = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    with torch.inference_mode():
        error = relative_error(session.run(x), net.model(torch.from_numpy(x)).numpy())
    if error > TOLERANCE:
        raise CheckFailed(
            f"{session.runtime} disagrees with the network of {where} by {error:.1e} of its largest output; "
            "leave that runtime out"
        )


def _measured(timing: Timing, time: Time) -> Record:
    """The whole timing, and under "time" what counts of it, with the rates in the units of the papers."""
    batches = 1e3 / time.ms
    rates = {"batches_per_s": batches, "images_per_s": batches * timing.batch}
    return {**timing.to_json(), "time": {**asdict(time), **rates}}


def _claim(
    claim: Claim, column: Column, one: Experiment, madds: dict[str, int], seen: dict[str, dict[str, Time]]
) -> Record:
    published = {case.label: case.paper for case in column.cases}
    ratios = {}
    for device, unit in one.paper.items():
        fast, slow = published[claim.fast][device], published[claim.slow][device]
        ratios[device] = slow / fast if unit == "ms" else fast / slow
    work = madds[claim.fast] / madds[claim.slow] if claim.per_madd else 1.0
    here = {}
    for runtime, found in seen.items():
        judgement = judge(found[claim.fast], found[claim.slow], factor=claim.factor, work=work)
        saved_ms = found[claim.slow].ms - found[claim.fast].ms
        here[runtime] = {**asdict(judgement), "clock": found[claim.fast].clock, "saved_ms": saved_ms}
    return {
        "text": str(claim),
        "fast": claim.fast,
        "slow": claim.slow,
        "factor": claim.factor,
        "per_madd": claim.per_madd,
        "saved_madds": madds[claim.slow] - madds[claim.fast],
        "published_saved_ms": claim.saves_ms,
        "published_saved_madds": claim.saves_madds,
        "paper": ratios,
        "here": here,
    }


def _summary(columns: list[Record], runtime: str) -> Record:
    """What a runtime says to all claims of an experiment, as counts and one sentence."""
    here = [claim["here"][runtime] for column in columns for claim in column["claims"]]
    verdicts = [judged["verdict"] for judged in here]
    yes, no, neither = (verdicts.count(word) for word in ("holds", "does not hold", "within the spread"))
    verdict = overall(verdicts)
    counts = f"of {len(here)} comparisons: {yes} yes, {no} no, {neither} within the spread"
    return {
        "runtime": runtime,
        "verdict": verdict,
        "holds": yes,
        "does_not_hold": no,
        "within_the_spread": neither,
        "clock": "cpu" if any(judged["clock"] == "cpu" for judged in here) else "wall",
        "sentence": f"{verdict} in {runtime} ({counts})",
    }
