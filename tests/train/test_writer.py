"""A disk that is full for a while: the system's own refusals, by a limit on the size of files."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from pumice.data.images import Splits
from pumice.errors import CheckFailed
from pumice.train import run
from pumice.train.latest import Latest
from pumice.train.run import resume, train
from pumice.train.state import read_state
from pumice.train.writer import Writer
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, assert_same, rows_of, tensors


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full_during(monkeypatch: pytest.MonkeyPatch, saves: range, size: int) -> None:
    """The disk is full in these saves, counted from 0."""
    untouched, calls = Writer.save, iter(range(1000))

    def save(self: Writer, state: dict[str, Any]) -> None:
        if next(calls) in saves:
            with limited(size):
                untouched(self, state)
        else:
            untouched(self, state)

    monkeypatch.setattr(Writer, "save", save)


@pytest.fixture
def whole(few_digits: Splits, out: Path) -> Path:
    return train(tiny_config(), out.with_name("whole"), splits=few_digits).out


def assert_same_run(out: Path, whole: Path) -> None:
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert rows_of(out) == rows_of(whole)


@pytest.mark.parametrize("size", [10_000, 150_000], ids=["nothing fits", "the weights fit, the state does not"])
def test_a_run_outlives_a_full_disk(
    size: int,
    whole: Path,
    few_digits: Splits,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (whole / "last.safetensors").stat().st_size < 150_000 < (whole / "resume.pt").stat().st_size
    full_during(monkeypatch, range(2, 8), size)
    capsys.readouterr()
    train(tiny_config(save_every_s=0.0), out, splits=few_digits)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(said) == 6
    assert said[0].endswith("resume.pt cannot be written: File too large; training goes on, 1 steps are not saved")
    assert said[5].endswith("; training goes on, 6 steps are not saved")
    name = "last.safetensors" if size == 10_000 else "resume.pt"
    assert f"{out}/{name} cannot be written" in said[5]
    assert_same_run(out, whole)


def test_the_last_save_is_tried_again(
    whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full_during(monkeypatch, range(1, 2), 10_000)
    train(tiny_config(), out, splits=few_digits)
    assert "last.safetensors cannot be written: File too large; training goes on, 6 steps" in capsys.readouterr().err
    assert_same_run(out, whole)


def test_a_disk_that_stays_full_ends_in_a_sentence(
    whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full_during(patch, range(3, 1000), 10_000)
        with pytest.raises(
            CheckFailed, match=r"last.safetensors cannot be written: .*go on from step 3 with"
        ) as caught:
            train(tiny_config(save_every_s=0.0), out, splits=few_digits)
    assert "\n" not in str(caught.value)
    assert not (out / "metrics.json").exists()
    assert read_state(out / "resume.pt")["step"] == 3
    assert not [path.name for path in out.rglob("*.part*")]
    resume(out, splits=few_digits)
    assert_same_run(out, whole)


def test_results_that_cannot_be_written_are_written_later(
    whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untouched = run.write_json

    def write_json(path: Path, value: Any) -> None:
        if path.name == "metrics.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        untouched(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_json", write_json)
        with pytest.raises(CheckFailed, match="cannot be written: the disk is full; make room there, then go on with"):
            train(tiny_config(), out, splits=few_digits)
    assert resume(out, splits=few_digits).epochs == 2
    assert_same_run(out, whole)


def test_a_state_never_comes_before_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best weights that the disk refused are written with a later state, before it."""
    writer = Writer(tmp_path, Latest(tmp_path))
    state = {"format": 2, "step": 3, "net": {"w": torch.zeros(2)}}
    writer.put("best.safetensors", b"b" * 5000)
    writer.put("metrics.csv", b"1")
    with limited(4000):
        writer.save(state)
    assert not list(tmp_path.iterdir())
    assert "best.safetensors cannot be written: File too large" in capsys.readouterr().err
    writer.put("metrics.csv", b"2")

    def refuse(self: Latest, state: dict[str, Any]) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Latest, "write", refuse)
    writer.save({**state, "step": 5})
    assert (tmp_path / "best.safetensors").read_bytes() == b"b" * 5000
    assert (tmp_path / "metrics.csv").read_bytes() == b"2"
    assert capsys.readouterr().err.endswith(": Disk quota exceeded; training goes on, 5 steps are not saved\n")
    with pytest.raises(CheckFailed, match="go on from step 0"):
        writer.check()


@pytest.mark.parametrize("after", [False, True], ids=["before the state", "before the log"])
def test_a_kill_within_a_save_changes_nothing(
    after: bool, whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and metrics of epoch 2 are there, the state is that of epoch 1; or the state too, but not the log."""

    def die(self: Latest, state: dict[str, Any]) -> None:
        if after or state["step"] != 12:
            untouched(self, state)
        if state["step"] == 12:
            raise Killed

    untouched = Latest.write
    with monkeypatch.context() as patch:
        patch.setattr(Latest, "write", die)
        with pytest.raises(Killed):
            train(tiny_config(), out, splits=few_digits)
    assert rows_of(out) == rows_of(whole)
    assert (out / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    assert read_state(out / "resume.pt")["step"] == (12 if after else 6)
    resume(out, splits=few_digits)
    assert_same_run(out, whole)


def test_a_run_that_its_time_limit_ended_is_not_trained_further(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untouched = run.write_json

    def write_json(path: Path, value: Any) -> None:
        if path.name == "metrics.json":
            raise Killed
        untouched(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_json", write_json)
        with pytest.raises(Killed):
            train(tiny_config(epochs=500, time_limit_s=0.4), out, splits=few_digits)
    step, rows = read_state(out / "resume.pt")["step"], rows_of(out)
    result = resume(out, splits=few_digits)
    assert rows_of(out) == rows
    assert read_state(out / "resume.pt")["step"] == step
    assert result.epochs == int(rows[-1]["epoch"])
