"""The papers' claims about accuracy, on CIFAR-10: minutes a run on two cores, or all of its images on a GPU.

    .venv/bin/python benchmarks/claims.py --cifar10 DIR [CLAIM ...] [--seeds 3] [--workers 2] [--minutes M] [--out DIR]
                                          [--images 1000] [--batch 64] [--device cpu] [--once]

Claims: path (MicroNet, table 2), mutual (learning beside a full-rank partner), nets (MicroNet against MobileNetV3-Small
and ShuffleNetV2 scaled to the same multiply-adds: by width, and by smaller images where width alone does not), condense
(CondenseNet against the same net with fixed groups), and MicroNet's other ablations, run once: fixed, lambda, lite,
activation, places, jk.  All of them without CLAIM.

Every run: the defaults of `pumice train` (recipe small_data), the first --images of each class, 64 pixels, 15 epochs
(32 pixels for CondenseNet, whose net is made for these; 10 epochs for the other ablations), one thread.  What counts is
the top-1 of the last weights on all 10,000 test images; no epoch is chosen by them.  OUT holds a run folder each: what
is finished is not run again, what was stopped goes on, and the tables are printed from what is there.  DIR is CIFAR-10
as folders of images by class, train/ and val/.

--workers runs are trained at once; on a GPU small nets wait for their launches, so give it one for each core.  --once
changes the training images of a seed once for all its runs, in memory: up to 19 GB for a seed with all images.

Tables: mean and sample standard deviation over the seeds; the mean difference, seed by seed, to the row that a row is
compared with, and its standard error.  In `path` that is the row above (for Dynamic Shift-Max, as for the static one,
the net without), in `nets` the MicroNet, else the first row.
"""

import argparse
import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from claim_runs import FINISHED, Images, Job, Scale, check_scale, tasks_of, work
from micronet_ablations import NET, TABLES

from pumice.cost.count import profile
from pumice.files import read_json
from pumice.models.create import create_model

ORDER = ("path", "nets", "mutual", "condense", "fixed", "lambda", "lite", "activation", "places", "jk")
OTHERS = dict(zip(("fixed", "lambda", "lite", "activation", "places", "jk"), list(TABLES)[1:], strict=True))


def jobs(claim: str, seed: int) -> list[Job]:
    """The runs of a claim with one seed."""
    sixty_four = {"img_size": 64, "epochs": 15}
    if claim == "path":
        rows = TABLES["From MobileNetV2 to MicroNet (table 2)"]
        against = ["", *(label for label, _, _ in rows[:-2]), rows[-3][0]]
        return [
            Job(claim, label, NET, seed, o, sixty_four, said.split()[-1], other)
            for (label, o, said), other in zip(rows, against, strict=True)
        ]
    if claim == "mutual":
        beside = {**sixty_four, "partner": "full_rank"}
        return [
            Job(claim, "alone", NET, seed, {}, sixty_four, "59.4 (first version)"),
            Job(claim, "with a full-rank partner", NET, seed, {}, beside, "61.1 (first version)", "alone"),
        ]
    if claim == "nets":
        return [
            job
            for of, alone, small in (("micronet_m2", "59.4", "49.8"), ("micronet_m3", "62.5", "58.0"))
            for job in (
                Job(claim, of, of, seed, {}, sixty_four, alone),
                scaled("mobilenetv3_small_100", of, seed, small),
                scaled("shufflenetv2_050", of, seed, ""),
            )
        ]
    if claim == "condense":
        small = {"img_size": 32, "epochs": 15}
        fixed, learned = "groups fixed, as chance has it", "groups learned"
        return [
            Job(claim, label, "condensenet50_cifar", seed, {"layers": 4, "condensed": label == fixed}, small, "", other)
            for label, other in ((fixed, ""), (learned, fixed))
        ]
    ten = {"img_size": 64, "epochs": 10}
    return [Job(claim, label, NET, seed, o, ten, said.split()[-1]) for label, o, said in TABLES[OTHERS[claim]]]


def madds(model: str, options: dict[str, Any]) -> float:
    """With those of hyper-functions' application, at the published size of the image."""
    with torch.device("meta"):
        net = create_model(model, **options)
        found = profile(net, (3, 32, 32) if "cifar" in model else (3, 224, 224))
    return found.madds + found.extra_madds


@cache
def like(model: str, of: str) -> tuple[float, int]:
    """The width, at least 0.1, and the side of the image at which a net multiplies as much as another at 64 pixels."""
    wanted = madds(of, {})
    width = min((w / 100 for w in range(10, 60)), key=lambda w: abs(madds(model, {"width": w}) - wanted))
    over = madds(model, {"width": width}) / wanted
    return width, 64 if over < 1.05 else round(64 / over**0.5)


def scaled(model: str, of: str, seed: int, printed: str) -> Job:
    """A net with about the multiply-adds of another."""
    width, side = like(model, of)
    small = "" if side == 64 else f" at {side} pixels"
    label = f"{model.rpartition('_')[0]} x {width}{small}, as {of}"
    return Job("nets", label, model, seed, {"width": width}, {"img_size": side, "epochs": 15}, printed, of)


def planned(claims: Sequence[str], seeds: int) -> list[Job]:
    """Every run once: the claims that need several seeds seed by seed, then the others."""
    many = [c for c in claims if c not in OTHERS]
    rows = [job for seed in range(seeds) for claim in many for job in jobs(claim, seed)]
    rows += [job for claim in claims if claim in OTHERS for job in jobs(claim, 0)]
    return list({job.folder: job for job in rows}.values())


def table(claims: Sequence[str], seeds: int, out: Path) -> Iterator[str]:
    """What the finished runs came to, in Markdown."""
    for claim in claims:
        count = 1 if claim in OTHERS else seeds
        by: defaultdict[str, list[Job]] = defaultdict(list)
        for job in itertools.chain.from_iterable(jobs(claim, seed) for seed in range(count)):
            by[job.label].append(job)
        yield f"\n**{claim}**\n\n| net | MAdds | top-1 here | spread | difference | seeds | the paper's top-1 |"
        yield "| --- | --: | --: | --: | --: | --: | --- |"
        found: dict[str, dict[int, float]] = {}
        for label, members in by.items():
            first = members[0]
            files = {job.seed: out / job.folder / FINISHED for job in members}
            tops = found[label] = {seed: 100 * read_json(file)["top1"] for seed, file in files.items() if file.exists()}
            middle = f"{statistics.fmean(tops.values()):.2f}" if tops else "-"
            spread = f"{statistics.stdev(tops.values()):.2f}" if len(tops) > 1 else "-"
            others = found.get(first.against, {})
            over = difference([tops[seed] - others[seed] for seed in tops if seed in others])
            options = {**first.options, **({"condensed": True} if claim == "condense" else {})}
            cost = f"{madds(first.model, options) / 1e6:.2f} M"
            yield f"| {label} | {cost} | {middle} | {spread} | {over} | {len(tops)} | {first.printed or '-'} |"


def difference(found: Sequence[float]) -> str:
    """Mean, and its standard error if there are several."""
    if not found:
        return "-"
    error = f" ± {statistics.stdev(found) / math.sqrt(len(found)):.2f}" if len(found) > 1 else ""
    return f"{statistics.fmean(found):+.2f}{error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(ORDER))
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="runs at once")
    parser.add_argument("--minutes", type=float, help="stop after so many; the same command goes on")
    parser.add_argument("--images", type=int, default=1000, help="of a class, to train on")
    parser.add_argument("--batch", type=int, default=64, help="images a step")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--once", action="store_true", help="change the images of a seed once for all runs")
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    args = parser.parse_args()
    if unknown := set(args.claims) - set(ORDER):
        parser.error(f"there is no claim {min(unknown)}; choose from {', '.join(ORDER)}")
    claims = args.claims or list(ORDER)
    scale = Scale(args.images, args.batch, args.device)
    if said := check_scale(args.out, scale):
        parser.error(said)
    with get_context("fork").Pool(1) as apart:  # counting a network wakes CUDA up, which no process may share
        rows = apart.apply(planned, (claims, args.seeds))
    tasks = tasks_of(rows, Images(args.cifar10, scale), args.out, scale, args.once)
    work(tasks, args.workers, args.minutes, args.out / "log.txt")
    print("\n".join(table(claims, args.seeds, args.out)))


if __name__ == "__main__":
    main()
