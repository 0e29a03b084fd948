"""Successive halving: who goes on, and how the time is shared."""

import time

import pytest

from pumice.data.digits import open_digits
from pumice.loop import halving
from pumice.loop.halving import Runner, evenly, halve, start
from pumice.recipes.small_data import classify

from .test_candidates import candidate


@pytest.fixture(scope="module")
def splits():
    return open_digits()


def runner(name: str, size: int, quality: float) -> Runner:
    made = Runner(candidate(name, size, bound=1.0), net=None, config=classify("digits", name), images_s=1000.0)
    made.quality = quality  # type: ignore[attr-defined]
    return made


@pytest.fixture
def played(monkeypatch):
    """Rungs that take no time: a candidate reaches its quality, a little more each rung."""
    calls = []

    def run(r, splits, seconds, rung):
        calls.append((r.candidate.model, r.candidate.size, rung, seconds))
        r.seconds += seconds
        r.top1 = r.quality + 0.01 * rung
        return [{"epoch": 1, "seconds": r.seconds, "val_top1": r.top1}]

    monkeypatch.setattr(halving, "run_rung", run)
    return calls


def test_the_better_half_goes_on_and_the_best_is_trained_longest(played, splits):
    runners = [runner("micronet_m0", s, q) for s, q in ((96, 0.5), (128, 0.9), (160, 0.7), (192, 0.6), (224, 0.8))]
    ordered, rungs = halve(runners, splits, time.perf_counter() + 100, lambda s: None, lambda r: True)
    assert [len(rung["candidates"]) for rung in rungs] == [5, 3, 2, 1]
    assert ordered[0].candidate.size == 128
    assert [r.candidate.size for r in ordered] == [128, 224, 160, 192, 96]
    first, last = [c for c in played if c[2] == 0], played[-1]
    assert len({seconds for *_, seconds in first}) == 1
    assert last[:2] == ("micronet_m0", 128)
    # Nothing here takes time, so the last rung is offered all that is left: more than its share.
    assert last[3] > 55
    assert sum(c[3] for c in played[:-1]) == pytest.approx(45, abs=1)
    assert all(r.candidate.status == "trained" for r in ordered)


def test_a_winner_whose_file_is_too_slow_gives_way(played, splits):
    runners = [runner("micronet_m0", s, q) for s, q in ((96, 0.5), (128, 0.9))]
    ordered, rungs = halve(runners, splits, time.perf_counter() + 10, lambda s: None, lambda r: r.candidate.size == 96)
    assert ordered[0].candidate.size == 96
    assert rungs[-1]["candidates"][0]["input_size"] == [3, 96, 96]


def test_one_candidate_is_trained_at_once(played, splits):
    ordered, rungs = halve(
        [runner("micronet_m0", 96, 0.5)], splits, time.perf_counter() + 10, lambda s: None, lambda r: True
    )
    assert len(ordered) == len(rungs) == len(played) == 1
    assert played[0][3] == pytest.approx(10, abs=0.5)


def test_little_time_prefers_candidates_that_see_the_images(splits):
    small, large = candidate("micronet_m0", 96, bound=0.5), candidate("efficientnet_lite0", 224, bound=9.0)
    speeds = {id(small): 800.0, id(large): 20.0}

    def make(c):
        return Runner(c, None, classify("digits", c.model), speeds[id(c)])

    assert start([large, small], splits, 20.0, False, make)[0].candidate is small
    assert start([large, small], splits, 20_000.0, False, make)[0].candidate is large


def test_images_are_spaced_evenly(splits):
    few = evenly(splits.val, 10)
    assert len(few) == 10
    assert few.names[0] == splits.val.names[0]
    assert few.names[5] == splits.val.names[5 * len(splits.val) // 10]
    assert evenly(splits.val, 10**6) is splits.val
