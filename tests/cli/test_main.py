"""How commands end, and what a user sees of an error."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pumice.cost.budget import Budget
from pumice.errors import CheckFailed


def test_without_arguments_the_verbs_are_listed(pumice: Any) -> None:
    assert pumice() == pumice("--help")


def test_version(pumice: Any) -> None:
    said = pumice("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("pumice 0.")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("profil", "micronet_m0"), "there is no verb 'profil'; did you mean 'profile'?"),
        (("zzz",), "there is no verb 'zzz'; `pumice --help` names them all"),
        (("--jsn",), "no such option: --jsn; `pumice --help` shows how it is used"),
        (("list", "--max-madd", "3M"), "--max-madds"),
        (("benchmark",), "missing argument 'NAME_OR_FILE"),
        (("benchmark", "micronet_m0", "--threads", "0"), "--threads '0'"),
        (("benchmark", "micronet_m0", "--threads", "two"), "--threads 'two'"),
        (("predict", "digits"), "missing option '--model'"),
        (("report", "a", "--out"), "'--out'"),
    ],
)
def test_wrong_usage_is_one_sentence(pumice: Any, args: tuple[str, ...], words: str) -> None:
    said = pumice(*args)
    assert said.code == 2
    assert said.out == ""
    assert words in said.sentence


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CheckFailed("it is not"), 1, "it is not"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.csv"), 1, "the disk is full: a.csv"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 1, "Permission denied: a.csv"),
        (MemoryError(), 1, "there is not enough memory"),
        (ZeroDivisionError("of ours\nand more"), 70, "this is a bug of Pumice (ZeroDivisionError: of ours)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_end_in_a_sentence(
    pumice: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("pumice.cli.show.table", fail)
    said = pumice("list")
    assert said.code == code
    assert words in said.sentence


def test_a_bug_shows_its_place_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.cli.main import main

    monkeypatch.setenv("PUMICE_TRACEBACK", "1")
    monkeypatch.setattr("sys.argv", ["pumice", "list"])
    monkeypatch.setattr("pumice.cli.show.table", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_reader_may_leave() -> None:
    """As in `pumice list | head -0`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "pumice.cli.main", "list", "--json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


BUDGETS = [
    ("--max-latency", "3", "--max-latency 3 has no unit"),
    ("--max-latency", "0ms", "not above zero"),
    ("--max-latency", "-2ms", "not above zero"),
    ("--max-latency", "abc", "cannot be read"),
    ("--max-latency", "3MB", "unknown unit 'MB'"),
    ("--max-madds", "-60M", "not above zero"),
    ("--max-madds", "60Q", "unknown unit 'Q'"),
    ("--max-params", "0", "not above zero"),
    ("--max-size", "3", "no unit"),
    ("--max-memory", "nanMB", "cannot be read"),
]


@pytest.mark.parametrize(("option", "value", "words"), BUDGETS)
@pytest.mark.parametrize("verb", [("list",), ("fit", "digits")], ids=["list", "fit"])
def test_a_budget_that_means_nothing(
    pumice: Any, here: Path, verb: tuple[str, ...], option: str, value: str, words: str
) -> None:
    if verb == ("list",) and option in ("--max-size", "--max-memory"):
        pytest.skip("list has no such limit")
    said = pumice(*verb, option, value)
    assert said.code == 2
    assert words in said.sentence
    assert list(here.iterdir()) == []


def test_a_budget_below_zero_is_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match="max_latency_ms must be a number above zero, not -1"):
        Budget(max_latency_ms=-1)
