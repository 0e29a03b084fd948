"""What a run was made with, for people who want to make it again."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("pumice", "torch", "torchvision", "timm", "lightning", "numpy", "pillow", "safetensors")


def environment() -> dict[str, Any]:
    """Versions of what computes, and the machine's kind; nothing that tells whose machine it is."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]] if sys.argv else [],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
