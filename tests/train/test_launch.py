"""Which process is the first, who has started them, who speaks."""

import subprocess
import sys

import pytest

from pumice.errors import BadInput, CheckFailed
from pumice.train import launch


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher's variables, whoever has started the tests."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID")
    for name in (*names, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "first", "started"),
    [
        ({}, True, None),
        ({"LOCAL_RANK": "0", "WORLD_SIZE": "2"}, True, None),  # Lightning's own
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, False, None),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False, None),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "x"}, True, 4),
        ({"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "x"}, False, 4),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8"}, True, 8),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, False, 8),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "x"}, True, 8),
    ],
)
def test_who_is_first_and_how_many_there_are(
    variables: dict[str, str], first: bool, started: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launch.is_first_process() == first
    assert launch.started() == started


def test_the_others_keep_silent_about_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckFailed), launch.said_by_the_first():
        raise CheckFailed("the loss is inf")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as caught, launch.said_by_the_first():
        raise CheckFailed("the loss is inf")
    assert caught.value.code == 0


LATER = """
import os, sys, time
from pumice.errors import BadInput
from pumice.train import launch
launch.PATIENCE_S = float(sys.argv[1])
if len(sys.argv) > 2:  # the parent ends before its child has lost patience
    if os.fork():
        time.sleep(1)
        os._exit(0)
os.environ["RANK"] = "1"
try:
    with launch.said_by_the_first():
        raise BadInput("here alone")
except BadInput as error:
    print(error)
"""


def test_the_others_speak_when_the_first_one_does_not_fail() -> None:
    """After a while; not at all when the first one, here their parent, is gone by then."""
    for arguments, told in ((["0.3"], "here alone\n"), (["4", "orphan"], "")):
        done = subprocess.run([sys.executable, "-c", LATER, *arguments], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (told, "")


def test_nothing_happens_to_other_errors_of_the_first() -> None:
    with pytest.raises(BadInput, match="no photos"), launch.said_by_the_first():
        raise BadInput("no photos")
