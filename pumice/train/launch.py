"""The processes of a run: which is the first, and who started them.  No torch here.

torchrun and SLURM start all of them; with neither, Lightning starts the others of this machine from the first one, when
training begins.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pumice.errors import CheckFailed

PATIENCE_S = 10.0
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Whether this is the first of the processes that a launcher or Lightning has started for several devices."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def started() -> int | None:
    """How many processes torchrun or srun has started for this run; None when neither has."""
    torchrun = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    count = torchrun or os.environ.get("SLURM_STEP_NUM_TASKS")
    return int(count) if count is not None and count.isdigit() else None


@contextmanager
def said_by_the_first() -> Iterator[None]:
    """Let the first process alone say what has failed in all of them, and the others what has failed in them alone.

    Launchers end the other processes when one has failed.  So the others end well after a failed check, which all know
    of, and after anything else give the first one time to fail as well.
    """
    try:
        yield
    except CheckFailed:
        if is_first_process():
            raise
        raise SystemExit(0) from None
    except Exception:
        if not is_first_process():
            _wait_for_the_end()
        raise


def _wait_for_the_end() -> None:
    """Come back if this process still runs after some seconds."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(1))
    parent, end = os.getppid(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if os.getppid() != parent:
            os._exit(1)
        time.sleep(0.1)
