"""Two processes in one run folder, and a folder that another has taken meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.train import run
from pumice.train.lock import locked
from pumice.train.run import resume, train
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, kill_at

HOLD = """
import os, sys, time
from pathlib import Path
from pumice.train.lock import locked
with locked(Path(sys.argv[1])):
    worker = os.fork()  # as a loader's, which outlives a killed parent for a while
    if worker:
        print(worker, flush=True)
    time.sleep(60)
"""


def test_a_folder_in_which_another_process_trains(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, 7)
        with pytest.raises(Killed):
            train(tiny_config(), out, splits=few_digits)
    before = sorted(path.name for path in out.iterdir())
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        worker = int(other.stdout.readline())
        try:
            with pytest.raises(BadInput, match=rf"process {other.pid} trains in .*run; wait for its end, or stop it"):
                resume(out, splits=few_digits)
            assert sorted(path.name for path in out.iterdir()) == sorted([*before, "lock"])
            other.send_signal(signal.SIGKILL)
            other.wait()
            assert resume(out, splits=few_digits).epochs == 2
        finally:
            os.kill(worker, signal.SIGKILL)
            other.kill()
    assert not (out / "lock").exists()


def test_a_lock_goes_with_its_process_and_not_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("99999999")  # of a process that was killed
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert not (tmp_path / "lock").exists()


def test_a_folder_that_was_taken_meanwhile_is_left_alone(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands choose the same new folder; the first is done before the second has the lock."""
    first = train(tiny_config(), out, splits=few_digits)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr(run, "claim", lambda out: True)
    with pytest.raises(BadInput, match="holds another run"):
        train(tiny_config(), out, splits=few_digits)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert first.epochs == 2


def test_a_run_that_was_killed_before_it_began_leaves_the_folder_free(few_digits: Splits, out: Path) -> None:
    out.mkdir(parents=True)
    (out / ".config.123.part.json").write_text("{")
    (out / "lock").write_text("123")
    assert train(tiny_config(), out, splits=few_digits).epochs == 2
