"""Does a joint search of architecture and recipe pay?  JointNAS against random search on the digits, really trained.

    .venv/bin/python benchmarks/search_recipe.py [--seeds 0,1,2] [--trials 24] [--out FILE.json]

The space: two inverted residuals (kernels, widths, expansion), and learning rate, optimiser, moving average, mixup and
weight decay; multiply-adds within half of the dearest network's.  A trial trains on 300 digits for four epochs and is
judged on 300 others; both searches train the same choice to the same accuracy.  The best of each is trained again with
another seed and judged on the 360 validation digits.  Printed: best and mean accuracy after a third, two thirds and all
of the trials; Kendall's tau of the predictor on each batch before it was trained and after; the epoch from which on the
first batch is ranked almost as at the end.  Ends 1 where JointNAS's best is not the better one on average.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.data.memory import keep_decoded
from pumice.data.preprocess import Preprocess
from pumice.errors import CheckFailed
from pumice.files import write_json
from pumice.models.convnet import ConvNet
from pumice.models.described import describe
from pumice.models.heads import PoolLinear
from pumice.models.manifest import ModelConfig
from pumice.models.mbconv import MBConv
from pumice.models.rows import Conv
from pumice.models.spaces.recipe import Setting, fields_of
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.progress import track
from pumice.recipes.small_data import classify
from pumice.search.costs import MAdds
from pumice.search.jointnas.early_stop import stop_epoch
from pumice.search.jointnas.searcher import JointNAS
from pumice.search.objective import Objective, Report
from pumice.search.problem import Problem
from pumice.search.searcher import Random, run
from pumice.train.trainer import train_once

SIDE, EPOCHS, TRAINED, JUDGED = 16, 4, 300, 300
NET = {
    "kernel 1": (3, 5),
    "width 1": (8, 16, 24),
    "kernel 2": (3, 5),
    "width 2": (16, 32, 48),
    "expansion": (1, 3, 6),
}
RECIPE = (
    Setting("lr", (0.001, 0.003, 0.01, 0.03, 0.1)),
    Setting("optimizer", ("adamw", "momentum", "rmsprop")),
    Setting("ema_decay", (None, 0.9, 0.99)),
    Setting("mixup", (0.0, 0.2, 0.5)),
    Setting("weight_decay", (0.0, 0.001, 0.02, 0.1)),
)


class Digits(Space):
    name = "digits"
    positions = (
        *(Position(name, tuple(map(str, values))) for name, values in NET.items()),
        *(setting.position for setting in RECIPE),
    )
    image = (SIDE, SIDE)
    num_classes = 10

    def spec(self, choice: Choice) -> NetSpec:
        k1, w1, k2, w2, expand = (values[i] for values, i in zip(NET.values(), choice, strict=False))
        blocks = MBConv(k1, 2, expand, w1, False, "RE"), MBConv(k2, 2, expand, w2, False, "RE")
        return NetSpec((Conv(3, 8, 1, "RE"), *blocks), PoolLinear())

    def recipe(self, choice: Choice) -> dict[str, Any]:
        return fields_of(RECIPE, choice[len(NET) :])


class Trained(Objective):
    """curves: accuracy after every epoch of each choice that was trained."""

    def __init__(self, space: Space, splits: Splits, seed: int) -> None:
        self.space, self.splits, self.seed = space, splits, seed
        self.curves: dict[Choice, list[float]] = {}

    def accuracy(self, choice: Choice, report: Report) -> float:
        if choice not in self.curves:
            self.curves[choice] = self.train(choice)
        return self.curves[choice][-1]

    def train(self, choice: Choice) -> list[float]:
        """0 from the epoch on at which it diverged."""
        seed = int(np.random.default_rng((self.seed, *choice)).integers(2**31))
        torch.manual_seed(seed)
        net = ConvNet(self.space.spec(choice), num_classes=10)
        describe(net, ModelConfig("digits", 10), Preprocess(size=(SIDE, SIDE), crop_pct=1.0))
        config = classify("digits", "mobilenetv3_small_050", epochs=EPOCHS, img_size=SIDE, seed=seed, batch_size=32)
        config = replace(config, warmup_epochs=1.0, **self.space.recipe(choice))
        try:
            rows = train_once(net, self.splits, config)[1]
        except CheckFailed:
            return [0.0] * EPOCHS
        return [row["val_top1"] for row in rows]


def splits() -> tuple[Splits, Splits]:
    """To search on, and for the end."""
    whole = open_digits()
    shuffled = np.random.default_rng(0).permutation(len(whole.train)).tolist()
    trained, judged = shuffled[:TRAINED], shuffled[TRAINED : TRAINED + JUDGED]
    train = keep_decoded(whole.train.subset(trained))
    parts = keep_decoded(whole.train.subset(judged)), keep_decoded(whole.val)
    return Splits(whole.source, train, parts[0]), Splits(whole.source, train, parts[1])


def compare(seed: int, count: int) -> dict[str, Any]:
    """Both searches of one seed."""
    space, (searched, last) = Digits(), splits()
    cost = MAdds(space)
    dearest = max(cost.of((*(len(v) - 1 for v in NET.values()), *(0 for _ in RECIPE))), 1)
    problem = Problem(space, cost, dearest / 2)
    objective, final = Trained(space, searched, seed), Trained(space, last, seed + 1000)
    joint = JointNAS(problem, seed, batch=max(2, count // 3))
    found: dict[str, Any] = {"seed": seed}
    for name, searcher in (("random", Random(problem, seed)), ("jointnas", joint)):
        start = time.process_time()
        trials = list(track(run(searcher, objective, count), f"{name}, seed {seed}", count))
        best = problem.best(trials)
        assert best is not None
        thirds = [trials[: count * i // 3] for i in (1, 2, 3)]
        found[name] = {
            "best": [max(t.accuracy for t in part) for part in thirds],
            "mean": [float(np.mean([t.accuracy for t in part[-(count // 3) :]])) for part in thirds],
            "choice": space.words(best.choice),
            "test": final.accuracy(best.choice, lambda *_: False),
            "seconds": time.process_time() - start,
        }
        if name == "jointnas":
            found["tau"] = [(r.before, r.after) for r in joint.records(trials)]
            found["stop_epoch"] = stop_epoch([objective.curves[t.choice] for t in trials[: joint.batch]])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = []
    for seed in map(int, options.seeds.split(",")):
        runs.append(compare(seed, options.trials))
        print(f"\nseed {seed}, early-stop epoch {runs[-1]['stop_epoch']} of {EPOCHS}, tau {runs[-1]['tau']}")
        for name in ("random", "jointnas"):
            row = runs[-1][name]
            best, mean = (" ".join(f"{100 * a:.1f}" for a in row[key]) for key in ("best", "mean"))
            print(
                f"  {name:8} best {best}  mean {mean}  test {100 * row['test']:.1f}  {row['seconds']:.0f} s", flush=True
            )
        if options.out:
            write_json(options.out, runs)
    best = [100 * (r["jointnas"]["best"][-1] - r["random"]["best"][-1]) for r in runs]
    test = [100 * (r["jointnas"]["test"] - r["random"]["test"]) for r in runs]
    for name, values in (("best", best), ("test", test)):
        print(f"JointNAS less random, {name}: {np.mean(values):+.2f} points, {np.round(values, 2).tolist()}")
    return 0 if np.mean(best) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
