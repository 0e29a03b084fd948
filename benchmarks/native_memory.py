"""How much memory one contender of `native.py` needs, in a fresh process.

    .venv/bin/python benchmarks/native_memory.py resident|written CONTENDER FILE

resident: by how much the process grows from before the file is opened until several passes are done: weights, packed
weights, compiled code, activations.
written: how many bytes one pass writes to: activations, scratch and output, whoever allocated them and when.  The
process forks a child that sleeps, so that all pages are shared and a page written to becomes the writer's own; malloc
is told to give nothing back to the system, so that pages that the pass frees again count too.  What a pass that does
nothing writes is taken off.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

KEEP = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}
PASSES = 5
HERE = Path(__file__)


def memory(contender: str, file: Path) -> dict[str, int]:
    """Bytes, without those that cannot be had: other systems have no such accounts, and a process may fail."""
    found: dict[str, int] = {}
    for what, keep in (("resident", {}), ("written", KEEP)):
        command = [sys.executable, str(HERE), what, contender, str(file)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **keep}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            said = ran.stderr.strip().splitlines()
            print(f"{what} memory of {contender}, {file}: {said[-1] if said else 'it stopped'}", file=sys.stderr)
        else:
            found[what] = int(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    from native_files import SIZE, opened

    from pumice.deploy.formats import RUNTIMES

    what, contender, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    x = np.random.default_rng(0).standard_normal((1, *SIZE), dtype=np.float32)
    __import__(RUNTIMES[contender.split("_", maxsplit=1)[0]].package)
    before = _account("Rss")
    with opened(contender, file) as session:
        for _ in range(PASSES):
            session.run(x)
        if what == "resident":
            print(_account("Rss") - before)
        else:
            print(written(lambda: session.run(x)))


def written(work: Callable[[], object]) -> int:
    """Bytes that `work` writes to, without what a call that computes nothing does: the least of three times of each."""
    much, nothing = (min(_private(job) for _ in range(3)) for job in (work, np.ones(1).sum))
    return max(much - nothing, 0)


def _private(work: Callable[[], object]) -> int:
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(say, b"!")
        while True:
            signal.pause()
    try:
        # What the child writes to before it sleeps becomes the parent's own, too: it must not do so during the work.
        os.read(ready, 1)
        _asleep(child)
        before = _account("Private_Dirty")
        work()
        return _account("Private_Dirty") - before
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(say)


def _asleep(process: int) -> None:
    while "(sleeping)" not in Path(f"/proc/{process}/status").read_text():
        time.sleep(0.001)


def _account(name: str) -> int:
    """Bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"the system does not say {name}")


if __name__ == "__main__":
    main()
