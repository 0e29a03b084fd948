"""State files: what is damaged is found, and one good state is there at every instant."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.train.latest import Latest
from pumice.train.run import resume, train
from pumice.train.state import Damaged, read_state, write_state
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, assert_same, kill_at, rows_of, tensors


def state(step: int) -> dict[str, Any]:
    return {"format": 2, "step": step, "net": {"weight": torch.full((100,), float(step))}}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with the states of steps 1 and 2."""
    latest = Latest(tmp_path)
    for step in (1, 2):
        latest.write(state(step))
    return tmp_path


def step_in(folder: Path) -> int:
    found = Latest(folder).read()
    assert found is not None
    return int(found["step"])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert Latest(tmp_path).read() is None
    write_state(tmp_path / "s.pt", state(7))
    assert_same(tensors(read_state(tmp_path / "s.pt")), tensors(state(7)))
    assert torch.load(tmp_path / "s.pt", weights_only=True)["step"] == 7  # any torch reads it
    write_state(tmp_path / "s.pt", {**state(7), "format": 99})
    with pytest.raises(BadInput, match="newer Pumice"):
        read_state(tmp_path / "s.pt")


def test_a_state_of_version_0_1_is_read(tmp_path: Path) -> None:
    """It has no checksum; one of today that has lost its own is damaged all the same."""
    for number in (1, 2):
        torch.save({**state(3), "format": number}, tmp_path / "resume.pt")
        if number == 1:
            assert step_in(tmp_path) == 3
        else:
            with pytest.raises(Damaged):
                read_state(tmp_path / "resume.pt")


def test_every_cut_and_every_flipped_bit_is_found(tmp_path: Path) -> None:
    file = tmp_path / "s.pt"
    write_state(file, state(1))
    whole = file.read_bytes()
    for length in [0, 1, 64, 100, len(whole) // 2, len(whole) - 64, len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(Damaged, match=r"s\.pt is damaged \(checksum\)"):
            read_state(file)
    for place in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(Damaged):
            read_state(file)


def test_the_state_before_is_kept(two: Path) -> None:
    assert read_state(two / "resume.pt")["step"] == 2
    assert read_state(two / "resume.previous.pt")["step"] == 1
    assert not [path for path in two.iterdir() if ".part" in path.name]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)


def test_a_damaged_state_gives_way_to_the_one_before(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(two / "resume.pt")
    latest = Latest(two)
    found = latest.read()
    assert found is not None
    assert found["step"] == 1
    said = capsys.readouterr().err
    assert said == f"{two}/resume.pt is damaged (checksum); going on from resume.previous.pt, step 1\n"
    latest.write(state(5))  # over the damaged one: the good one before it stays
    assert read_state(two / "resume.pt")["step"] == 5
    assert read_state(two / "resume.previous.pt")["step"] == 1
    latest.write(state(6))
    assert read_state(two / "resume.previous.pt")["step"] == 5


def test_nothing_good_is_one_sentence(two: Path) -> None:
    damage(two / "resume.pt")
    damage(two / "resume.previous.pt")
    with pytest.raises(BadInput, match=r"resume.pt is damaged \(checksum\), and so is resume.previous.pt; remove"):
        Latest(two).read()
    (two / "resume.previous.pt").unlink()
    with pytest.raises(BadInput, match=r"is damaged \(checksum\); remove resume.pt to start the run again"):
        Latest(two).read()


@pytest.mark.parametrize("call", ["replace 0", "replace 1", "fsync 0", "fsync 1", "fsync 2", "chmod 0"])
def test_a_kill_between_any_two_calls_leaves_a_good_state(
    call: str, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third state is written; before this call of the system the process dies."""
    name, number = call.split()
    untouched, calls = getattr(os, name), []

    def dying(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == int(number) + 1:
            raise Killed
        return untouched(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, dying)
        if name != "chmod":
            patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # a killed process tidies up nothing
        with pytest.raises(Killed):
            Latest(two).write(state(3))
    # After the first renaming the state before is alone; before the last call, flushing the folder, all is done.
    assert step_in(two) == (3 if call == "fsync 2" else 2)
    assert (two / "resume.pt").exists() == (call not in ("replace 1", "fsync 1", "chmod 0"))
    latest = Latest(two)
    latest.read()
    latest.write(state(4))
    assert step_in(two) == 4
    assert read_state(two / "resume.previous.pt")["step"] == (3 if call == "fsync 2" else 2)


@pytest.mark.parametrize("both", [False, True])
def test_a_run_goes_on_from_the_state_before(
    both: bool, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(tiny_config(), out.with_name("whole"), splits=few_digits).out
    assert not (whole / "resume.previous.pt").exists()  # of no use to a finished run
    with monkeypatch.context() as patch:
        kill_at(patch, 9)
        with pytest.raises(Killed):
            train(tiny_config(save_every_s=0.0), out, splits=few_digits)
    damage(out / "resume.pt")
    (out / ".resume.1.part.pt").write_bytes(b"half")
    (out / ".last.1.part.safetensors").write_bytes(b"half")
    (out / ".mine.1.part.pt").write_bytes(b"the user's")
    if both:
        damage(out / "resume.previous.pt")
        with pytest.raises(BadInput, match=r"remove resume.pt and resume.previous.pt to start"):
            resume(out, splits=few_digits)
        (out / "resume.pt").unlink()
        (out / "resume.previous.pt").unlink()
    capsys.readouterr()
    resume(out, splits=few_digits)
    said = capsys.readouterr().err
    assert ("going on from resume.previous.pt, step 8" in said) == (not both)
    assert ("going on at step 8 of 12" in said) == (not both)
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert rows_of(out) == rows_of(whole)
    assert [path.name for path in out.iterdir() if ".part" in path.name] == [".mine.1.part.pt"]
    assert not (out / "lock").exists()
