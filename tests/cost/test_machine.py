"""The machine's key changes with what changes speed and with nothing else."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pumice.cost import machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse4_1 avx2 fma hypervisor avx512f avx512_vnni

processor\t: 1
model name\t: another
flags\t\t: none
"""
ARM = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd asimddp crc32
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    machine._hardware.cache_clear()
    yield
    machine._hardware.cache_clear()


def show(monkeypatch: pytest.MonkeyPatch, cpuinfo: str, **files: str) -> None:
    """Let the system files say this."""

    def read(path: str) -> str:
        return cpuinfo.strip() if path == "/proc/cpuinfo" else files.get(Path(path).name, "")

    monkeypatch.setattr(machine, "_read", read)
    machine._hardware.cache_clear()


def test_this_machine() -> None:
    found = machine.fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert found["cpu"]
    assert 1 <= found["usable_cores"] <= found["logical_cores"]
    assert found["python"] == platform.python_version()
    assert machine.describe().endswith(f"({machine.machine_key()})")


def test_processors_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, X86, cpuinfo_max_freq="3500000")
    found = machine.fingerprint()
    assert found["cpu"] == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert found["isa"] == ["sse4_1", "fma", "avx2", "avx512f", "avx512_vnni"]
    assert found["virtual"] is True
    assert found["max_mhz"] == 3500
    show(monkeypatch, ARM)
    found = machine.fingerprint()
    assert found["cpu"] == "ARM 0x41:0xd0b"
    assert found["isa"] == ["asimd", "asimddp"]
    assert found["virtual"] is False


def test_caches_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "1024K"), ("3", "Unified", "")]
    folders = [Path(f"/cache/index{i}") for i in range(4)]
    files = {
        f"{folder}/{name}": value
        for folder, kind in zip(folders, kinds, strict=True)
        for name, value in zip(("level", "type", "size"), kind, strict=True)
    }
    monkeypatch.setattr(machine, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(folders))
    assert machine.cache_levels() == {"L1": 32 << 10, "L2": 1 << 20}
    monkeypatch.setattr(machine, "_read", lambda path: "")
    assert machine.cache_levels() == {}


def test_the_key_is_that_of_what_changes_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(cpuinfo: str = X86, memory: int = 1, cores: int = 4, **files: str) -> str:
        monkeypatch.setattr(machine, "_memory_bytes", lambda: memory)
        monkeypatch.setattr(machine.os, "cpu_count", lambda: cores)
        show(monkeypatch, cpuinfo, **files)
        return machine.machine_key()

    same = key()
    assert key() == same
    assert key(memory=2) == same
    assert key(X86.replace("another", "a third")) == same
    different = [
        key(X86.replace("8481C", "8581C")),
        key(X86.replace(" avx512_vnni", "")),
        key(cores=8),
        key(scaling_governor="powersave"),
        key(cpuinfo_max_freq="2000000"),
    ]
    assert len({same, *different}) == 6
    assert len(same) == 8


def test_the_key_is_the_same_in_a_fresh_process() -> None:
    code = "from pumice.cost.machine import machine_key; print(machine_key())"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == machine.machine_key()


def test_runtime_versions() -> None:
    assert machine.runtime_version("eager") == metadata.version("torch")
    assert machine.runtime_version("inductor") == machine.runtime_version("eager")
    assert machine.runtime_version("nonesuch") is None


def test_torch_is_named_when_imported_and_not_imported_to_be_named() -> None:
    code = (
        "import sys\n"
        "from pumice.cost.machine import fingerprint\n"
        "assert fingerprint()['torch'] is None\n"
        "assert 'torch' not in sys.modules\n"
        "import types; sys.modules['torch'] = types.SimpleNamespace(__version__='9.9')\n"
        "assert fingerprint()['torch'] == '9.9'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_system_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, "")
    found: dict[str, Any] = machine.fingerprint()
    assert found["cpu"]
    assert found["isa"] == []
    assert len(machine.machine_key()) == 8
