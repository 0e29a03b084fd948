"""A stand-in for adb that hands the command to this machine's shell, as the bridge does to the phone's."""

import sys
from pathlib import Path

import pytest

from pumice.cost.remote import device
from pumice.cost.remote.adb import Adb
from pumice.errors import BadInput, CheckFailed
from tests.cost.remote.conftest import Target

FAKE = r"""#!/bin/sh
[ "$1 $3 $4" = "-s shell -T" ] || { echo "adb: unknown command: $*" >&2; exit 1; }
[ "$2" = R58M123 ] || { echo "adb: device '$2' not found" >&2; exit 1; }
case "$5" in "TMPDIR=/data/local/tmp "*) ;; *) echo "no place for files" >&2; exit 1;; esac
exec env PYTHONPATH='STUBS' sh -c "TMPDIR='TEMPORARY' ${5#TMPDIR=/data/local/tmp }"
"""


@pytest.fixture(autouse=True)
def adb(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is first on the PATH."""
    script = tmp_path / "adb"
    script.write_text(FAKE.replace("STUBS", str(target.stubs)).replace("TEMPORARY", str(target.temporary)))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PUMICE_REMOTE_PYTHON", sys.executable)


def test_a_file_is_timed_over_adb(net: Path, target: Target) -> None:
    phone = device("adb:R58M123")
    (timing,) = phone.benchmark([net], runtime="onnxruntime", time_limit_s=0.2)
    assert timing.p50_ms > 0
    assert timing.machine == phone.machine.line
    assert target.is_clean()


def test_another_phone() -> None:
    with pytest.raises(BadInput, match=r"^adb:X1: no such device; `adb devices` shows those that are connected$"):
        device("adb:X1").run({"job": "machine"})


def test_no_python_on_the_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_REMOTE_PYTHON", "python-of-the-phone")
    with pytest.raises(BadInput, match="has no python-of-the-phone; name its Python in PUMICE_REMOTE_PYTHON"):
        device("adb:R58M123").run({"job": "machine"})


def test_what_adb_says_becomes_a_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUMICE_REMOTE_PYTHON")
    phone = Adb("X1")
    for said, words in (
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "unlock it and accept the key"),
        ("error: device offline", "the phone is offline"),
        ("/system/bin/sh: python3: inaccessible or not found", "has no python3"),
    ):
        trouble = phone.trouble(1, said)
        assert isinstance(trouble, BadInput)
        assert words in str(trouble)
    assert isinstance(phone.trouble(1, "adb: error: closed"), CheckFailed)


def test_no_adb_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_ADB", "no-such-adb")
    with pytest.raises(BadInput, match="adb:X1 needs the program no-such-adb, which is not installed here"):
        device("adb:X1").run({"job": "machine"})
