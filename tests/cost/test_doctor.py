"""The doctor names what is missing and the line that mends it, and imports nothing heavy."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from pumice.cost import doctor, machine
from pumice.cost.contention import CoreTimes
from pumice.cost.doctor import Finding, examine


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "LOOK_S", 0.0)
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))


def found(name: str) -> Finding:
    return next(finding for finding in examine() if finding.name == name)


def test_every_finding_says_something() -> None:
    findings = examine()
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    wanted = ["python", "torch", "runtime onnxruntime", "extra deploy", "processor", "pinning", "load", "cache", "disk"]
    assert [name for name in names if name in wanted] == wanted
    assert all(finding.detail for finding in findings)
    assert found("torch").detail == metadata.version("torch")


def test_a_missing_extra_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "openvino":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    machine.runtime_version.cache_clear()
    extra = found("extra deploy")
    assert "openvino" in extra.detail
    assert "onnxscript" not in extra.detail
    assert "pip install 'pumice[deploy]'" in extra.detail
    assert found("runtime openvino").detail == "not installed"
    machine.runtime_version.cache_clear()


@pytest.mark.parametrize(("used", "steal", "ok"), [(2, 0, True), (30, 0, False), (2, 5, False)])
def test_load(monkeypatch: pytest.MonkeyPatch, used: int, steal: int, ok: bool) -> None:
    readings = iter([{0: CoreTimes(0, 0, 0)}, {0: CoreTimes(used, steal, 100)}])
    monkeypatch.setattr(doctor, "core_times", lambda: next(readings))
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    load = found("load")
    assert load.ok is ok
    assert f"{used}% busy" in load.detail


def test_a_system_without_accounts_is_not_called_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "core_times", dict)
    assert found("load").ok


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "file"))
    cache = found("cache")
    assert not cache.ok
    assert "PUMICE_CACHE" in cache.detail


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**8))
    assert not found("disk").ok


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom pumice.cost import doctor\ndoctor.examine()\n"
        "print([name for name in ('torch', 'onnxruntime', 'openvino', 'timm') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
