"""The native engine beside ONNX Runtime, OpenVINO, AOTInductor and ncnn: time, memory, size.

    .venv/bin/python benchmarks/native.py [NET ...] [--files DIR] [--out native.jsonl] [--blocks 40] [--tune 60]
    .venv/bin/python benchmarks/native.py --table native.jsonl [--clock wall|cpu]
    .venv/bin/python benchmarks/native.py --counters NET [--files DIR]

All contenders of one network run in one process, interleaved block by block, one thread, batch 1, 224 x 224, float32
forced.  A block is three passes of each after an untimed one, in an order shuffled anew; wall and process CPU time are
kept of every pass.  A ratio is taken block by block, so that what the machine does meanwhile falls on both; printed are
its median and, in brackets, its quartiles.  "plain" is the best of the runtimes on files without our rewrites, which
is what the targets ask; "best" the best of all of them, files of `pumice export` included.  A contender whose answer is
off by more than 1e-3 of the largest is not compared with (1e-4 for the native engine, which then fails the run), and
one whose file cannot be made is "-".

Memory and size are per contender, in a fresh process each (`native_memory.py`).  The floor is that of
`pumice.cost.roofline` with the roofs of `native_roofs.py`.  Every network's line is written when it is done; a run that
was stopped goes on where it was.  On a busy machine only the ratios of CPU time mean something; what was busy says so.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from native_counters import counters
from native_files import FILES, OTHERS, PLAIN, SIZE, files, opened, probe
from native_memory import memory
from native_roofs import roofs
from rewrites import settled
from timing import NETS

from pumice.cost.ceilings import Ceilings
from pumice.cost.contender import SAMPLES_PER_TURN, Contender, warm_up
from pumice.cost.contention import Watch
from pumice.cost.count import profile
from pumice.cost.machine import describe, runtime_version
from pumice.cost.pinning import pinned
from pumice.cost.roofline import floor_ms
from pumice.deploy.compare import relative_error
from pumice.deploy.native import NativeSession
from pumice.errors import BadInput
from pumice.progress import track

WRONG, NATIVE_WRONG = 1e-3, 1e-4
TARGETS = {
    **dict(zip(("micronet_m0", "micronet_m1", "micronet_m2", "micronet_m3"), (3.0, 2.7, 2.6, 2.5), strict=True)),
    **dict.fromkeys(("shufflenetv2_050", "shufflenetv2_100", "shufflenetv1_g3_100", "igcv3_100", "ghostnet_100"), 1.3),
    "condensenet74_c4_g4": 2.0,
}
USUAL_TARGET, MEAN_TARGET = 0.95, 1.3
WARM_S = 1.0

Line = dict[str, Any]


def measure(name: str, folder: Path, contenders: tuple[str, ...], blocks: int, tune_s: float, roof: Ceilings) -> Line:
    """One network's line."""
    made = files(name, folder, contenders, tune_s)
    x, exact, own = probe(folder, name)
    failed = {contender: file for contender, file in made.items() if isinstance(file, str)}
    rows: dict[str, Line] = {}
    planned = 0
    with ExitStack() as stack:
        running = []
        for contender, file in made.items():
            if isinstance(file, str):
                continue
            try:
                session = stack.enter_context(opened(contender, file))
            except BadInput as error:
                failed[contender] = str(error)
                continue
            error = relative_error(session.run(x), exact)
            rows[contender] = {"error": error, "file_bytes": session.file_bytes}
            rows[contender]["version"] = runtime_version(session.runtime)
            if isinstance(session, NativeSession):
                planned = session.workspace_bytes
            running.append(Contender(session, contender, x))
        busy = _series(running, blocks)
    for contender in running:
        row = rows[contender.name]
        row["wall_ms"], row["cpu_ms"] = ([round(ms, 5) for ms in one] for one in (contender.wall_ms, contender.cpu_ms))
        file = made[contender.name]
        assert isinstance(file, Path)
        row |= memory(contender.name, file)
    counted = profile(settled(name), SIZE)
    return {
        "network": name,
        "torch_error": own,
        "machine": describe(),
        "busy": busy,
        "tuned_s": tune_s,
        "floor_ms": floor_ms(counted.layers, roof),
        "madds": counted.madds,
        "weight_bytes": 4 * counted.params,
        "live_bytes": counted.peak_activation_bytes,
        "planned_bytes": planned,
        "roofs": roof.to_json(),
        "contenders": rows,
        "failed": failed,
    }


def _series(contenders: Sequence[Contender], blocks: int) -> str:
    """Blocks of every contender; why they count as taken on a busy machine, "" when they do not."""
    order = random.Random(0)
    with pinned(1) as cores:
        for contender in contenders:
            warm_up(contender.sample, WARM_S)
        watch = Watch(cores)
        for _ in range(blocks):
            for contender in order.sample(contenders, len(contenders)):
                contender.turn(alone=False)
        shares = watch.shares()
    return next((why for contender in contenders if (why := contender.busy(shares))), "")


def table(lines: Sequence[Line], clock: str) -> str:
    """Markdown."""
    if clock == "auto":
        clock = "cpu" if any(line["busy"] for line in lines) else "wall"
    key, other = (f"{clock}_ms", {"wall": "cpu", "cpu": "wall"}[clock])
    text = [f"Median ms by the {clock} clock; ratios of it, and in the last column of the {other} clock."]
    text += ["", "| network | native | " + " | ".join(OTHERS) + f" | plain / native | best / native | {other} |"
             " target | floor / native |"]  # fmt: skip
    text.append("| --- |" + " --: |" * (len(OTHERS) + 6))
    plain, best = [], []
    for line in lines:
        cells = [_cell(line, contender, key) for contender in ("native", *OTHERS)]
        found = [_ratio(line, names, clock_key) for names, clock_key in
                 ((PLAIN, key), (OTHERS, key), (PLAIN, f"{other}_ms"))]  # fmt: skip
        target = TARGETS.get(line["network"], USUAL_TARGET)
        if found[0] and found[1]:
            plain.append(found[0][1])
            best.append(found[1][1])
        kept = "" if found[0] is None else " yes" if found[0][1] >= target else " **no**"
        shown = [f"{one[1]:.2f} [{one[0]:.2f}, {one[2]:.2f}]" if one else "-" for one in found]
        floor = f"{line['floor_ms'] / _middle(line, 'native', key):.0%}" if "native" in line["contenders"] else "-"
        text.append(f"| {line['network']} | " + " | ".join([*cells, *shown, f"{target:.2f}{kept}", floor]) + " |")
    if plain:
        means = [statistics.geometric_mean(one) for one in (plain, best)]
        text += ["", f"Geometric mean over {len(plain)}: {means[0]:.3f} against plain files (target {MEAN_TARGET}), "
                 f"{means[1]:.3f} against the best of all."]  # fmt: skip
    return "\n".join([*text, "", *_memory_table(lines), "", *_notes(lines)])


def _memory_table(lines: Sequence[Line]) -> list[str]:
    names = ("native", *OTHERS)
    text = ["MB that one pass writes to / MB that the process grows by / MB of the file; before, MB of activations:"
            " what the native engine plans, and what liveness says of the network run layer by layer."]  # fmt: skip
    text += ["", "| network | by plan | by liveness | " + " | ".join(names) + " |"]
    text.append("| --- |" + " --: |" * (len(names) + 2))
    for line in lines:
        cells = []
        for name in names:
            row = line["contenders"].get(name)
            three = (row.get(key) for key in ("written", "resident", "file_bytes")) if row else ()
            cells.append(" / ".join("-" if one is None else f"{one / 1e6:.1f}" for one in three) or "-")
        sides = [f"{line[key] / 1e6:.2f}" for key in ("planned_bytes", "live_bytes")]
        text.append(f"| {line['network']} | " + " | ".join([*sides, *cells]) + " |")
    return text


def _notes(lines: Sequence[Line]) -> list[str]:
    notes = []
    for line in lines:
        if line["busy"]:
            notes.append(f"{line['network']}: {line['busy']}")
        notes += [f"{line['network']}, {name}: {why}" for name, why in line["failed"].items()]
        notes += [
            f"{line['network']}, {name}: off by {row['error']:.1e}, not compared with"
            for name, row in line["contenders"].items()
            if not _right(line, name)
        ]
    machines = {line["machine"] for line in lines}
    versions = {f"{name.split('_')[0]} {row['version']}" for line in lines for name, row in line["contenders"].items()}
    roof = lines[-1]["roofs"]
    levels = ", ".join(f"{level['name']} {level['bytes_per_s'] / 1e9:.0f} GB/s" for level in roof["levels"])
    return [*notes, *machines, ", ".join(sorted(versions)), f"{2 * roof['madds_per_s'] / 1e9:.0f} GFLOP/s; {levels}"]


def _right(line: Line, name: str) -> bool:
    row = line["contenders"].get(name)
    limit = (NATIVE_WRONG if name == "native" else WRONG) + 3 * line["torch_error"]
    return row is not None and bool(row["error"] <= limit)


def _middle(line: Line, name: str, key: str) -> float:
    return statistics.median(line["contenders"][name][key])


def _cell(line: Line, name: str, key: str) -> str:
    row = line["contenders"].get(name)
    return "-" if row is None else f"{_middle(line, name, key):.3f}" + ("" if _right(line, name) else " wrong")


def _ratio(line: Line, names: Sequence[str], key: str) -> tuple[float, float, float] | None:
    """Quartiles of the best contender's time over the native engine's, block by block."""
    rows = line["contenders"]
    known = [name for name in names if name in rows and _right(line, name)]
    if not known or "native" not in rows:
        return None
    best = min(known, key=lambda name: _middle(line, name, key))
    one, other = (np.median(np.reshape(rows[name][key], (-1, SAMPLES_PER_TURN)), 1) for name in (best, "native"))
    low, middle, high = np.quantile(one / other, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def read_lines(file: Path) -> list[Line]:
    """The networks that are done, in the usual order; the last line of each counts, half-written ones do not."""
    found: dict[str, Line] = {}
    for text in file.read_text().splitlines() if file.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        found[line["network"]] = line
    order = {name: i for i, name in enumerate(NETS)}
    return sorted(found.values(), key=lambda line: order.get(line["network"], len(order)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--files", type=Path, default=Path("native_files"), help="a folder that keeps exported files")
    parser.add_argument("--out", type=Path, default=Path("native.jsonl"))
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--contenders", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument(
        "--tune", type=float, default=0.0, metavar="SECONDS", help="tune the native engine, per network"
    )
    parser.add_argument("--make", action="store_true", help="only export the files")
    parser.add_argument("--again", action="store_true", help="measure networks that are in --out already, too")
    parser.add_argument("--table", type=Path, metavar="OUT", help="only print the table of a file")
    parser.add_argument("--clock", choices=("auto", "wall", "cpu"), default="auto")
    parser.add_argument("--counters", metavar="NET", help="instructions and cache misses, by valgrind")
    args = parser.parse_args()
    if args.table or args.counters:
        print(counters(args.counters, args.files) if args.counters else table(read_lines(args.table), args.clock))
        return
    contenders = tuple(name for name in FILES if name in args.contenders)
    if args.make:
        for name in track(args.nets, "exporting"):
            print(name, files(name, args.files, contenders, args.tune), flush=True)
        return
    done = set() if args.again else {line["network"] for line in read_lines(args.out)}
    roof = roofs()
    for name in track([name for name in args.nets if name not in done], "comparing"):
        before = time.monotonic()
        line = measure(name, args.files, contenders, args.blocks, args.tune, roof)
        with args.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(f"{name}: {time.monotonic() - before:.0f} s", file=sys.stderr, flush=True)
    lines = [line for line in read_lines(args.out) if line["network"] in args.nets]
    print(table(lines, args.clock))
    wrong = [line["network"] for line in lines if not _right(line, "native")]
    if wrong:
        print(f"the native engine is wrong on {', '.join(wrong)}", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
