"""DNAS on NAS-Bench-Macro: where does the network that a real supernet prefers stand among all 6,561?

    .venv/bin/python benchmarks/search_dnas.py DATA --table nas_bench_macro.csv --out DIR [--seeds 0,1] [--alpha 0.2]

DATA is CIFAR-10 as an image folder, of which the supernet sees `--images` training images at `--side` pixels, in a
space of `--width` of the channels.  The cost is the multiply-adds of the whole networks, which the table's are.  Six
networks drawn from what was learnt, the most probable one first, become trials; their accuracy is looked up (the mean
of three trainings).  A rank counts the networks of the table that are better, from 1; beside it stands the rank among
networks of at most the same multiply-adds.  Killed, it goes on where it was.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from pumice.data.augment import Augment
from pumice.data.images import ImageSet, Splits
from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.files import write_json
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Choice
from pumice.search.cost import Listed
from pumice.search.dnas import dnas
from pumice.search.objective import Looked, read_column
from pumice.search.problem import Problem
from pumice.search.searcher import run
from pumice.search.supernet.alternate import Record
from pumice.search.supernet.images import Feeding
from pumice.search.supernet.schedule import Schedule

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--table", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--side", type=int, default=24, help="pixels of the supernet's images")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=10, help="the paper's ninth part is a million images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05, help="the paper's 0.1 is for batches of 192")
    parser.add_argument("--theta-lr", type=float, default=0.03, help="the paper's 0.01 is for 25 times as many steps")
    parser.add_argument("--alpha", type=float, default=0.2)
    parser.add_argument("--beta", type=float, default=0.6)
    parser.add_argument("--no-cost", action="store_true", help="accuracy alone")
    parser.add_argument("--samples", type=int, default=6)
    arguments = parser.parse_args()
    columns = [read_column(arguments.table, "arch", f"acc{i}", scale=0.01) for i in (1, 2, 3)]
    accuracy = {choice: float(np.mean([column[choice] for column in columns])) for choice in columns[0]}
    madds = read_column(arguments.table, "arch", "flops")
    space = MacroSpace(arguments.width)
    cost = None if arguments.no_cost else Listed(madds, "multiply-adds")
    splits = reduced(open_data(arguments.data), arguments.images)
    schedule = Schedule().shortened(arguments.epochs)
    names = ("warmup", "lr", "theta_lr", "alpha", "beta")
    schedule = replace(schedule, **{name: getattr(arguments, name) for name in names})
    feeding = Feeding(
        Preprocess((arguments.side, arguments.side), crop_pct=1.0, mean=CIFAR_MEAN, std=CIFAR_STD),
        batch_size=arguments.batch,
        augment=Augment(pad=4, color_jitter=0.0),
        channels_last=True,
    )
    found = []
    for seed in map(int, arguments.seeds.split(",")):
        learnt = dnas(
            Problem(space, cost),
            splits,
            schedule=schedule,
            feeding=feeding,
            seed=seed,
            folder=arguments.out / f"seed{seed}",
            told=tell,
        )
        trials = list(run(learnt.searcher, Looked(accuracy), arguments.samples))
        best = max(trials, key=lambda trial: trial.accuracy)
        lines = {"argmax": trials[0].choice, f"best of {len(trials)}": best.choice}
        for name, choice in lines.items():
            found.append({"seed": seed, "which": name, **standing(choice, accuracy, madds)})
            print(found[-1], flush=True)
        write_json(arguments.out / "found.json", {"settings": {**vars(arguments), "out": None}, "found": found})


def reduced(splits: Splits, images: int) -> Splits:
    """The first images of every class, equally many."""
    taken: list[int] = []
    each = images // len(splits.classes)
    for label in range(len(splits.classes)):
        taken += [i for i, other in enumerate(splits.train.labels) if other == label][:each]
    train: ImageSet = splits.train.subset(sorted(taken))
    return replace(splits, train=train)


def standing(choice: Choice, accuracy: dict[Choice, float], madds: dict[Choice, float]) -> dict[str, object]:
    """A network's place in the table."""
    smaller = [other for other in accuracy if madds[other] <= madds[choice]]
    return {
        "network": "".join(map(str, choice)),
        "accuracy": round(accuracy[choice], 4),
        "madds": madds[choice],
        "rank": 1 + sum(value > accuracy[choice] for value in accuracy.values()),
        "of": len(accuracy),
        "rank_within_madds": 1 + sum(accuracy[other] > accuracy[choice] for other in smaller),
        "of_within_madds": len(smaller),
        "best_within_madds": round(max(accuracy[other] for other in smaller), 4),
    }


def tell(record: Record) -> None:
    """One line an epoch."""
    costs = "" if record["expected_cost"] is None else f", {record['expected_cost']:.1f} M expected"
    print(
        f"epoch {record['epoch'] + 1}: cross-entropy {record['ce_weights']:.3f} of the weights' images, "
        f"{record['ce_theta'] or float('nan'):.3f} of theta's; {''.join(map(str, record['choice']))}{costs}, "
        f"entropy {np.mean(record['entropy']):.2f}, {record['seconds']:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
