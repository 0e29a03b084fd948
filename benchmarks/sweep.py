"""How long does `pumice list` with a latency budget take?  Cold, with exported files kept, and from the database.

    .venv/bin/python benchmarks/sweep.py [--runtime onnxruntime] [--nets 60] [--cache DIR]

The whole command is timed three times, as a process: with an empty cache folder (the claim is under 10 minutes for 60
variants), with the files that left there but no measurements (under 3 minutes), and with the measurements (under 2 s,
the best of three, and without torch).  A line of JSON with the seconds ends the output; ends 1 when a claim fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pumice.cost.machine import describe
from pumice.models.catalogue import Entry, select

CLAIMS = {"cold": 600.0, "files kept": 180.0, "from the database": 2.0}
PROGRAM = (
    "import sys; from pumice.cli.main import main\ntry: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
)


def chosen(count: int) -> tuple[list[Entry], int]:
    """The ImageNet classifiers of fewest multiply-adds, about so many, and the limit that selects them."""
    nets = sorted((e for e in select() if e.task == "classify" and e.num_classes == 1000), key=lambda e: e.madds)
    limit = nets[min(count, len(nets)) - 1].madds
    return [e for e in nets if e.madds <= limit], limit


def ask(limit: int, runtime: str, cache: Path) -> tuple[float, list[str], bool]:
    """(seconds, names found, whether torch was imported) of one command."""
    query = ["list", "--max-madds", str(limit), "--max-latency", "1s", "--runtime", runtime, "--json"]
    env = {**os.environ, "PUMICE_CACHE": str(cache)}
    start = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", PROGRAM, *query], env=env, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    *told, torch = said.stderr.splitlines()
    for line in told:
        print(f"    {line}")
    return seconds, [row["name"] for row in json.loads(said.stdout) if "p50_ms" in row], torch == "True"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--nets", type=int, default=60)
    parser.add_argument("--cache", type=Path, help="an empty folder; a temporary one by default")
    args = parser.parse_args()
    nets, limit = chosen(args.nets)
    print(f"{describe()}\n{len(nets)} networks of at most {limit:,} multiply-adds in {args.runtime}")
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        for step in CLAIMS:
            if step == "files kept":
                (cache / "measurements.sqlite").unlink()
            asked = [ask(limit, args.runtime, cache) for _ in range(3 if step == "from the database" else 1)]
            seconds[step], names, torch = min(asked)
            loaded = "with torch" if torch else "without torch"
            print(f"{step:18} {seconds[step]:8.2f} s, {len(names)} networks, {loaded}", flush=True)
    print(json.dumps({"machine": describe(), "runtime": args.runtime, "nets": len(nets), "seconds": seconds}))
    raise SystemExit(int(any(seconds[step] > claim for step, claim in CLAIMS.items())))


if __name__ == "__main__":
    main()
