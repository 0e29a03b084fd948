"""What is installed, what is missing, and whether this machine is fit to measure on.

Imports none of what it examines: versions come from the packages' metadata.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pumice.cost import machine
from pumice.cost.contention import FOREIGN_LIMIT, STEAL_LIMIT, core_times
from pumice.deploy.formats import RUNTIMES
from pumice.errors import BadInput
from pumice.files import cache_folder
from pumice.native.build import compiler

EXTRA = re.compile(r"""extra\s*==\s*['"](\w+)['"]""")
LOOK_S = 1.0
"""How long the load of the cores is watched."""
WANTED_BYTES = 2 * 10**9
"""Disk space that a run with its checkpoints, exports and temporary files may need."""


@dataclass(frozen=True)
class Finding:
    """One examined thing.  `ok` is false where a person should act; `detail` says what was found, or what to do."""

    name: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """Everything `pumice doctor` shows, in order; takes about a second."""
    return [_python(), _torch(), *_runtimes(), *_extras(), _processor(), _affinity(), _load(), _cache(), _disk()]


def _python() -> Finding:
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, version if ok else f"{version} is too old; use 3.11 or newer")


def _torch() -> Finding:
    version = machine.runtime_version("eager")
    return Finding("torch", version is not None, version or "missing; run `pip install pumice`")


def _runtimes() -> Iterator[Finding]:
    """A runtime that is absent is no fault: the finding of its extra says how to get it."""
    for runtime in (name for name, one in RUNTIMES.items() if one.extra):
        yield Finding(f"runtime {runtime}", True, machine.runtime_version(runtime) or "not installed")
    try:
        yield Finding("runtime native", True, f"compiled by {' '.join(compiler())}")
    except BadInput as error:
        yield Finding("runtime native", True, str(error))


def _extras() -> Iterator[Finding]:
    """One finding an extra, read from Pumice's own metadata; `all` and `dev` are unions of the others.

    A missing extra is a choice, not a fault; the finding says how to get it.
    """
    wanted: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("pumice") or []
    except metadata.PackageNotFoundError:
        yield Finding("extras", False, "pumice itself is not installed; run `pip install pumice`")
        return
    for requirement in requirements:
        extra = EXTRA.search(requirement)
        if extra and extra[1] not in ("all", "dev"):
            package = re.match(r"[\w.-]+", requirement)
            wanted.setdefault(extra[1], []).append(package[0] if package else requirement)
    for extra_name, packages in wanted.items():
        missing = [package for package in packages if not _installed(package)]
        detail = f"missing {', '.join(missing)}; run `pip install 'pumice[{extra_name}]'`" if missing else "complete"
        yield Finding(f"extra {extra_name}", True, detail)


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> Finding:
    found = machine.fingerprint()
    cores = found["physical_cores"] or found["logical_cores"]
    flags = " ".join(found["isa"]) or "no instruction sets listed"
    memory = f", {found['memory_bytes'] / 1e9:.1f} GB memory" if found["memory_bytes"] else ""
    return Finding(
        "processor", True, f"{found['cpu']}, {cores} cores, {found['logical_cores']} threads{memory}; {flags}"
    )


def _affinity() -> Finding:
    usable, everything = machine.usable_cores(), os.cpu_count() or 1
    if not hasattr(os, "sched_setaffinity"):
        return Finding("pinning", True, "this system cannot pin a process; measurements move between cores")
    left_out = f", of {everything}" if usable < everything else ""
    return Finding("pinning", True, f"{usable} usable cores{left_out}; measurements are pinned")


def _load() -> Finding:
    """Busy by the limits of a measurement: what others take of the `usable` cores while this process sleeps."""
    before = core_times()
    time.sleep(LOOK_S)
    after = core_times()
    cores = before.keys() & after.keys() & (os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set())
    total = sum(after[core].total - before[core].total for core in cores)
    average = f"load {os.getloadavg()[0]:.1f} over the last minute" if hasattr(os, "getloadavg") else "load unknown"
    if not total:
        return Finding("load", True, f"{average}; this system does not say what its cores do")
    busy = sum(after[core].busy - before[core].busy for core in cores) / total
    steal = sum(after[core].steal - before[core].steal for core in cores) / total
    detail = f"{average}; cores {busy:.0%} busy, {steal:.0%} taken by the hypervisor"
    if busy > FOREIGN_LIMIT or steal > STEAL_LIMIT:
        return Finding(
            "load", False, f"{detail}: latency measured now may be judged by CPU time; stop other work first"
        )
    return Finding("load", True, f"{detail}: quiet")


def _cache() -> Finding:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        detail = f"{folder} cannot be written ({error.strerror}); set PUMICE_CACHE to a folder that can"
        return Finding("cache", False, detail)
    return Finding("cache", True, str(folder))


def _disk() -> Finding:
    free = {str(place): shutil.disk_usage(place).free for place in (Path.cwd(), tempfile.gettempdir())}
    place, least = min(free.items(), key=lambda item: item[1])
    detail = f"{least / 1e9:.1f} GB free in {place}"
    if least < WANTED_BYTES:
        return Finding("disk", False, f"{detail}; a run may need {WANTED_BYTES / 1e9:.0f} GB")
    return Finding("disk", True, detail)
