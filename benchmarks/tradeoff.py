"""Accuracy against cost for every ImageNet network: the figure-1 plots, and how well multiply-adds tell the speed.

    .venv/bin/python benchmarks/tradeoff.py [--runtime onnxruntime,openvino] [--max-madds 3G] [--out runs/tradeoff]
        [--time 1.5s] [--no-measure]

Takes what the measurement database has of a quiet machine, measures the rest (one thread, one image), and writes
tradeoff.html and tradeoff.csv into `--out`.  A net that has several names, or whose published accuracy belongs to
another layout of it (torchvision's ShuffleNetV2), counts once, by its first name.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pumice.cli import show
from pumice.cost import machine
from pumice.cost.budget import parse_count, parse_time
from pumice.cost.query import measured
from pumice.cost.sweep import sweep
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.files import atomic
from pumice.models.catalogue import Entry, entries
from pumice.report.tradeoff import Point, correlations, write_tradeoff
from pumice.report.units import count, seconds

CLASSES = 1000
OPENING_S = 1.0  # of writing and opening a net


def nets(max_madds: float) -> list[Entry]:
    """ImageNet classifiers with a published top-1, one a published variant."""
    found: dict[tuple[str, str], Entry] = {}
    for net in entries():
        printed = net.published or {}
        if printed.get("top1") and net.task == "classify" and net.num_classes == CLASSES and net.madds <= max_madds:
            found.setdefault((net.family, printed["variant"]), net)
    return list(found.values())


def quiet(found: dict[str, Timing]) -> dict[str, Timing]:
    """Those of a machine that did nothing else."""
    return {name: timing for name, timing in found.items() if not timing.busy}


def points(chosen: Sequence[Entry], timings: dict[str, dict[str, Timing]]) -> list[Point]:
    """A point for every net and runtime; timings: runtime -> name -> what was measured."""
    rows = []
    for runtime, found in timings.items():
        for net in chosen:
            timing = found.get(net.name)
            assert net.published is not None
            cost = {} if timing is None else {"ms": timing.figure_ms, "ci95": timing.figure_ci, "busy": timing.busy}
            top1 = net.published["top1"]
            rows.append(Point(net.name, net.family, top1, net.madds, net.params, runtime, **cost))
    return rows


def write_csv(rows: Sequence[Point], path: Path) -> None:
    """A line a point."""
    with atomic(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        columns = ("name", "family", "top1", "madds", "params", "runtime", "ms", "low", "high", "busy")
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            fields = asdict(row)
            fields["low"], fields["high"] = fields.pop("ci95") or ("", "")
            writer.writerow(fields)


def print_correlations(rows: Sequence[Point]) -> None:
    """Rank correlations of multiply-adds with measured time."""
    show.table(
        ["runtime", "networks", ">number", ">Spearman", ">Kendall", ">Kendall, intervals apart"],
        [
            (
                c.runtime,
                "all" if c.max_madds is None else f"below {count(c.max_madds)} MAdds",
                str(c.nets),
                f"{c.spearman:.3f}",
                f"{c.kendall:.3f}",
                f"{c.kendall_apart:.3f}",
            )
            for c in correlations(rows)
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime,openvino", help="with commas")
    parser.add_argument("--max-madds", default="3G", help="nets above it are left out: the largest take seconds")
    parser.add_argument("--time", default="1.5s", help="of measuring one net in one runtime")
    parser.add_argument("--out", type=Path, default=Path("runs/tradeoff"))
    parser.add_argument("--no-measure", action="store_true", help="only what the database has")
    args = parser.parse_args()
    try:
        chosen = nets(parse_count(args.max_madds, "--max-madds"))
        limit = parse_time(args.time, "--time")
        for runtime in (runtimes := args.runtime.split(",")):
            machine.check_runtime(runtime)
    except BadInput as error:
        parser.error(str(error))
    timings = {runtime: measured(chosen, runtime) for runtime in runtimes}
    if not args.no_measure:
        lacking = {r: [net for net in chosen if net.name not in quiet(found)] for r, found in timings.items()}
        number = sum(map(len, lacking.values()))
        print(f"{len(chosen)} nets; {number} to measure, about {seconds(number * (limit + OPENING_S))}", flush=True)
        for runtime, missing in lacking.items():
            swept = sweep(missing, runtime=runtime, a_net_s=limit)
            timings[runtime] |= swept.timings
            for name, reason in swept.failed.items():
                print(f"{name} is left out in {runtime}: {reason}")
    rows = points(chosen, timings)
    print_correlations(rows)
    timed = [row for row in rows if row.ms is not None]
    if busy := sum(row.busy for row in timed):
        print(f"{busy} of {len(timed)} were measured on a busy machine: the lower tenth of CPU time stands for them")
    write_csv(rows, args.out / "tradeoff.csv")
    print(write_tradeoff(rows, args.out / "tradeoff.html", machine.describe()))


if __name__ == "__main__":
    main()
