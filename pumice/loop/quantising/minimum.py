"""The oldest versions that are used to quantise; older ones lack what the schemes ask of them."""

import re
from importlib import metadata

from pumice.deploy.formats import RUNTIMES
from pumice.deploy.schemes.scheme import Scheme
from pumice.errors import BadInput

# By the name under which a package is imported; as pyproject.toml asks, for installations that did not ask it.
MINIMUM = {
    "onnxruntime": "1.22",
    "openvino": "2025.3",
    "nncf": "2.18",
    "ai_edge_litert": "2.0",
    "litert_torch": "0.8",
    "executorch": "1.0",
}


def require_recent(scheme: Scheme) -> None:
    """
    Raises:
        BadInput: a package behind a scheme or its runtime is too old.
    """
    for package in (RUNTIMES[scheme.runtime].package, *scheme.packages):
        if (least := MINIMUM.get(package)) is None:
            continue
        try:
            have = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # built from source, under no name: nothing says that it is old
        if _numbers(have) < _numbers(least):
            raise BadInput(
                f"{package} {have} is too old for {scheme.name}, which needs {least} or newer; "
                f"run `pip install -U '{package.replace('_', '-')}>={least}'`"
            )


def _numbers(version: str) -> tuple[int, ...]:
    """ "2025.3.0rc1" -> (2025, 3, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version)[0]))
