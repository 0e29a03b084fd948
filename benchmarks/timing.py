"""Can a latency be trusted?  The same 20 networks again and again on a quiet machine, and beside four busy processes.

    .venv/bin/python benchmarks/timing.py [--runtime onnxruntime] [--repeats 5] [--seconds 60] [--cache DIR] > out.jsonl

Every repeat is a process of its own, as `pumice benchmark` is.  Printed on standard error: per network the coefficient
of variation of the reported figure on the quiet machine (the claim is 3 % at most), and Kendall's tau-b of the figures
beside the busy processes against the quiet ones (the claim is 0.95 at least), and that of the naive wall median.  Pairs
whose quiet intervals overlap have no order and do not count.  On standard output: a line of JSON for every measurement,
and one with the results.  Ends 1 when a claim fails, 2 when the machine was not quiet to begin with.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pumice.cost.latency import time_sessions
from pumice.cost.machine import describe
from pumice.cost.rank import kendall, overlapping
from pumice.cost.sweep import exported
from pumice.cost.timing import Timing
from pumice.models.catalogue import entry

NETS = (
    *("mobilenetv2_100", "shufflenetv2_100", "micronet_m0", "micronet_m1", "micronet_m2", "micronet_m3"),
    *("ghostnet_100", "mobilenetv3_large_100", "efficientnet_b0", "shufflenetv1_g3_100", "squeezenet1_1"),
    *("mobilenetv1_100", "condensenet74_c4_g4", "igcv3_100", "shufflenetv2_050", "mnasnet_100"),
    *("mobilenetv3_small_100", "peleenet", "fbnetc_100", "squeezenext_23v5_100"),
)
# What other people's work looks like: arithmetic, memory traffic, an interpreter, another network.
OTHERS = (
    "import numpy as np\na = np.ones((700, 700), np.float32)\nwhile True: a @ a",
    "import numpy as np\na = np.ones(30_000_000, np.float32); b = a.copy()\nwhile True: np.copyto(b, a)",
    "i = 0\nwhile True: i += 1",
    "import torch\ntorch.set_num_threads(1)\nx = torch.ones(1, 32, 56, 56); w = torch.ones(32, 32, 3, 3)\n"
    "while True: torch.nn.functional.conv2d(x, w, padding=1)",
)
CV_CLAIM, TAU_CLAIM = 0.03, 0.95


def once(files: Sequence[str], runtime: str, seconds: float) -> None:
    """One process's share: measure all nets and print a line of JSON each."""
    from pumice.deploy.session import open_session

    with ExitStack() as opened:
        sessions = [opened.enter_context(open_session(file, runtime=runtime, threads=1)) for file in files]
        for timing in time_sessions(sessions, NETS, time_limit_s=seconds):
            print(json.dumps(timing.to_json()))


def measure(files: Sequence[Path], args: argparse.Namespace, phase: str, repeat: int) -> list[Timing]:
    """One repeat in a fresh process; its lines go to standard output with the phase and the repeat."""
    told = [
        sys.executable,
        __file__,
        "--runtime",
        args.runtime,
        "--seconds",
        str(args.seconds),
        "--once",
        *map(str, files),
    ]
    said = subprocess.run(told, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in said]
    for row in rows:
        print(json.dumps({"phase": phase, "repeat": repeat, **row}), flush=True)
    timings = [Timing.from_json(row) for row in rows]
    busy = sum(t.busy for t in timings)
    tell(f"{phase} {repeat + 1}: {timings[0].repeats} samples each, {busy} of {len(timings)} taken on a busy machine")
    return timings


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Others' work, for as long as the block lasts."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = [subprocess.Popen([sys.executable, "-c", OTHERS[i % len(OTHERS)]], env=one_thread) for i in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def results(quiet: Sequence[Sequence[Timing]], loaded: Sequence[Sequence[Timing]]) -> dict[str, Any]:
    """CV per net, and the taus of every loaded repeat against the quiet figures."""
    figures = [[t.figure_ms for t in series] for series in zip(*quiet, strict=True)]
    middle = [statistics.median(series) for series in figures]
    intervals = [
        (statistics.median(t.figure_ci[0] for t in series), statistics.median(t.figure_ci[1] for t in series))
        for series in zip(*quiet, strict=True)
    ]
    skip = overlapping(intervals)
    several = len(quiet) > 1
    return {
        "machine": describe(),
        "repeats": len(quiet),
        "quiet_ms": dict(zip(NETS, middle, strict=True)),
        "quiet_ci": dict(zip(NETS, intervals, strict=True)),
        "cv": {name: variation(series) for name, series in zip(NETS, figures, strict=True)} if several else {},
        "pairs": len(NETS) * (len(NETS) - 1) // 2 - len(skip),
        "tau": [kendall(middle, [t.figure_ms for t in run], skip) for run in loaded],
        "tau_naive": [kendall(middle, [t.p50_ms for t in run], skip) for run in loaded],
        "loaded_ms": {name: [run[i].figure_ms for run in loaded] for i, name in enumerate(NETS)},
        "loaded_naive_ms": {name: [run[i].p50_ms for run in loaded] for i, name in enumerate(NETS)},
        "quiet_share": statistics.fmean(not t.busy for run in quiet for t in run),
    }


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: the standard deviation as a share of the mean."""
    return statistics.stdev(values) / statistics.fmean(values)


def show(found: dict[str, Any]) -> None:
    tell(f"\n{found['machine']}\n{'network':24} {'quiet ms':>9} {'CV':>7}   beside others: figure, naive wall p50 (ms)")
    for name in sorted(NETS, key=lambda name: found["quiet_ms"][name]):
        cv = f"{found['cv'][name]:7.2%}" if found["cv"] else "      -"
        loaded, naive = (", ".join(f"{ms:.2f}" for ms in found[key][name]) for key in ("loaded_ms", "loaded_naive_ms"))
        tell(f"{name:24} {found['quiet_ms'][name]:9.3f} {cv}   {loaded}   ({naive})")
    if found["cv"]:
        cvs = sorted(found["cv"].values())
        tell(f"CV: median {statistics.median(cvs):.2%}, largest {cvs[-1]:.2%} of {found['repeats']} repeats")
    for key, words in (("tau", "reported figure"), ("tau_naive", "naive wall median")):
        taus = ", ".join(f"{tau:.3f}" for tau in found[key])
        tell(f"Kendall's tau-b over {found['pairs']} pairs, {words}: {taus}")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--repeats", type=int, default=5, help="processes on the quiet machine")
    parser.add_argument("--loaded", type=int, default=3, help="processes beside the busy ones")
    parser.add_argument("--busy", type=int, default=4, help="busy processes")
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, per process")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the exported files")
    parser.add_argument("--once", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        once(args.once, args.runtime, args.seconds)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.cache or Path(scratch)
        files = [exported(entry(name), folder) for name in NETS]
        quiet = [measure(files, args, "quiet", i) for i in range(args.repeats)]
        with busy_processes(args.busy):
            loaded = [measure(files, args, "loaded", i) for i in range(args.loaded)]
    found = results(quiet, loaded)
    print(json.dumps({"phase": "results", **found}))
    show(found)
    if found["quiet_share"] < 0.9:
        tell("the machine was not quiet to begin with: these figures prove nothing")
        raise SystemExit(2)
    kept = max(found["cv"].values(), default=0.0) <= CV_CLAIM and min(found["tau"], default=1.0) >= TAU_CLAIM
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
