"""Does MnasNet's controller learn?  On NAS-Bench-Macro, 6,561 trained networks, with the paper's settings.

    .venv/bin/python benchmarks/search_rl.py [--table FILE] [--rule ppo] [--seeds 20] [--samples 3000] [--workers 1]
                                             [--out runs/search_rl.json]

Three problems: multiply-adds within 50 M and within 70 M (piecewise reward, T = budget), and accuracy alone.  A query
is worth the mean test accuracy of the table's three trainings.  Printed for each: mean reward of windows of 100
samples; first and last window, with the p of Wilcoxon's paired one-sided test over seeds (the claim is p < 0.05);
regret (best accuracy of the table within the budget, less the best found) after 50, 100 and 300 queries and at the end,
beside feasible random search of the same seed after as many queries, with the p of being better, and of being worse.
A sample is a draw of the controller; a query is a draw that nobody drew before.  Ends 1 when the claim fails.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from pumice.files import write_json
from pumice.models.spaces.macro import MacroSpace
from pumice.search.cost import Listed
from pumice.search.mnasnet import Mnasnet
from pumice.search.objective import Looked, read_column
from pumice.search.problem import Problem
from pumice.search.reward import piecewise
from pumice.search.searcher import Random, run
from pumice.search.trial import Trial

TABLE = Path(__file__).parents[2] / "shared" / "reference" / "search" / "bench" / "nas_bench_macro.csv"
BUDGETS = (50e6, 70e6, None)
QUERIES, WINDOW = (50, 100, 300), 100


@cache
def read(table: Path) -> tuple[Looked, Listed]:
    """Accuracies and multiply-adds."""
    trainings = [read_column(table, "arch", f"acc{i}", scale=0.01) for i in (1, 2, 3)]
    mean = {choice: float(np.mean([t[choice] for t in trainings])) for choice in trainings[0]}
    return Looked(mean), Listed(read_column(table, "arch", "flops"), "multiply-adds")


def problem(table: Path, budget: float | None) -> Problem:
    return Problem(MacroSpace(), read(table)[1], budget, piecewise(budget)) if budget else Problem(MacroSpace())


def regrets(problem: Problem, accuracies: Looked, trials: list[Trial], queries: Sequence[int]) -> list[float]:
    """After so many queries, in points of accuracy."""
    best = max(a for choice, a in accuracies.accuracies.items() if problem.feasible(choice))
    found = [problem.best(trials[:n]) for n in queries]
    return [100 * (best - (f.accuracy if f else 0.0)) for f in found]


def one(table: Path, rule: Any, budget: float | None, seed: int, samples: int) -> dict[str, Any]:
    """One search until so many samples, and a random one of as many queries."""
    import torch

    torch.set_num_threads(1)
    start = time.process_time()
    accuracies, setting = read(table)[0], problem(table, budget)
    searcher = Mnasnet(setting, seed, rule=rule)
    trials: list[Trial] = []
    while True:
        choice = searcher.propose(len(trials), trials)
        updates = searcher.records(trials)
        if choice is None or len(updates) * searcher.batch >= samples:
            break
        trials.append(setting.judged(len(trials), choice, accuracies.accuracies[choice]))
    rewards = np.array([reward for update in updates for reward in update.rewards])[:samples]
    queries = (*QUERIES, len(trials))
    by_chance = list(run(Random(setting, seed), accuracies, max(queries)))
    return {
        "budget": budget,
        "seed": seed,
        "queries": len(trials),
        "windows": rewards[: len(rewards) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1).tolist(),
        "entropy": [updates[0].step.entropy, updates[-1].step.entropy],
        "regret": regrets(setting, accuracies, trials, queries),
        "random": regrets(setting, accuracies, by_chance, queries),
        "seconds": time.process_time() - start,
    }


def greater(a: Sequence[float], b: Sequence[float]) -> float:
    """p of Wilcoxon's paired one-sided test that a is greater than b."""
    return 1.0 if np.array_equal(a, b) else float(wilcoxon(a, b, alternative="greater").pvalue)


def show(budget: float | None, runs: list[dict[str, Any]]) -> float:
    """Print a problem's table; the p of having learned."""
    windows = np.array([r["windows"] for r in runs])
    first, last = windows[:, 0], windows[:, -1]
    p = greater(last, first)
    print(f"\n{'accuracy alone' if budget is None else f'within {budget / 1e6:g} M'}, {len(runs)} seeds")
    print("  mean reward by 100 samples: " + " ".join(f"{100 * w:.2f}" for w in windows.mean(axis=0)))
    rose = f"seeds that rose {sum(last > first)}"
    print(f"  first {100 * first.mean():.2f}, last {100 * last.mean():.2f}, p {p:.1e}; {rose}")
    print(f"  entropy {' -> '.join(f'{h:.2f}' for h in np.mean([r['entropy'] for r in runs], axis=0))} nats")
    ours, theirs = (np.array([r[key] for r in runs]) for key in ("regret", "random"))
    names = (*map(str, QUERIES), f"end (mean {np.mean([r['queries'] for r in runs]):.0f})")
    for i, name in enumerate(names):
        a, b = ours[:, i], theirs[:, i]
        words = [f"{x.mean():.3f} +- {x.std(ddof=1):.3f}" for x in (a, b)]
        print(f"  {name:>16} queries: regret {words[0]}, random {words[1]}", end="")
        print(f", ratio {a.mean() / b.mean():.2f}" if b.any() else "", end="")
        print(f", p better {greater(b, a):.1e}, worse {greater(a, b):.1e}")
    return p


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--rule", choices=("ppo", "reinforce"), default="ppo")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    jobs = [(args.table, args.rule, b, s, args.samples) for b, s in product(BUDGETS, range(args.seeds))]
    with ProcessPoolExecutor(args.workers) as pool:
        runs = []
        for done in pool.map(one, *zip(*jobs, strict=True)):
            runs.append(done)
            print(".", end="", file=sys.stderr, flush=True)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(args.out, {"rule": args.rule, "samples": args.samples, "runs": runs})
    print(f"MnasNet by {args.rule}, {args.samples} samples, {sum(r['seconds'] for r in runs):.0f} s of CPU")
    learned = [show(budget, [r for r in runs if r["budget"] == budget]) for budget in BUDGETS]
    return int(max(learned) >= 0.05)


if __name__ == "__main__":
    sys.exit(main())
