"""One worker: takes a trial, judges it, keeps the result, until the search is over."""

import time
from collections.abc import Callable, Iterator

from pumice.errors import BadInput, CheckFailed
from pumice.search.objective import Objective
from pumice.search.searcher import Searcher
from pumice.search.study.study import Judged, Study
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
        at, failed = time.perf_counter(), ""
        taken = task  # for the closures, which know the type no longer
        try:
            with beating(lambda: study.beat(taken), study.storage.beat_s):  # noqa: B023
                try:
                    accuracy = objective.accuracy(
                        taken.choice, lambda epoch, so_far: study.report(taken, epoch, so_far)
                    )  # noqa: B023
                except CheckFailed as error:
                    accuracy, failed = 0.0, str(error)
            judged = study.finish(taken, accuracy, time.perf_counter() - at, failed)
        except BaseException as error:
            study.give_back(taken, blameless=isinstance(error, BadInput) or not isinstance(error, Exception))
            raise
        if judged is not None:
            yield judged
