import os
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pumice.errors import BadInput, CheckFailed
from pumice.search.objective import Called, Objective
from pumice.search.searcher import Random, run
from pumice.search.study.stopping import falls_behind
from pumice.search.study.storage import Storage, read_url, shown
from pumice.search.study.study import ATTEMPTS, Study, open_study
from pumice.search.study.work import work
from pumice.search.study.workers import is_gone, me


@pytest.fixture
def folder(tmp_path):
    """In memory where there is such a place: every trial waits for the disk some twenty times."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.fixture
def begin(toy, folder):
    """begin() -> a study on the same database as the last one."""
    opened = []

    def begin(name="one", **options) -> Study:
        what = options.pop("what", {"seed": 0})
        study = open_study(toy.problem(), folder / "study.db", name, what, **options)
        opened.append(study)
        return study

    yield begin
    for study in opened:
        study.storage.close()


def searched(study, objective, trials, seed=0):
    return list(work(study, Random(study.problem, seed), objective, trials))


def test_a_study_holds_what_the_loop_without_storage_gives(toy, begin):
    plain = list(run(Random(toy.problem(), 0), Called(toy.accuracy), 12))
    study = begin()
    judged = searched(study, Called(toy.accuracy), 12)
    assert [one.trial for one in judged] == plain
    assert begin().finished() == plain
    assert {one.worker for one in judged} == {me()["name"]}
    assert searched(begin(), Called(toy.accuracy), 12) == []


class Interrupted(Objective):
    """Interrupts at the n-th choice, once."""

    def __init__(self, judge, at, error):
        self.judge, self.left, self.error, self.asked = judge, at, error, []

    def accuracy(self, choice, report):
        self.asked.append(choice)
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.judge(choice)


def test_an_interrupted_trial_is_judged_next_with_the_same_choice(toy, begin):
    plain = list(run(Random(toy.problem(), 0), Called(toy.accuracy), 10))
    objective = Interrupted(toy.accuracy, 5, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        searched(begin(), objective, 10)
    assert begin().finished() == plain[:4]
    searched(begin(), objective, 10)
    assert begin().finished() == plain
    assert objective.asked[4] == objective.asked[5] == plain[4].choice


def test_the_end_of_the_process_leaves_a_trial_that_is_retried(toy, begin, monkeypatch):
    plain = list(run(Random(toy.problem(), 0), Called(toy.accuracy), 4))
    dying = begin()
    taken = dying.take(Random(dying.problem, 0), 4)  # and never heard of again
    assert taken.choice == plain[0].choice
    study = begin()
    other = study.take(Random(study.problem, 0), 4)
    assert other.number == 1, "a living worker keeps its trial"
    study.give_back(other, blameless=True)
    monkeypatch.setattr("pumice.search.study.study.is_gone", lambda worker: True)
    searched(begin(), Called(toy.accuracy), 4)
    assert begin().finished() == plain
    assert dying.finish(taken, 0.99, 1.0) is None, "what the first one found comes too late"
    assert dying.report(taken, 1, 0.5) is True
    assert begin().finished() == plain


def test_a_worker_of_another_machine_is_dead_when_its_heart_stands_still(toy, begin):
    dying = begin(beat_s=1, grace_s=1)
    taken = dying.take(Random(dying.problem, 0), 1)
    waiting = begin(beat_s=1, grace_s=1)
    assert waiting.take(Random(waiting.problem, 0), 1) == "wait"
    time.sleep(2.2)  # SQLite's clock counts whole seconds
    again = waiting.take(Random(waiting.problem, 0), 1)
    assert (again.number, again.choice) == (taken.number, taken.choice)
    assert waiting.finish(again, 0.5, 1.0).trial.number == 0
    assert dying.finish(taken, 0.4, 1.0) is None


def test_a_worker_that_died_while_it_took_a_trial(toy, begin):
    study = begin()
    study._add(0, (0, 0, 0, 0))
    study._study.ask()  # killed between this and the name of the worker
    task = begin().take(Random(study.problem, 0), 1)
    assert (task.number, task.choice) == (0, (0, 0, 0, 0))


def test_a_trial_whose_workers_always_die_counts_as_failed(toy, begin):
    first = next(run(Random(toy.problem(), 0), Called(toy.accuracy), 1)).choice

    def judge(choice):
        if choice == first:
            raise RuntimeError("out of memory")
        return toy.accuracy(choice)

    for _ in range(ATTEMPTS):
        with pytest.raises(RuntimeError, match="out of memory"):
            searched(begin(), Called(judge), 3)
    searched(begin(), Called(judge), 3)
    judged = begin().judged()
    assert [one.trial.number for one in judged] == [0, 1, 2]
    assert (judged[0].trial.choice, judged[0].trial.accuracy) == (first, 0.0)
    assert judged[0].failed == "its worker died or failed 3 times"
    assert judged[1].trial.accuracy > 0


def test_a_network_that_cannot_be_trained_has_accuracy_0(toy, begin):
    def judge(choice):
        raise CheckFailed("the loss is not finite")

    (judged,) = searched(begin(), Called(judge), 1)
    assert (judged.trial.accuracy, judged.failed) == (0.0, "the loss is not finite")
    (judged,) = searched(begin("two"), Called(lambda choice: float("nan")), 1)
    assert judged.trial.accuracy == 0.0


def test_what_cannot_be_judged_stops_the_search_and_is_not_counted(toy, begin):
    def judge(choice):
        raise BadInput("no folder photos")

    for _ in range(ATTEMPTS + 1):
        with pytest.raises(BadInput, match="no folder photos"):
            searched(begin(), Called(judge), 1)
    assert searched(begin(), Called(toy.accuracy), 1)[0].trial.accuracy > 0


def test_an_exhausted_space_ends_the_search(toy, begin):
    within = sum(cost <= 1 for cost in toy.problem().cost.costs.values())
    problem = toy.problem(target=1.0)
    study = Study(problem, begin().storage, "small", {})
    assert len(searched(study, Called(toy.accuracy), 50)) == within == 5


def test_threads_share_the_choices_out(toy, begin):
    studies = [begin() for _ in range(4)]
    asked = []

    def judge(choice):
        asked.append(choice)
        time.sleep(0.01)
        return toy.accuracy(choice)

    threads = [threading.Thread(target=searched, args=(study, Called(judge), 12)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finished = begin().finished()
    assert [one.number for one in finished] == list(range(12))
    assert len({one.choice for one in finished}) == 12 == len(asked)


def test_a_searcher_that_repeats_itself_is_not_believed(toy, begin):
    class Same(Random):
        def propose(self, number, finished, pending=()):
            return (0, 0, 0, 0)

    study = begin()
    with pytest.raises(RuntimeError, match=r"proposed .* again"):
        list(work(study, Same(study.problem, 0), Called(toy.accuracy), 2))


def test_the_median_rule():
    finished = [{1: r, 2: r + 0.1} for r in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert falls_behind({1: 0.29}, finished)
    assert not falls_behind({1: 0.3}, finished)
    assert not falls_behind({1: 0.29}, finished[:4]), "four say nothing"
    assert falls_behind({1: 0.35, 2: 0.2}, finished)
    assert not falls_behind({1: 0.41, 2: 0.0}, finished), "the best epoch so far counts"
    assert not falls_behind({3: 0.0}, finished), "nobody came so far"


class Curve(Objective):
    """Three epochs toward the accuracy of the choice."""

    def __init__(self, judge, kill=None):
        self.judge, self.kill, self.epochs = judge, kill, {}

    def accuracy(self, choice, report):
        for epoch in (1, 2, 3):
            now = self.judge(choice) * epoch / 3
            self.epochs[choice] = epoch
            if (choice, epoch) == self.kill:
                self.kill = None
                raise KeyboardInterrupt
            if report(epoch, now):
                return now
        return now


def test_early_stopping_is_the_same_when_it_is_replayed(toy, begin):
    whole = Curve(toy.accuracy)
    searched(begin("whole", early=True), whole, 12)
    judged = begin("whole", early=True).judged()
    stopped = {one.trial.choice: one.stopped for one in judged if one.stopped is not None}
    assert stopped
    assert all(whole.epochs[choice] == epoch for choice, epoch in stopped.items())
    assert all(len(one.reports) == (one.stopped or 3) for one in judged)
    for one in judged:
        before = [o.reports for o in judged if o.trial.number < one.trial.number]
        cost = one.trial.cost

        def reward(accuracy, cost=cost):
            return toy.problem().reward.of(accuracy, cost)

        assert cost <= 5, "within the target the reward is the accuracy"
        assert falls_behind({k: reward(v) for k, v in one.reports.items()}, before) == (one.stopped is not None)
    victim = next(one.trial.choice for one in judged if one.trial.number == 9)
    cut = Curve(toy.accuracy, kill=(victim, 1))
    with pytest.raises(KeyboardInterrupt):
        searched(begin("cut", early=True), cut, 12)
    searched(begin("cut", early=True), cut, 12)
    assert begin("cut", early=True).finished() == begin("whole", early=True).finished()
    plain = begin("plain")
    searched(plain, Curve(lambda choice: 0.5 - len(plain.finished()) / 20), 7)
    assert all(one.stopped is None for one in plain.judged()), "nobody asked for early stopping"


def test_who_joins_with_other_settings_is_refused(begin):
    begin(what={"seed": 0, "space": "toy"})
    for what, said in (
        ({"seed": 1, "space": "toy"}, "has seed 0, not 1"),
        ({"seed": 0}, "has space toy, not none"),
        ({"seed": 0, "space": "toy", "data": "digits"}, "has data none, not digits"),
    ):
        with pytest.raises(BadInput, match=said):
            begin(what=what)


def test_urls():
    assert read_url("postgresql://me@host/db") == read_url("postgres://me@host/db") == "postgresql+psycopg://me@host/db"
    assert read_url("postgresql+psycopg://host/db") == "postgresql+psycopg://host/db"
    assert read_url("/a/b.db") == "sqlite:////a/b.db"
    assert shown("postgresql://me:se@cret@host/db") == "postgresql://me@host/db"
    assert shown("postgresql://host/db") == "postgresql://host/db"
    with pytest.raises(BadInput, match="neither sqlite:///FILE nor postgresql"):
        read_url("mysql://me:secret@host/db")
    with pytest.raises(BadInput, match="mysql://me@host/db"):
        read_url("mysql://me:secret@host/db")


def test_a_locked_database_is_waited_for(toy, begin, folder):
    study = begin(wait_s=5)
    other = sqlite3.connect(folder / "study.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(1.0, other.rollback)
    release.start()
    began = time.monotonic()
    assert len(searched(study, Called(toy.accuracy), 1)) == 1
    assert time.monotonic() - began > 0.9
    release.join()
    other.close()


def test_a_database_that_stays_locked(toy, begin, folder):
    study = begin(wait_s=0.3)
    other = sqlite3.connect(folder / "study.db.turn", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BadInput, match=r"study\.db has been locked by another process for 0\.3 s; end that one"):
        searched(study, Called(toy.accuracy), 1)
    other.close()


def test_databases_that_cannot_be_used(toy, begin, folder):
    with pytest.raises(BadInput, match=r"no folder .*nowhere for the database study.db"):
        Storage(folder / "nowhere" / "study.db")
    (folder / "text.db").write_text("no database at all, although it is long enough" * 30)
    with pytest.raises(BadInput, match=r"text.db cannot be used: file is not a database"):
        Storage(folder / "text.db")
    with pytest.raises(BadInput, match=r"postgresql://me@127.0.0.1:1/x cannot be used: .*[Rr]efused"):
        Storage("postgresql://me:secret@127.0.0.1:1/x", wait_s=0.1)
    study = begin(wait_s=0.3)
    study.storage.close()
    (folder / "study.db").unlink()
    with pytest.raises(BadInput, match=r"study.db cannot be used: no such table"):
        searched(study, Called(toy.accuracy), 1)


def test_processes_are_known_by_birth():
    assert not is_gone(me())
    if me()["place"]:
        assert is_gone(me() | {"born": "1"}), "another process has the number now"
        assert is_gone(me() | {"pid": 2**22 + 1})
    assert not is_gone(me() | {"place": "elsewhere", "pid": 2**22 + 1})
