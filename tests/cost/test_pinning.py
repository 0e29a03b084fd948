"""Every thread is pinned, and every thread gets its mask back."""

import os
import threading
from collections.abc import Iterator

import pytest

from pumice.cost import pinning
from pumice.cost.contention import CoreTimes
from pumice.cost.pinning import by_quietness, pinned, pins

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process")


@pytest.fixture
def thread_id() -> Iterator[int]:
    """The id of a thread that was there before, as a runtime's are."""
    started, stop = threading.Event(), threading.Event()
    ids: list[int] = []

    def wait() -> None:
        ids.append(threading.get_native_id())
        started.set()
        stop.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(30)
    yield ids[0]
    stop.set()
    thread.join()


def test_every_thread_is_pinned_and_restored(thread_id: int) -> None:
    everything = os.sched_getaffinity(0)
    if len(everything) < 2:
        pytest.skip("one core leaves nothing to choose")
    os.sched_setaffinity(thread_id, {max(everything)})
    with pinned(1) as cores:
        assert cores is not None
        assert len(cores) == 1
        assert os.sched_getaffinity(0) == set(cores)
        assert os.sched_getaffinity(thread_id) == set(cores)
    assert os.sched_getaffinity(0) == everything
    # Its own mask, not that of the caller.
    assert os.sched_getaffinity(thread_id) == {max(everything)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_restored_after_an_exception(thread_id: int, error: type[BaseException]) -> None:
    everything = os.sched_getaffinity(0)
    with pytest.raises(error), pinned(1):
        raise error
    assert os.sched_getaffinity(0) == everything
    assert os.sched_getaffinity(thread_id) == everything


def test_a_thread_started_inside_is_set_free() -> None:
    everything = os.sched_getaffinity(0)
    stop = threading.Event()
    with pinned(1) as cores:
        thread = threading.Thread(target=stop.wait, args=(30,))
        thread.start()
        assert thread.native_id
        assert os.sched_getaffinity(thread.native_id) == set(cores or ())
    assert os.sched_getaffinity(thread.native_id) == everything
    stop.set()
    thread.join()


def test_a_thread_that_ended_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pinning._threads
    monkeypatch.setattr(pinning, "_threads", lambda: [*real(), 2**22 - 1])
    with pinned(1):
        pass


def test_the_least_used_cores_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter(
        [
            {core: CoreTimes(0, 0, 0) for core in range(4)},
            {core: CoreTimes(used, 0, 100) for core, used in enumerate((90, 40, 0, 70))},
        ]
    )
    monkeypatch.setattr(pinning, "core_times", lambda: next(readings))
    monkeypatch.setattr(pinning, "siblings", lambda core: {core})
    assert by_quietness({0, 1, 2, 3}) == [2, 1, 3, 0]


def test_between_quiet_cores_one_per_physical_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "core_times", dict)
    monkeypatch.setattr(pinning, "siblings", lambda core: {core, core ^ 1})
    assert by_quietness({0, 1, 2, 3}) == [0, 2, 1, 3]


def test_between_quiet_cores_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "core_times", dict)
    monkeypatch.setattr(pinning, "siblings", lambda core: {core})
    monkeypatch.setattr(pinning, "_max_khz", lambda core: 5_000_000 if core == 2 else 3_000_000)
    assert by_quietness({0, 1, 2, 3}) == [2, 0, 1, 3]


def test_all_cores_when_no_fewer_are_asked_for() -> None:
    with pinned(10_000) as cores:
        assert cores == tuple(sorted(os.sched_getaffinity(0)))


def test_moving_back_and_forth(thread_id: int) -> None:
    """Fewer cores are among the more, every thread follows, and all are set free at the end."""
    everything = os.sched_getaffinity(0)
    if len(everything) < 2:
        pytest.skip("one core leaves nothing to choose")
    with pins() as move:
        for cores in (1, 2, 1):
            chosen = move(cores)
            assert chosen is not None
            assert len(chosen) == cores
            assert os.sched_getaffinity(0) == os.sched_getaffinity(thread_id) == set(chosen)
        assert set(move(1) or ()) < set(move(2) or ())
    assert os.sched_getaffinity(0) == os.sched_getaffinity(thread_id) == everything


def test_systems_that_cannot_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    with pinned(1) as cores:
        assert cores is None
