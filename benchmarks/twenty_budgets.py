"""Does what `fit` ships keep its budget?  Twenty latency budgets, each fitted, each file measured again from outside.

    .venv/bin/python benchmarks/twenty_budgets.py --data digits --time 1m --out runs/twenty

Budgets are log-uniform from 0.7x the fastest candidate to 1x the slowest.  For each: `pumice fit` in its own process,
then `pumice benchmark` of the shipped file in another.  `kept`: the upper 95 % bound is within the budget.  `good`: it
uses at least 80 % of the budget, or no candidate that was trained is more accurate.  A budget below every candidate
must be refused.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pumice.cost.budget import Budget, parse_time
from pumice.loop.candidates import propose
from pumice.loop.config import FitConfig

PUMICE = [sys.executable, "-m", "pumice.cli.main"]
COLUMNS = (
    "budget_ms",
    "verdict",
    "model",
    "size",
    "runtime",
    "top1",
    "fit_bound_ms",
    "again_bound_ms",
    "busy",
    "kept",
    "used",
)


def measure_all(data: str, classes: int, models: tuple[str, ...]) -> list[float]:
    """Median latency of every candidate, ms, from the database or measured now."""
    from pumice.loop.fit import _builder
    from pumice.loop.screen import screen

    config = FitConfig(data=data, budget=Budget(), models=models)
    candidates = propose(config, classes, ("onnxruntime", "openvino"))
    screen(candidates, config, _builder(config, classes), time.perf_counter() + 3600)
    return sorted(c.p50_ms for c in candidates if c.p50_ms is not None)


def call(*args: str) -> tuple[int, str, str]:
    done = subprocess.run([*PUMICE, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def one(budget: float, data: str, limit: str, out: Path, models: tuple[str, ...], fastest: float) -> dict[str, Any]:
    row: dict[str, Any] = {"budget_ms": round(budget, 4)}
    only = ("--models", ",".join(models)) if models else ()
    code, text, error = call(
        "fit", data, "--max-latency", f"{budget}ms", "--time", limit, "--out", str(out), "--json", *only
    )
    if code:
        said = error.strip().splitlines()[-1] if error.strip() else ""
        return {**row, "verdict": f"refused ({code})", "model": said, "kept": budget < fastest}
    result = json.loads(text)
    code, text, error = call("benchmark", result["file"], "--runtime", result["runtime"], "--threads", "1", "--json")
    if code:
        return {**row, "verdict": f"not measured: {error.strip()}", "kept": False}
    again = json.loads(text)[0]
    trained = [c for c in json.loads((out / "candidates.json").read_text()) if c["status"] in ("trained", "shipped")]
    best = max(c["val_top1"] for c in trained)
    shipped = next(c for c in trained if c["status"] == "shipped")
    used = again["bound_ms"] / budget
    return {
        **row,
        "verdict": "shipped",
        "model": result["model"],
        "size": result["input_size"][1],
        "runtime": result["runtime"],
        "top1": round(result["top1"], 4),
        "fit_bound_ms": round(result["bound_ms"], 4),
        "again_bound_ms": round(again["bound_ms"], 4),
        "busy": again["busy"],
        "kept": again["bound_ms"] <= budget,
        "used": round(used, 3),
        "good": used >= 0.8 or shipped["val_top1"] >= best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--time", default="1m", help="of each fit")
    parser.add_argument("--budgets", type=int, default=20)
    parser.add_argument("--models", default="", help="patterns, with commas; all by default")
    parser.add_argument("--out", type=Path, default=Path("runs/twenty"))
    args = parser.parse_args()
    parse_time(args.time)
    models = tuple(filter(None, args.models.split(",")))
    latencies = measure_all(args.data, args.classes, models)
    print(f"{len(latencies)} candidates, {latencies[0]:.3f} to {latencies[-1]:.3f} ms", flush=True)
    rng = random.Random(0)
    low, high = 0.7 * latencies[0], latencies[-1]
    budgets = [low * (high / low) ** rng.random() for _ in range(args.budgets)]
    rows = []
    for i, budget in enumerate(budgets):
        rows.append(one(budget, args.data, args.time, args.out / str(i), models, latencies[0]))
        print(rows[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "twenty_budgets.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "good"))
        writer.writeheader()
        writer.writerows(rows)
    shipped = [r for r in rows if r["verdict"] == "shipped"]
    refused = [r for r in rows if r["verdict"].startswith("refused")]
    print(f"{len(shipped)} shipped, {sum(r['kept'] for r in shipped)} kept, {sum(r['good'] for r in shipped)} good")
    print(f"{len(refused)} refused, {sum(r['kept'] for r in refused)} of them below every candidate")


if __name__ == "__main__":
    main()
