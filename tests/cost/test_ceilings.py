"""Ceilings: sizes by arithmetic, the cache file, and one real series made short."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pumice.cost import ceilings, machine
from pumice.cost.ceilings import Ceilings, Level
from pumice.errors import BadInput

KB, MB = 1 << 10, 1 << 20
FOUND = Ceilings(1, 5e10, 0.1, (Level("L1", 32 * KB, 1e11, 0.0), Level("memory", None, 1e10, 0.2)), busy="a backup")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))


def test_json_and_back() -> None:
    assert Ceilings.from_json(json.loads(json.dumps(FOUND.to_json()))) == FOUND


def test_the_level_of_a_size() -> None:
    assert FOUND.level(32 * KB).name == "L1"
    assert FOUND.level(32 * KB + 1).name == "memory"


def test_working_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "fingerprint", lambda: {"memory_bytes": 8192 * MB})
    caches = {"L1": 32 * KB, "L2": 512 * KB, "L3": 32 * MB}
    assert ceilings.working_sets(caches, 1) == [
        ("L1", 32 * KB, 16 * KB),
        ("L2", 512 * KB, 256 * KB),
        ("L3", 32 * MB, 16 * MB),
        ("memory", None, 128 * MB),
    ]
    # Two cores have two L1 and L2, and share the L3 and the memory.
    assert ceilings.working_sets(caches, 2) == [
        ("L1", 64 * KB, 16 * KB),
        ("L2", 1 * MB, 256 * KB),
        ("L3", 32 * MB, 8 * MB),
        ("memory", None, 64 * MB),
    ]
    monkeypatch.setattr(machine, "fingerprint", lambda: {"memory_bytes": 512 * MB})
    assert ceilings.working_sets(caches, 1)[-1] == ("memory", None, 64 * MB)


def test_every_array_overflows_the_cache_before_and_fits_its_own() -> None:
    caches = machine.cache_levels() or ceilings.TYPICAL_CACHES
    assert list(caches) == sorted(caches)
    before = 0
    for name, capacity, size in ceilings.working_sets(caches, 1):
        assert before < size
        if capacity is not None:
            assert size <= capacity == caches[name]
            before = capacity


def test_measuring_keeps_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "SERIES_S", 0.0)
    monkeypatch.setattr(ceilings, "ROUNDS", 2)
    monkeypatch.setattr(ceilings, "SIDE", 128)
    monkeypatch.setattr(ceilings, "READ_BYTES", 1 * MB)
    monkeypatch.setattr(machine, "cache_levels", lambda: {"L1": 32 * KB, "L2": 256 * KB})
    assert ceilings.cached() is None
    found = ceilings.measure()
    assert ceilings.cached() == found
    assert ceilings.cached(2) is None
    assert [level.name for level in found.levels] == ["L1", "L2", "memory"]
    speeds = [level.bytes_per_s for level in found.levels]
    assert speeds == sorted(speeds, reverse=True)
    assert found.machine.endswith(f"({machine.machine_key()})")
    # Any machine multiplies faster than a million times a second and slower than 10^15 times.
    assert 1e6 < found.madds_per_s < 1e15
    assert 1e6 < speeds[-1] < 1e13


def test_the_best_repeat_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0, 11.0, 13.0, 14.0, 17.0])
    monkeypatch.setattr(ceilings, "SERIES_S", 16.0)
    monkeypatch.setattr(ceilings.time, "perf_counter", lambda: next(clock))
    times: list[float] = []
    ceilings._repeat(lambda: None, times, [])
    assert times == [9.0, 2.0, 3.0]
    assert ceilings._spread(times) == pytest.approx(1 / 3)


def test_what_was_seen_before_counts_too() -> None:
    memory = Level("memory", None, 2e10, 0.0)
    now = replace(FOUND, madds_per_s=4e10, levels=(replace(FOUND.levels[0], bytes_per_s=9e10), memory), busy="")
    found = ceilings.best(FOUND, now)
    assert found.madds_per_s == 5e10
    assert found.levels == (FOUND.levels[0], memory)
    assert found.busy == ""
    assert ceilings.best(FOUND, FOUND).busy == "a backup"


def test_no_level_is_slower_than_the_one_behind_it() -> None:
    levels = [Level("L1", 1, 9.0, 0.0), Level("L2", 2, 3.0, 0.0), Level("memory", None, 5.0, 0.0)]
    assert [level.bytes_per_s for level in ceilings._falling(levels)] == [9.0, 5.0, 5.0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({**FOUND.to_json(), "schema": 0}), json.dumps({**FOUND.to_json(), "levels": []})],
)
def test_a_file_that_cannot_be_read_is_none(text: str) -> None:
    path = ceilings._path(1)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(FOUND.to_json()))
    assert ceilings.cached() == FOUND
    path.write_text(text)
    assert ceilings.cached() is None


def test_a_cache_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "file" / "cache"))
    found = replace(FOUND)

    def measured(threads: int, rounds: int) -> Any:
        return found

    monkeypatch.setattr(ceilings, "_measured", measured)
    with caplog.at_level(logging.WARNING):
        assert ceilings.measure() is found
    assert "are not kept" in caplog.text


def test_more_threads_than_cores() -> None:
    with pytest.raises(BadInput, match="9999 threads cannot run at once"):
        ceilings.measure(9999)
