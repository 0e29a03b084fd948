import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pumice.native import tune
from pumice.native.candidates import WINDOWS, candidates, convolutions
from pumice.native.emit.choice import Choice
from pumice.native.emit.source import source
from pumice.native.interpret import interpret
from pumice.native.ir import Conv, Program
from pumice.native.passes import optimise
from pumice.native.profiled import Profiled
from pumice.native.read import read

SIZE = (3, 17, 19)
GOOD, MEAGRE, FICKLE = (Choice(numbers=numbers) for numbers in WINDOWS[:3])

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")


@pytest.fixture(scope="module")
def program() -> Program:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 30, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(30, 30, 3, padding=1, groups=30)),
        *(nn.Conv2d(30, 44, 1), nn.Hardswish(), nn.Conv2d(44, 10, 1, groups=2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 5)),
    )
    return optimise(read(net.eval(), SIZE))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)


class Played:
    """A program that takes the times it is told to: 1 ms an operation, less by its choices."""

    builds = 0
    build_s = 0.0

    def __init__(self, program: Program, made: object, folder: Path, name: str, flags: tuple[str, ...]) -> None:
        type(self).builds += 1
        time.sleep(self.build_s)
        self.name, self.choices, self.count = name, made, len(program.operations)

    def run(self, image: object) -> tuple[None, np.ndarray]:
        times = np.ones(self.count)
        assert isinstance(self.choices, dict)
        for i, choice in self.choices.items():
            fickle = 0.5 if self.name != "best" else 1.0
            times[i] = {GOOD: 0.9, MEAGRE: 0.98, FICKLE: fickle}.get(choice, 1.5)
        return None, times


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> type[Played]:
    class Fresh(Played):
        pass

    monkeypatch.setattr(tune, "Profiled", Fresh)
    monkeypatch.setattr(tune, "MOST", 5)
    choices_of = source  # the cache still asks for the text
    monkeypatch.setattr(tune, "source", lambda *given: choices_of(*given) if len(given) == 1 else given[1])
    return Fresh


@needs_compiler
def test_every_candidate_computes_the_same(program: Program, tmp_path: Path) -> None:
    image = np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    expected = interpret(program, image)
    options = convolutions(program)
    assert sorted(map(len, options.values())) == [4, 4, 4, 7]  # one of 3 x 3 can run in squares
    for k in range(7):
        chosen = {i: several[k] for i, several in options.items() if k < len(several)}
        answer, times = Profiled(program, source(program, chosen), tmp_path, f"v{k}", ("-O0",)).run(image)
        assert np.abs(answer - expected).max() < 1e-5 * np.abs(expected).max()
        assert (times > 0).all()


@needs_compiler
def test_measured_on_this_machine(program: Program, tmp_path: Path) -> None:
    found = tune.measured(program, 8.0, flags=("-O0",))
    assert all(choice in convolutions(program)[i] for i, choice in found.items())
    image = np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    answer, _ = Profiled(program, source(program, found), tmp_path, "tuned", ("-O0",)).run(image)
    expected = interpret(program, image)
    assert np.abs(answer - expected).max() < 1e-5 * np.abs(expected).max()


def test_what_wins_twice_is_chosen(program: Program, played: type[Played], monkeypatch: pytest.MonkeyPatch) -> None:
    places = list(convolutions(program))
    given = {places[0]: (MEAGRE, GOOD), places[1]: (MEAGRE,), places[2]: (FICKLE, GOOD)}
    monkeypatch.setattr(tune, "convolutions", lambda _: given)
    assert tune.measured(program, 5.0) == {places[0]: GOOD}
    assert played.builds == 4


def test_nothing_is_chosen_where_the_whole_gets_slower(
    program: Program, played: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(iter(convolutions(program)))
    monkeypatch.setattr(tune, "convolutions", lambda _: {first: (GOOD,)})
    run = played.run

    def slower(self: Played, image: object) -> tuple[None, np.ndarray]:
        times = run(self, image)[1]
        return None, times + (np.arange(len(times)) != first) * 0.5 * (self.name == "best")

    monkeypatch.setattr(played, "run", slower)
    assert tune.measured(program, 5.0) == {}


def test_the_cache_saves_the_second_time(program: Program, played: type[Played]) -> None:
    found = tune.tuned(program, 5.0)
    # GOOD would stay, but FICKLE is faster in the first round.
    assert found == {}
    assert played.builds > 2
    before = played.builds
    assert tune.tuned(program, 4.0) == found
    assert played.builds == before
    tune.tuned(program, 6.0)  # with more time more can be found
    assert played.builds > before


def test_the_cache_keeps_choices(program: Program, played: type[Played], monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(iter(convolutions(program)))
    monkeypatch.setattr(tune, "convolutions", lambda _: {first: (GOOD,)})
    assert tune.tuned(program, 5.0) == {first: GOOD}
    before = played.builds
    assert tune.tuned(program, 5.0) == {first: GOOD}
    assert played.builds == before
    tune.tuned(program, 5.0, flags=("-march=other",))
    assert played.builds > before


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"seconds": 9}',
        json.dumps({"seconds": 9, "choices": {"4000": {"numbers": WINDOWS[0], "squares": False}}}),
        json.dumps({"seconds": 9, "choices": {"0": {"numbers": 12345, "squares": False}}}),
        json.dumps({"seconds": 9, "choices": {"0": {"width": 3}}}),
        json.dumps({"seconds": "long", "choices": {}}),
        json.dumps({"seconds": 9, "choices": {"0": None}}),
    ],
)
def test_a_broken_or_stale_cache_is_ignored(program: Program, played: type[Played], text: str) -> None:
    tune.tuned(program, 5.0)
    (file,) = Path(tune.cache_folder()).rglob("tuned-*.json")
    file.write_text(text)
    before = played.builds
    tune.tuned(program, 5.0)
    assert played.builds > before
    assert json.loads(file.read_text())["seconds"] == 5.0


def test_a_cache_that_cannot_be_written_is_no_harm(
    program: Program, played: type[Played], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "file"))
    assert tune.tuned(program, 5.0) == {}
    assert played.builds > 2


def test_the_time_limit(program: Program, played: type[Played], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "build_s", 0.2)
    monkeypatch.setattr(tune, "MOST", 10**9)
    assert tune.measured(program, 0.0) == {}
    assert played.builds == 1
    before = time.monotonic()
    tune.measured(program, 1.0)
    assert 0.6 < time.monotonic() - before < 2.0
    assert 3 <= played.builds - 1 <= 5  # not all five variants


def test_candidates_are_told_apart(program: Program) -> None:
    for one in program.operations:
        if isinstance(one, Conv):
            several = candidates(one)
            assert len(set(several)) == len(several)
