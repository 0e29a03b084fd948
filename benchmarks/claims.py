"""The papers' claims about accuracy, on data and at a scale that two cores can train: CIFAR-10, minutes a run.

    .venv/bin/python benchmarks/claims.py --cifar10 DIR [CLAIM ...] [--seeds 3] [--workers 2] [--hours H] [--out DIR]

Claims: path (MicroNet, table 2), mutual (learning beside a full-rank partner), nets (MicroNet against MobileNetV3-Small
and ShuffleNetV2 scaled to the same multiply-adds: by width, and by smaller images where width alone does not), condense
(CondenseNet against the same net with fixed groups), and MicroNet's other ablations, run once: fixed, lambda, lite,
activation, places, jk.  All of them without CLAIM.

Every run: the defaults of `pumice train` (recipe small_data), 10,000 images (the first 1,000 of each class), 64 pixels,
15 epochs (32 pixels for CondenseNet, whose net is made for these; 10 epochs for the other ablations), one thread.  What
counts is the top-1 of the last weights on all 10,000 test images; no epoch is chosen by them.  OUT holds a run folder
each: what is finished is not run again, what was killed goes on, and the table is printed from what is there.  DIR is
CIFAR-10 as folders of images by class, train/ and val/.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from micronet_ablations import NET, TABLES

from pumice.cost.count import profile
from pumice.data.images import Splits
from pumice.data.open import open_data
from pumice.files import read_json, write_json
from pumice.models.create import create_model
from pumice.recipes.small_data import classify
from pumice.train.run import resume, train

TRAIN, WATCHED = 1000, 100  # images of a class: to train on, and to watch while training
ORDER = ("path", "nets", "mutual", "condense", "fixed", "lambda", "lite", "activation", "places", "jk")
OTHERS = dict(zip(("fixed", "lambda", "lite", "activation", "places", "jk"), list(TABLES)[1:], strict=True))
FINISHED = "test.json"


@dataclass(frozen=True)
class Job:
    """One run: `printed` is what the paper says of ImageNet, top-1."""

    claim: str
    label: str
    model: str
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    printed: str = ""

    @property
    def folder(self) -> str:
        """Of the run; equal work of several claims is done once."""
        said = {"model": self.model, **self.options, **self.changes}
        parts = [f"{k}-{v}" for k, v in said.items() if k != "model"]
        words = "_".join([self.model, *parts, f"seed-{self.seed}"])
        return "".join(c if c.isalnum() or c in "-_." else "+" for c in words)


def jobs(claim: str, seed: int) -> list[Job]:
    """The runs of a claim with one seed."""
    sixty_four = {"img_size": 64, "epochs": 15}
    if claim == "path":
        rows = TABLES["From MobileNetV2 to MicroNet (table 2)"]
        return [Job(claim, label, NET, seed, o, sixty_four, said.split()[-1]) for label, o, said in rows]
    if claim == "mutual":
        beside = {**sixty_four, "partner": "full_rank"}
        return [
            Job(claim, "alone", NET, seed, {}, sixty_four, "59.4 (first version)"),
            Job(claim, "with a full-rank partner", NET, seed, {}, beside, "61.1 (first version)"),
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
        return [
            Job(claim, label, "condensenet50_cifar", seed, {"layers": 4, "condensed": condensed}, small)
            for label, condensed in (("groups fixed, as chance has it", True), ("groups learned", False))
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
    return Job("nets", label, model, seed, {"width": width}, {"img_size": side, "epochs": 15}, printed)


def planned(claims: Sequence[str], seeds: int) -> list[Job]:
    """Every run once: the claims that need several seeds seed by seed, then the others."""
    many = [c for c in claims if c not in OTHERS]
    rows = [job for seed in range(seeds) for claim in many for job in jobs(claim, seed)]
    rows += [job for claim in claims if claim in OTHERS for job in jobs(claim, 0)]
    return list({job.folder: job for job in rows}.values())


def subset(cifar10: Path, out: Path) -> Path:
    """The images that are used, as a folder."""
    folder = out / "cifar10"
    if not folder.exists():
        scratch = out / ".cifar10.part"
        shutil.rmtree(scratch, ignore_errors=True)
        for split, most in (("train", TRAIN), ("val", None)):
            for label in sorted((cifar10 / split).iterdir()):
                (scratch / split / label.name).mkdir(parents=True)
                for file in sorted(label.iterdir())[:most]:
                    shutil.copy(file, scratch / split / label.name)
        scratch.rename(folder)
    return folder


def run(job: Job, folder: Path, out: Path) -> None:
    """Train, or go on, and test."""
    from pumice.deploy.session import open_session
    from pumice.tasks.classify import evaluate

    torch.set_num_threads(1)
    splits = open_data(str(folder))
    seen: defaultdict[int, int] = defaultdict(int)
    watched = []
    for i, label in enumerate(splits.val.labels):
        seen[label] += 1
        if seen[label] <= WATCHED:
            watched.append(i)
    fewer = Splits(splits.source, splits.train, splits.val.subset(watched))
    place = out / job.folder
    if (place / "config.json").is_file():
        resume(place, splits=fewer)
    else:
        config = classify(str(folder), job.model, seed=job.seed, model_options=job.options, **job.changes)
        train(config, place, splits=fewer)
    condensed = place / "condensed.safetensors"
    with open_session(condensed if condensed.exists() else place / "last.safetensors", runtime="eager") as session:
        assert session.manifest is not None
        scores = evaluate(session, session.manifest.preprocess, splits.val)
    write_json(place / FINISHED, {"top1": scores.top1, "loss": scores.loss, "images": scores.count})


def work(rows: Sequence[Job], args: argparse.Namespace, folder: Path) -> None:
    """Run what is not finished, some at a time, each in a process of its own."""
    waiting = [job for job in rows if not (args.out / job.folder / FINISHED).exists()]
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    begun = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        while waiting or running:
            late = args.hours is not None and time.perf_counter() - begun > args.hours * 3600
            while waiting and len(running) < args.workers and not late:
                job = waiting.pop(0)
                command = [sys.executable, __file__, "--cifar10", str(args.cifar10), "--out", str(args.out)]
                one = json.dumps({**job.__dict__})
                log = (args.out / "log.txt").open("ab")
                running.append((job, subprocess.Popen([*command, "--one", one], stderr=log, env=environment)))
            if late and not running:
                break
            time.sleep(0.5)
            for job, process in [pair for pair in running if pair[1].poll() is not None]:
                running.remove((job, process))
                how = "done" if process.returncode == 0 else f"failed ({process.returncode})"
                print(f"{how}: {job.claim}, {job.label}, seed {job.seed}; {len(waiting)} to begin", flush=True)
    finally:
        for _, process in running:
            process.terminate()
            process.wait()


def table(claims: Sequence[str], seeds: int, out: Path) -> Iterator[str]:
    """What the finished runs came to, in Markdown."""
    for claim in claims:
        count = 1 if claim in OTHERS else seeds
        by: defaultdict[str, list[Job]] = defaultdict(list)
        for job in itertools.chain.from_iterable(jobs(claim, seed) for seed in range(count)):
            by[job.label].append(job)
        yield f"\n**{claim}**\n\n| net | MAdds | top-1 here | spread | seeds | the paper's top-1 |"
        yield "| --- | --: | --: | --: | --: | --- |"
        for label, members in by.items():
            files = [out / job.folder / FINISHED for job in members]
            tops = [100 * read_json(file)["top1"] for file in files if file.exists()]
            middle = f"{statistics.fmean(tops):.2f}" if tops else "-"
            spread = f"{statistics.stdev(tops):.2f}" if len(tops) > 1 else "-"
            options = {**members[0].options, **({"condensed": True} if claim == "condense" else {})}
            cost = f"{madds(members[0].model, options) / 1e6:.2f} M"
            yield f"| {label} | {cost} | {middle} | {spread} | {len(tops)} | {members[0].printed or '-'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(ORDER))
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hours", type=float, help="begin no run after so many")
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.claims) - set(ORDER):
        parser.error(f"there is no claim {min(unknown)}; choose from {', '.join(ORDER)}")
    claims = args.claims or list(ORDER)
    args.out.mkdir(parents=True, exist_ok=True)
    folder = subset(args.cifar10, args.out)
    if args.one:
        run(Job(**json.loads(args.one)), folder, args.out)
        return
    work(planned(claims, args.seeds), args, folder)
    print("\n".join(table(claims, args.seeds, args.out)))


if __name__ == "__main__":
    main()
