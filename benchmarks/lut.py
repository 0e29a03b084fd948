"""How well do lookup tables predict?  Whole families are held out, from the table and its correction, each in turn.

    .venv/bin/python benchmarks/lut.py [--runtime onnxruntime,openvino] [--time 9m] [--out runs/lut] [--bench FILE]

Measures a table's networks once per runtime (kept in OUT/RUNTIME-samples.json; a second run measures nothing), then
fills a table without each family and predicts that family's networks.  Printed: MAPE, bias and the share of the time
that was looked up, by family; over all, MAPE and Spearman's rank correlation of the predictions and, beside it, of the
multiply-adds; microseconds per query.  The claims are a MAPE of at most 10 % and a Spearman of at least 0.95, and a
table in under ten minutes.  With --bench, a CSV of (ops, device, device, ...) as HW-NAS-Bench gives for the FBNet
space: R2 of an additive table on its last fifth.  Ends 1 when a claim fails.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pumice.cost.budget import parse_time
from pumice.cost.lut.additive import fit_additive, r_squared
from pumice.cost.lut.build import jobs, measure, origin
from pumice.cost.lut.table import Lut, Sample, make_table
from pumice.cost.machine import describe
from pumice.cost.rank import spearman
from pumice.files import write_json
from pumice.models.catalogue import entries

MAPE, SPEARMAN, BUILD_S = 0.10, 0.95, 600.0


def samples_of(runtime: str, time_s: float, out: Path) -> tuple[list[Sample], float]:
    """The measured networks of a runtime, and the seconds that measuring took."""
    file = out / f"{runtime}-samples.json"
    if not file.exists():
        start = time.perf_counter()
        found = measure(jobs(), runtime, 1, time_s=time_s)
        took = time.perf_counter() - start
        write_json(file, {"seconds": took, "machine": describe(), "samples": [s.to_json() for s in found]})
    kept = json.loads(file.read_text())
    return [Sample.from_json(value) for value in kept["samples"]], kept["seconds"]


def held_out(samples: Sequence[Sample], runtime: str) -> list[tuple[str, Sample, Lut]]:
    """(family, network, the table that has seen nothing of its family)."""
    family = {entry.name: entry.family for entry in entries()}
    names = sorted({family[s.name] for s in samples if s.name in family})
    found = []
    for name in names:
        seen = [s for s in samples if family.get(s.name) != name]
        lut = make_table(seen, origin(runtime, 1, None))
        found += [(name, s, lut) for s in samples if family.get(s.name) == name]
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def judge(runtime: str, samples: Sequence[Sample], seconds: float) -> bool:
    """Print how a runtime's tables did; whether the claims hold."""
    start = time.perf_counter()
    whole = make_table(samples, origin(runtime, 1, None))
    fitting = time.perf_counter() - start
    results = [(family, s, lut.predict(s.blocks)) for family, s, lut in held_out(samples, runtime)]
    print(
        f"\n{runtime}: {len(samples)} networks, {len(whole.entries)} blocks, measured in {seconds:.0f} s, fitted in "
        f"{fitting:.0f} s; off by {whole.spread:.1%} on networks kept apart"
    )
    print(f"{'held out':14} {'nets':>4} {'MAPE':>7} {'bias':>7} {'looked up':>9} {'in interval':>11}")
    by: defaultdict[str, list[tuple[Sample, float, bool, float]]] = defaultdict(list)
    for family, s, p in results:
        by[family].append((s, p.ms / s.total_ms - 1, p.low_ms <= s.total_ms <= p.high_ms, p.known))
    for family, rows in by.items():
        off = [row[1] for row in rows]
        print(
            f"{family:14} {len(rows):4} {mean(map(abs, off)):7.1%} {mean(off):+7.1%} "
            f"{mean(row[3] for row in rows):9.0%} {mean(float(row[2]) for row in rows):11.0%}"
        )
    measured, predicted = [s.total_ms for _, s, _ in results], [p.ms for _, _, p in results]
    madds = [float(sum(block.madds for block in s.blocks)) for _, s, _ in results]
    off = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
    mape, order = mean(off), spearman(measured, predicted)
    print(f"all: MAPE {mape:.2%} (median {statistics.median(off):.2%}), Spearman {order:.4f}")
    print(f"     Spearman of the multiply-adds {spearman(measured, madds):.4f}")
    print(f"     a query takes {query_us(whole, samples):.2f} us a block")
    return mape <= MAPE and order >= SPEARMAN and seconds + fitting <= BUILD_S


def mean(values: Iterable[float]) -> float:
    """Of any numbers."""
    return statistics.fmean(values)


def query_us(lut: Lut, samples: Sequence[Sample]) -> float:
    """Microseconds of one block's query, warm."""
    blocks = [block for s in samples[:20] for block in s.blocks]
    keys = [block.key for block in blocks]
    lut.predict(blocks)
    start = time.perf_counter()
    for _ in range(20):
        for key in keys:
            lut.ms(key)
    return (time.perf_counter() - start) / 20 / len(keys) * 1e6


def bench(file: Path) -> None:
    """R2 of additive tables on a public list of measured networks."""
    rows = list(csv.DictReader(file.read_text().splitlines()))
    choices = np.array([[int(digit) for digit in row["ops"]] for row in rows])
    fitted = len(rows) * 4 // 5
    for device in list(rows[0])[1:]:
        ms = np.array([float(row[device]) for row in rows])
        table = fit_additive(choices[:fitted], ms[:fitted])
        print(f"{device:14} R2 {r_squared(ms[fitted:], table.predict(choices[fitted:])):.4f}")


def main() -> int:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime,openvino")
    parser.add_argument("--time", default="9m")
    parser.add_argument("--out", type=Path, default=Path("runs/lut"))
    parser.add_argument("--bench", type=Path)
    args = parser.parse_args()
    if args.bench:
        bench(args.bench)
    held = [judge(name, *samples_of(name, parse_time(args.time), args.out)) for name in args.runtime.split(",")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
