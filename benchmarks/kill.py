"""Does a run that is killed again and again end with the weights of one that nobody killed?

    .venv/bin/python benchmarks/kill.py [--case NAME] [--kills 20] [--seed 0] [--out DIR]

A reference run by `python -m pumice.cli.main`, then runs of the same settings that are killed (SIGKILL) and resumed up
to seven times before they may end: every second kill at a random moment, the others as soon as a scratch file of
resume.pt is seen, 0 to 8 ms later.  Processes that are killed are forked from this one, which has imported everything:
a start then costs a tenth of a second, and nothing else differs from a start by hand.

Compared with the reference, bit for bit: all weights files, the predictions, every tensor and number of resume.pt, and
metrics.csv, but for its clocks.  A resumed process says at which step it goes on: that must be the step of the newest
good state that the kill left, so that no step is done twice but those since the last save.  Exit code 1 when anything
differs.
"""

import argparse
import csv
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pumice.cli.main import main as pumice
from pumice.train.latest import Latest
from pumice.train.records import CLOCK
from pumice.train.state import read_state

COMMON = (
    *("--img-size", "32", "--batch-size", "32", "--seed", "3", "--epochs", "3"),
    *("--set", "data.val_fraction=0.75", "--set", "train.save_every_s=0.2"),
    *("--set", "augment.mixup=0.2", "--set", "train.ema_decay=0.99"),
)
CASES = {
    "dropout": (
        *("--model", "mobilenetv3_small_050", "--set", "model.drop_rate=0.2", "--set", "model.drop_path_rate=0.1"),
        *("--set", "augment.auto_augment=rand-m7-mstd0.5-inc1", "--set", "augment.re_prob=0.2"),
    ),
    "condense": (
        *("--model", "condensenet50_cifar", "--set", "model.layers=1", "--set", "model.growth=4"),
        *("--set", "train.group_lasso=0.001"),
    ),
    "partner": ("--model", "mobilenetv3_small_050", "--partner", "shufflenetv2_050", "--set", "model.drop_rate=0.2"),
}
# What a process imports on the way; forked ones find it there.
IMPORTS = (
    *("lightning.pytorch", "pumice.cli.train", "pumice.recipes.small_data", "pumice.train.console"),
    *("pumice.train.trainer", "sklearn.datasets", "timm.data", "timm.optim", "tensorboard.compat.proto.event_pb2"),
)
SCRATCH = ".resume.*.part.pt"
KILLS_A_RUN = 7


@dataclass
class Tally:
    """What the kills of a case met.

    aimed, inside: kills aimed at a write of resume.pt; those of all that left its scratch file on the disk.
    alone: between the two renamings, so that resume.previous.pt was alone.
    unborn, stateless: before config.json was there, so that the run was begun anew; before the first state.
    steps: at which processes went on.
    """

    kills: int = 0
    aimed: int = 0
    inside: int = 0
    alone: int = 0
    unborn: int = 0
    stateless: int = 0
    runs: int = 0
    steps: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def start(arguments: tuple[str, ...], said: Path) -> int:
    """A forked `pumice` with these arguments, which writes what it says to a file; its process id."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    code = 70
    try:
        with said.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["pumice", *arguments]
        pumice()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def kill(child: int, out: Path, draw: random.Random, seconds: float, aimed: bool) -> bool:
    """Kill it at a random moment, or inside one of its first writes if `aimed`; False when it ended before."""
    moment, write, writing = time.monotonic() + draw.uniform(0.0, seconds), draw.randrange(5), False
    while write >= 0 if aimed else time.monotonic() < moment:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        before, writing = writing, any(out.glob(SCRATCH))
        write -= writing and not before
        time.sleep(0.0005)
    if aimed:
        time.sleep(draw.uniform(0.0, 0.008))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def step_of(out: Path) -> int:
    """Of the newest good state on the disk, 0 before there is one."""
    state = Latest(out).read()
    return 0 if state is None else int(state["step"])


def one_run(
    out: Path, arguments: tuple[str, ...], draw: random.Random, seconds: float, tally: Tally, most: int
) -> None:
    """Begin a run, kill and resume it until `most` kills are done or it has ended, then let it end."""
    said = out.with_suffix(".txt")
    tally.runs += 1
    for number in range(most + 1):
        begun = (out / "config.json").is_file()
        newest = step_of(out) if begun else 0
        child = start(("train", "--resume", str(out)) if begun else ("train", *arguments, "--out", str(out)), said)
        if number == most:
            killed = False
            if os.waitpid(child, 0)[1]:
                tally.wrong.append(f"{out.name}: {said.read_text()[-300:]}")
        else:
            aimed = tally.kills % 2 == 1
            killed = kill(child, out, draw, seconds, aimed)
        if (found := re.search(r"going on at step (\d+) of", said.read_text())) is not None:
            tally.steps.append(int(found[1]))
            if int(found[1]) != newest:
                tally.wrong.append(f"{out.name}: went on at step {found[1]}; the newest state was of step {newest}")
        if not killed:
            return
        tally.kills += 1
        tally.aimed += aimed
        tally.inside += any(out.glob(SCRATCH))
        tally.alone += (out / "resume.previous.pt").exists() and not (out / "resume.pt").exists()
        tally.unborn += not (out / "config.json").is_file()
        tally.stateless += (out / "config.json").is_file() and step_of(out) == 0


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a nested record by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if items is None:
        return {path: value}
    return {k: v for key, item in items for k, v in leaves(item, f"{path}/{key}").items()}


def same(a: Any, b: Any) -> bool:
    """Of tensors, bit for bit."""
    return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else bool(a == b)


def differences(out: Path, reference: Path) -> list[str]:
    """What differs between two finished runs, and what a finished run should not have."""
    same_files = ("*.safetensors", "predictions.*")
    content = [{f.name: f.read_bytes() for name in same_files for f in run.glob(name)} for run in (out, reference)]
    wrong = [name for name in content[0].keys() | content[1].keys() if content[0].get(name) != content[1].get(name)]
    mine, theirs = leaves(read_state(out / "resume.pt")), leaves(read_state(reference / "resume.pt"))
    keys = [key for key in mine.keys() | theirs.keys() if key.split("/")[-1] not in CLOCK]
    wrong += [f"resume.pt{key}" for key in keys if not same(mine.get(key), theirs.get(key))]
    rows = [
        [{**row, **dict.fromkeys(CLOCK)} for row in csv.DictReader((run / "metrics.csv").open())]
        for run in (out, reference)
    ]
    wrong += ["metrics.csv"] if rows[0] != rows[1] else []
    wrong += [p.name for p in out.iterdir() if ".part" in p.name or p.name in ("lock", "resume.previous.pt")]
    return [f"{out.name}/{name}" for name in wrong]


def run_case(name: str, folder: Path, kills: int, seed: int) -> Tally:
    """The reference, an undisturbed forked run, then killed runs until there were enough kills."""
    arguments, reference, whole = (
        ("digits", *CASES[name], *COMMON),
        folder / name / "reference",
        folder / name / "whole",
    )
    command = [sys.executable, "-m", "pumice.cli.main", "train", *arguments, "--out", str(reference)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    draw, tally, began = random.Random(seed), Tally(), time.monotonic()
    os.waitpid(start(("train", *arguments, "--out", str(whole)), whole.with_suffix(".txt")), 0)
    seconds = time.monotonic() - began
    tally.wrong += differences(whole, reference)
    while tally.kills < kills and not tally.wrong:
        out = folder / name / f"killed-{tally.runs + 1}"
        one_run(out, arguments, draw, seconds, tally, min(KILLS_A_RUN, kills - tally.kills))
        tally.wrong += differences(out, reference) if (out / "metrics.json").is_file() else [f"{out.name} has no end"]
    t = tally
    counts = (t.kills, t.aimed, t.inside, t.alone, t.unborn, t.stateless, t.runs, len(t.steps), len(set(t.steps)))
    print("|", " | ".join(map(str, (name, *counts, f"{seconds:.1f}", len(t.wrong)))), "|", flush=True)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(CASES), help="all by default")
    parser.add_argument("--kills", type=int, default=20, help="of every case")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="keep the run folders here")
    options = parser.parse_args()
    for name in IMPORTS:
        import_module(name)
    torch.set_num_threads(1)
    folder = options.out or Path(tempfile.mkdtemp(prefix="kill-"))
    heads = ("case", "kills", "aimed at a write", "inside one", "between renamings", "before config.json")
    heads += ("before any state", "runs", "went on", "at different steps", "s a run", "differences")
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads), flush=True)
    tallies = [run_case(name, folder, options.kills, options.seed) for name in options.case or CASES]
    wrong = [text for tally in tallies for text in tally.wrong]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if options.out is None and not wrong:
        shutil.rmtree(folder)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
