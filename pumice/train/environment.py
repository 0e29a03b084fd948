"""What a run was made with, for people who want to make it again; nothing that tells whose machine it is."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pumice.cost.machine import describe

COMPUTE = ("pumice", "torch", "torchvision", "timm", "lightning", "torchdata", "torchmetrics")
READ = ("numpy", "pillow", "safetensors", "scikit-learn", "datasets", "webdataset", "pyarrow")
PATIENCE_S = 5.0  # that git may take


def environment() -> dict[str, Any]:
    """Versions of what computes and reads, the kind of machine, the code's commit, when and how the run was started."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]] if sys.argv else [],
        "git": repository(),
        "python": platform.python_version(),
        "packages": {name: found for name in COMPUTE + READ if (found := _version(name)) is not None},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": describe(),
        "cpus": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def repository() -> dict[str, Any] | None:
    """Of the git repository around the current folder: commit, branch, and whether files that it tracks have changed.

    None where there is none, where git is missing or slow.  Neither its address nor its path is asked for.
    """
    # A repository may name a program as its file system monitor; a status must start none and lock nothing.
    asked = ["git", "-c", "core.fsmonitor=false", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "-uno"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    lines = done.stdout.splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    commit, branch = head.get("branch.oid"), head.get("branch.head")
    return {
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": any(not line.startswith("#") for line in lines),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
