"""Which machine this is, in the parts that change speed, and which versions of the runtimes it has."""

import functools
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pumice.errors import BadInput

# Instruction sets that the runtimes choose their kernels by, on x86 and on ARM, as /proc/cpuinfo spells them.
ISA_FLAGS = (
    *("sse4_1", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
PACKAGES = {
    "eager": "torch",
    "inductor": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "executorch": "executorch",
    "ncnn": "ncnn",
    "native": "pumice",
}
"""The package whose version decides the speed of a runtime."""


@dataclass(frozen=True)
class Machine:
    """What other machines need to know of one.

    key: of `machine_key`.  line: of `describe`.  versions: of the packages behind the runtimes that it has.
    """

    key: str
    line: str
    usable_cores: int
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Machine":
        """Inverse of `to_json`."""
        return cls(**value)


def this_machine() -> Machine:
    """The one that this process runs on."""
    versions = {name: version for name in PACKAGES if (version := runtime_version(name)) is not None}
    return Machine(machine_key(), describe(), usable_cores(), versions)


@functools.cache
def runtime_version(runtime: str) -> str | None:
    """Version of the installed package behind a runtime, None when it is absent or the runtime unknown.

    Kept, since `fit` and `list` ask for hundreds of networks and every answer reads files.
    """
    try:
        return metadata.version(PACKAGES[runtime])
    except (KeyError, metadata.PackageNotFoundError):
        return None


def fingerprint() -> dict[str, Any]:
    """JSON values: processor, cores, instruction sets, caches, memory, system, and Python and torch versions.

    cores are those of the machine; `usable_cores` is what this process may use.  torch's version is given only when
    the process has imported it already.  No host name, user name or serial number.
    """
    torch = sys.modules.get("torch")
    return {
        **_hardware(),
        "usable_cores": usable_cores(),
        "python": platform.python_version(),
        "torch": str(torch.__version__) if torch else None,
    }


def machine_key() -> str:
    """Eight hex digits of what changes speed: processor, cores, instruction sets, caches, clock and kernel line.

    Memory size and library versions are left out: the first does not matter to one pass, and the second are part of
    each measurement's own key.
    """
    parts = {name: value for name, value in _hardware().items() if name != "memory_bytes"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def describe() -> str:
    """One line for people, ending in the machine's key."""
    hardware = _hardware()
    cores = hardware["physical_cores"] or hardware["logical_cores"]
    return f"{hardware['cpu']}, {cores} core{'s' * (cores != 1)}, {hardware['os']} ({machine_key()})"


def cache_levels() -> dict[str, int]:
    """Bytes of the first core's caches for data, {"L1": 32768, "L2": ...}; empty where the system does not say."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        size = re.fullmatch(r"(\d+)K", _read(f"{folder}/size"))
        if size and _read(f"{folder}/type") != "Instruction":
            found[f"L{_read(f'{folder}/level')}"] = 1024 * int(size[1])
    return found


def usable_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int) -> None:
    """
    Raises:
        BadInput: so many threads cannot run at once on the cores that this process may use.
    """
    usable = usable_cores()
    if not 1 <= threads <= usable:
        raise BadInput(f"{threads} threads cannot run at once on the {usable} cores usable here; ask for 1 to {usable}")


@functools.cache
def _hardware() -> dict[str, Any]:
    """What does not change while a process lives."""
    info = _cpuinfo()
    logical = os.cpu_count() or 1
    return {
        "cpu": _cpu_name(info),
        "architecture": platform.machine(),
        "physical_cores": _physical_cores(),
        "logical_cores": logical,
        "isa": [flag for flag in ISA_FLAGS if flag in (info.get("flags") or info.get("Features") or "").split()],
        "caches": _caches(),
        "max_mhz": _max_mhz(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "virtual": "hypervisor" in info.get("flags", "").split(),
        "os": f"{platform.system()} {platform.release().split('.')[0]}",
        "memory_bytes": _memory_bytes(),
    }


def _cpuinfo() -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo; empty where there is none."""
    lines = _read("/proc/cpuinfo").split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _cpu_name(info: dict[str, str]) -> str:
    if "model name" in info:
        return info["model name"]
    if "CPU part" in info:
        return f"ARM {info.get('CPU implementer', '?')}:{info['CPU part']}"
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def _physical_cores() -> int | None:
    """Cores, counting the hardware threads of one core once; None where the system does not say."""
    siblings = {
        _read(str(path)) for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    }
    return len(siblings) or None


def _caches() -> list[str]:
    """Sizes of the first core's caches, level by level, as the kernel writes them ("1024K")."""
    return [_read(str(path)) for path in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))]


def _max_mhz() -> int | None:
    khz = _read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return int(khz) // 1000 if khz.isdigit() else None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _read(path: str) -> str:
    """The text of a small system file without its line end, `""` where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
