"""The processes of a run: which is the first, and who started them.  No torch here.

torchrun and SLURM start all of them; with neither, Lightning starts the others of this machine from the first one, when
training begins.
"""

import os
import signal
import time

PATIENCE_S = 5.0
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Whether this is the first of the processes that a launcher or Lightning has started for several devices."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def started() -> int | None:
    """How many processes torchrun or srun has started for this run; None when neither has."""
    torchrun = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    count = torchrun or os.environ.get("SLURM_STEP_NUM_TASKS")
    return int(count) if count is not None and count.isdigit() else None


def leave_it_to_the_first() -> None:
    """Give the first process time to fail as well: what has failed in all processes is said by the first one alone.

    Launchers end the other processes when one has failed.  Whoever returns from here has failed alone.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(1))
    parent, end = os.getppid(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if os.getppid() != parent:
            os._exit(1)
        time.sleep(0.1)
