"""Do the search methods beat random search?  On NAS-Bench-Macro: 6,561 networks that somebody trained.

    .venv/bin/python benchmarks/search_macro.py [--methods evolution,jointnas,mnasnet] [--budgets 50,70,0] [--seeds 20]
                                                [--predictor] [--table FILE] [--out FILE.json]

Three problems: multiply-adds within 50 M, within 70 M (piecewise reward, T = budget) and accuracy alone (--budgets, in
millions, 0 for none).  A query is worth the mean test accuracy of the table's three trainings, without noise.  Regret:
the best accuracy of the table within the budget, less the best found within it, in points; after 50, 100 and 300
queries; beside feasible random search of the same seed, with the p of Wilcoxon's paired one-sided test of being better
and the ratio of the means.  The settings of evolution and JointNAS were chosen on a budget of 60 M.  JointNAS's
statistics are multiply-adds and parameters.

--predictor: Kendall's tau of JointNAS's predictor on all networks of the table that it has not seen, from 50, 100
and 200 labels, with and without pre-training on statistics.  Two trainings of the table agree by 0.88, with each other.

Ends 1 when evolution or JointNAS does not beat random search at 300 queries (p < 0.05) on some problem, or when under
some budget no method's mean regret is half of random's or less.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, wilcoxon

from pumice.files import write_json
from pumice.models.spaces.macro import MacroSpace
from pumice.progress import track
from pumice.search.cost import Listed
from pumice.search.evolution import Evolution
from pumice.search.jointnas.predictor import Predictor
from pumice.search.jointnas.searcher import JointNAS
from pumice.search.mnasnet import Mnasnet
from pumice.search.objective import Looked, read_column
from pumice.search.problem import Problem
from pumice.search.reward import piecewise
from pumice.search.searcher import Random, Searcher, run

TABLE = Path(__file__).parents[2] / "shared" / "reference" / "search" / "bench" / "nas_bench_macro.csv"
QUERIES = (50, 100, 300)
LABELS = (50, 100, 200)
MUST_WIN = ("evolution", "jointnas")


@cache
def read(table: Path) -> tuple[Looked, Listed, Listed]:
    """Accuracies, multiply-adds, parameters."""
    trainings = [read_column(table, "arch", f"acc{i}", scale=0.01) for i in (1, 2, 3)]
    mean = {choice: float(np.mean([t[choice] for t in trainings])) for choice in trainings[0]}
    madds, params = (Listed(read_column(table, "arch", name), name) for name in ("flops", "params"))
    return Looked(mean), madds, params


def problem(table: Path, budget: float | None) -> Problem:
    return Problem(MacroSpace(), read(table)[1], budget, piecewise(budget)) if budget else Problem(MacroSpace())


def searchers(table: Path) -> dict[str, Callable[[Problem, int], Searcher]]:
    """The methods; random search is what they are compared with."""
    return {
        "random": Random,
        "evolution": Evolution,
        "jointnas": lambda problem, seed: JointNAS(problem, seed, statistics=read(table)[1:]),
        "mnasnet": Mnasnet,
    }


def search(table: Path, method: str, budget: float | None, seed: int) -> list[float]:
    """Regrets after QUERIES, in points."""
    setting, accuracies = problem(table, budget), read(table)[0]
    best = max(a for choice, a in accuracies.accuracies.items() if setting.feasible(choice))
    trials = list(run(searchers(table)[method](setting, seed), accuracies, max(QUERIES)))
    found = [setting.best(trials[:n]) for n in QUERIES]
    return [100 * (best - (f.accuracy if f else 0.0)) for f in found]


def better(a: Sequence[float], b: Sequence[float]) -> float:
    """p of Wilcoxon's paired one-sided test that regrets a are less than b."""
    return 1.0 if np.array_equal(a, b) else float(wilcoxon(a, b, alternative="less").pvalue)


def compare(table: Path, methods: Sequence[str], budget: float | None, seeds: int) -> list[dict[str, Any]]:
    """Print a problem's table; a row for each method."""
    name = f"within {budget / 1e6:g} M" if budget else "accuracy alone"
    print(f"\n{name}, {seeds} seeds: mean regret in points (deviation), p better than random, ratio", flush=True)
    rows, by_chance = [], np.zeros((seeds, len(QUERIES)))
    for method in ("random", *methods):
        start = time.process_time()
        regrets = np.array([search(table, method, budget, seed) for seed in track(range(seeds), f"{name}, {method}")])
        if method == "random":
            by_chance = regrets
        row = {
            "problem": name,
            "budget": budget,
            "method": method,
            "queries": QUERIES,
            "regret": regrets.mean(axis=0).tolist(),
            "deviation": regrets.std(axis=0, ddof=1).tolist(),
            "p": [better(regrets[:, i], by_chance[:, i]) for i in range(len(QUERIES))],
            "ratio": (regrets.mean(axis=0) / by_chance.mean(axis=0)).tolist(),
            "exact": (regrets < 1e-9).sum(axis=0).tolist(),
            "seconds": (time.process_time() - start) / seeds,
            "regrets": regrets.tolist(),
        }
        print(line(row), flush=True)
        rows.append(row)
    return rows


def line(row: dict[str, Any]) -> str:
    """A method's row as text."""
    columns = zip(row["queries"], row["regret"], row["deviation"], row["p"], row["ratio"], row["exact"], strict=True)
    text = "  ".join(f"{q}: {r:.3f} ({d:.3f}) p {p:.1e} x{x:.2f} best {e:2d}" for q, r, d, p, x, e in columns)
    return f"  {row['method']:10} {text}  {row['seconds']:.1f} s"


def failures(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[str]:
    """Which of the claims do not hold."""
    failed = [
        f"{row['method']} does not beat random, {row['problem']}: p {row['p'][-1]:.2g}"
        for row in rows
        if row["method"] in MUST_WIN and row["p"][-1] >= 0.05
    ]
    for budget in sorted({row["budget"] for row in rows if row["budget"]}):
        ratios = {
            row["method"]: row["ratio"][-1] for row in rows if row["budget"] == budget and row["method"] in methods
        }
        if ratios and min(ratios.values()) > 0.5:
            failed.append(f"no method halves random's regret within {budget / 1e6:g} M: {ratios}")
    return failed


def predict(table: Path, seeds: int) -> list[dict[str, Any]]:
    """Print how well the predictor ranks what it has not seen."""
    accuracies, *statistics = read(table)
    choices = list(accuracies.accuracies)
    measured = np.array(list(accuracies.accuracies.values()))
    rows = []
    print(f"\npredictor, {seeds} seeds: Kendall's tau on unseen networks", flush=True)
    for pretrained in (True, False):
        found: dict[int, list[float]] = {n: [] for n in LABELS}
        for seed in track(range(seeds), "predictor"):
            predictor = Predictor(MacroSpace(), statistics, seed, pretrained=pretrained)
            order = np.random.default_rng((seed, 7)).permutation(len(choices))
            for n in LABELS:
                seen, rest = order[:n], order[n:]
                predictor.fit([choices[i] for i in seen], measured[seen].tolist())
                tau = kendalltau(predictor.predict([choices[i] for i in rest]), measured[rest])[0]
                found[n].append(float(tau))
        row = {"pretrained": pretrained, "labels": LABELS, "tau": [float(np.mean(found[n])) for n in LABELS]}
        print(f"  {'pre-trained' if pretrained else 'not'}: {row['tau']}", flush=True)
        rows.append(row | {"taus": [found[n] for n in LABELS]})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--methods", default="evolution,jointnas,mnasnet")
    parser.add_argument("--budgets", default="50,70,0")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--predictor", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    methods = [name for name in options.methods.split(",") if name]
    budgets = [1e6 * float(text) or None for text in options.budgets.split(",") if text]
    rows = [row for budget in budgets for row in compare(options.table, methods, budget, options.seeds)]
    ranked = predict(options.table, options.seeds) if options.predictor else []
    if options.out:
        write_json(options.out, {"searches": rows, "predictor": ranked})
    failed = failures(rows, methods)
    print("\n" + ("\n".join(failed) if failed else "all claims hold"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
