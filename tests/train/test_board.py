"""The TensorBoard log, as TensorBoard reads it."""

import resource
from pathlib import Path
from typing import Any

import pytest

from pumice.data.images import Splits
from pumice.train.board import Board
from pumice.train.latest import Latest
from pumice.train.run import resume, train
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, rows_of

pytest.importorskip("tensorboard")


def read(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [(event.step, event.value) for event in EventAccumulator(str(folder)).Reload().Scalars(tag)]


def row(epoch: int, value: float) -> dict[str, Any]:
    return {"epoch": epoch, "seconds": 10.0 * epoch, "loss": value, "unseen": "text"}


def test_rows_are_appended_and_a_later_process_replaces_them(tmp_path: Path) -> None:
    first = Board(tmp_path / "log", ("loss",))
    history = [row(1, 0.5)]
    first.write(history, 1e9)
    first.write(history, 1e9)
    history = [*history, row(2, 0.25), row(3, 0.125)]
    first.write(history, 1e9)
    assert read(tmp_path / "log", "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    second = Board(tmp_path / "log", ("loss",))  # of a run that goes on from epoch 1
    second.write([row(1, 0.5), row(2, 4.0)], 1e9)
    assert read(tmp_path / "log", "loss") == [(1, 0.5), (2, 4.0)]
    assert len(list((tmp_path / "log").iterdir())) == 2


def test_what_a_full_disk_refused_comes_later(tmp_path: Path) -> None:
    board = Board(tmp_path, ("loss",))
    board.write([row(1, 0.5)], 1e9)
    assert board.file is not None
    size = board.file.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        board.write([row(1, 0.5), row(2, 0.25)], 1e9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert board.file.stat().st_size == size
    board.write([row(1, 0.5), row(2, 0.25), row(3, 0.125)], 1e9)
    assert read(tmp_path, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]


@pytest.mark.parametrize("epochs", [2, 3])
def test_the_log_of_a_run_is_its_metrics(
    epochs: int, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that was killed after the state of epoch 2 and before its log."""
    untouched = Latest.write

    def die(self: Latest, state: dict[str, Any]) -> None:
        untouched(self, state)
        if state["step"] == 12:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Latest, "write", die)
        with pytest.raises(Killed):
            train(tiny_config(epochs=epochs), out, splits=few_digits)
    resume(out, splits=few_digits)
    for tag in ("lr", "train_loss", "val_loss", "val_top1"):
        steps, values = zip(*read(out / "tensorboard", tag), strict=True)
        assert steps == tuple(range(1, epochs + 1))
        assert values == pytest.approx([float(row[tag]) for row in rows_of(out)], rel=1e-6)
