"""A search in its folder: begun or gone on with, by one or several processes."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pumice.errors import BadInput
from pumice.files import write_json
from pumice.progress import track
from pumice.search.study.config import SearchConfig
from pumice.search.study.folder import DATABASE, abandon, claim, front, read_config, write_records
from pumice.search.study.methods import Built, build, check_method, searcher_of
from pumice.search.study.study import Judged, Study, open_study
from pumice.search.study.work import work
from pumice.search.trial import Trial

WRITE_S = 5.0  # between two writes of the records
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Searched:
    """judged: every trial that is finished.  best: the most accurate within the target.  front: see `folder.front`.

    words, recipes: of the choice of each trial, by its number; see `Space.words` and `Space.recipe`.
    finished: whether nothing is left to judge; a time limit may have ended the search before.
    """

    out: Path
    config: SearchConfig
    unit: str
    judged: Sequence[Judged]
    best: Trial | None
    front: Sequence[Trial]
    words: dict[int, dict[str, str]]
    recipes: dict[int, dict[str, Any]]
    finished: bool


def search(config: SearchConfig, out: Path, tell: Tell = lambda line: None, *, url: str | None = None) -> Searched:
    """Begin a search, or join the one of that name in the storage.

    Args:
        out: a folder that is empty or not there.
        tell: given a line per trial.
        url: of the storage, with its password, which the folder does not keep.

    Raises:
        BadInput: see `Study`, `build` and `Objective`; nothing is left of a search that could not begin.
        KeyboardInterrupt: on Ctrl-C, the study whole.
    """
    check_method(config.method)
    config.what()
    made = claim(out)
    if config.name is None:
        config = replace(config, name=out.resolve().name)
    write_json(out / "config.json", config.to_json())
    try:
        return _search(config, out, tell, url)
    except BadInput:
        if not (out / "trials.csv").exists():
            abandon(out, made)
        raise


def resume(out: Path, tell: Tell = lambda line: None, *, url: str | None = None, **extent: Any) -> Searched:
    """Go on with the search of a folder, or join it while others work in it; see `search`.

    extent: fields of the configuration that say how long and by how many (`trials`, `time_s`, `workers`).
    """
    config = read_config(out)
    check_method(config.method)
    if extent:
        config = replace(config, **extent)
        write_json(out / "config.json", config.to_json())
    return _search(config, out, tell, url)


def open_built(config: SearchConfig, out: Path, url: str | None) -> tuple[Study, Built]:
    """The study of a folder and what judges its trials."""
    built = build(config)
    where = url or config.storage or out / DATABASE
    return open_study(built.problem, where, config.name or out.name, built.what(config), early=config.early_stop), built


def _search(config: SearchConfig, out: Path, tell: Tell, url: str | None) -> Searched:
    with terminated():
        study, built = open_built(config, out, url)
        began = written = time.monotonic()
        try:
            left = max(0, config.trials - len(study.judged()))
            for one in track(_trials(config, out, study, built, url), f"search {config.method}", total=left):
                tell(line(one, built.problem.cost.unit if built.problem.cost else ""))
                if time.monotonic() - written > WRITE_S or not (out / "trials.csv").exists():
                    write_records(out, config, built.problem, study.judged(), built.num_classes)
                    written = time.monotonic()
        except KeyboardInterrupt:
            kept = study.judged()
            if kept:
                write_records(out, config, built.problem, kept, built.num_classes)
            said = f"interrupted after {len(kept)} of {config.trials} trials; go on with `pumice search --resume {out}`"
            raise KeyboardInterrupt(said) from None
        judged = study.judged()
        write_records(out, config, built.problem, judged, built.num_classes)
        study.storage.close()
    trials = [one.trial for one in judged]
    problem, found = built.problem, front(trials)
    words = {one.number: problem.space.words(one.choice) for one in trials}
    late = config.time_s is not None and time.monotonic() - began >= config.time_s
    finished = not late or len(judged) >= config.trials
    recipes = {one.number: problem.space.recipe(one.choice) for one in trials}
    unit = "" if problem.cost is None else problem.cost.unit
    return Searched(out, config, unit, judged, problem.best(trials), found, words, recipes, finished)


def _trials(config: SearchConfig, out: Path, study: Study, built: Built, url: str | None) -> Iterator[Judged]:
    """Those that are finished from now on, by this process or by its workers."""
    searcher = searcher_of(config, built.problem, out)  # a supernet is trained once, before workers start
    if config.workers > 1:
        from pumice.search.study.together import together

        yield from together(config, out, study, url)
        return
    yield from work(study, searcher, built.objective, config.trials, time_s=config.time_s)


def ranked(result: Searched) -> list[Trial]:
    """The trials that keep the target, the most accurate first, the earliest of equals."""
    target = result.config.target
    trials = [one.trial for one in result.judged]
    kept = [t for t in trials if target is None or t.cost is None or t.cost <= target]
    return sorted(kept, key=lambda t: (-t.accuracy, t.number))


def line(judged: Judged, unit: str) -> str:
    """One trial in words."""
    trial = judged.trial
    cost = "" if trial.cost is None else f", {_figure(trial.cost)} {unit}"
    said = f", stopped at epoch {judged.stopped}" if judged.stopped is not None else ""
    said += f", failed: {judged.failed}" if judged.failed else ""
    choice = ".".join(map(str, trial.choice))
    return f"trial {trial.number}: accuracy {trial.accuracy:.4f}{cost}, {judged.seconds:.1f} s, {choice}{said}"


def _figure(value: float) -> str:
    for letter, size in ((" G", 1e9), (" M", 1e6)):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


@contextmanager
def terminated() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does, so that the trial is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
