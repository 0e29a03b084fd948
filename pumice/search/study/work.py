"""One worker: takes a trial, judges it, keeps the result, until the search is over."""

import time
from collections.abc import Callable, Iterator

from pumice.errors import BadInput, CheckFailed
from pumice.search.objective import Objective
from pumice.search.searcher import Searcher
from pumice.search.study.study import Judged, Study, Task
from pumice.search.study.workers import beating

LOOK_S = 0.5  # between two looks whether others have left something


def work(
    study: Study,
    searcher: Searcher,
    objective: Objective,
    trials: int,
    *,
    time_s: float | None = None,
    over: Callable[[], bool] = lambda: False,
) -> Iterator[Judged]:
    """Judge until the study has so many trials, and yield those that this worker finished.

    A trial that is interrupted, by Ctrl-C or an error, is given back before the interruption goes on; one whose network
    cannot be trained has accuracy 0.

    Args:
        time_s: take none after so many seconds.
        over: asked before each; whether to take none.

    Raises:
        BadInput: of the objective, the searcher or the database; the study can go on.
    """
    began = time.monotonic()
    while not over() and (time_s is None or time.monotonic() - began < time_s):
        task = study.take(searcher, trials)
        if task is None:
            return
        if task == "wait":
            time.sleep(LOOK_S)
            continue
        judged = _judge(study, task, objective)
        if judged is not None:
            yield judged


def _judge(study: Study, task: Task, objective: Objective) -> Judged | None:
    began, failed = time.perf_counter(), ""
    try:
        with beating(lambda: study.beat(task), study.storage.beat_s):
            try:
                accuracy = objective.accuracy(task.choice, lambda epoch, so_far: study.report(task, epoch, so_far))
            except CheckFailed as error:
                accuracy, failed = 0.0, str(error)
        return study.finish(task, accuracy, time.perf_counter() - began, failed)
    except BaseException as error:
        study.give_back(task, blameless=isinstance(error, BadInput) or not isinstance(error, Exception))
        raise
