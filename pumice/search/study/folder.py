"""The folder of a search: taken before anything is written, and what it holds of the trials so far.

config.json   the SearchConfig, written before torch is imported
study.db      the trials, where no other storage is named
trials.csv    a line per finished trial, in order of number
pareto.json   the trials that no other beats in accuracy and cost, by rising cost
search.json   what else a page needs: unit, target, size of the space, the best
best.json     the network file of the best; see `pumice.models.network_file`
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pumice.errors import BadInput
from pumice.files import read_json, scratch_of, write_json, write_text
from pumice.search.problem import Problem
from pumice.search.study.config import SearchConfig
from pumice.search.study.study import Judged
from pumice.search.trial import Trial

DATABASE = "study.db"
FILES = ("config.json", DATABASE, f"{DATABASE}.turn", "trials.csv", "pareto.json", "search.json", "best.json")
COLUMNS = ("number", "choice", "accuracy", "cost", "value", "seconds", "worker", "reports", "stopped", "failed")


def claim(out: Path) -> bool:
    """Make the folder; whether it was not there.

    Raises:
        BadInput: it holds something already, or cannot be made.
    """
    if out.is_file():
        raise BadInput(f"{out} is a file; name a folder for the search")
    if (out / "config.json").is_file():
        raise BadInput(f"{out} holds another run; go on with `pumice search --resume {out}`, or choose another --out")
    if out.is_dir() and {*out.iterdir()} - {*scratch_of(out, FILES)}:
        raise BadInput(f"{out} is not empty; choose another --out")
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {out}: {error.strerror}") from error
    return made


def abandon(out: Path, made: bool) -> None:
    """Remove what a search that could not begin has left."""
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    if made and not any(out.iterdir()):
        out.rmdir()


def read_config(out: Path) -> SearchConfig:
    """The configuration of a folder.

    Raises:
        BadInput: it holds no search.
    """
    if not (out / "config.json").is_file():
        raise BadInput(f"{out} holds no search; give the folder that `pumice search --out` wrote")
    try:
        return SearchConfig.from_json(read_json(out / "config.json"))
    except BadInput as error:
        raise BadInput(f"{out / 'config.json'}: {error}") from error


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other beats in accuracy and cost, by rising cost; the earliest of equals."""
    found: list[Trial] = []
    for one in sorted(trials, key=lambda t: (t.cost or 0.0, -t.accuracy, t.number)):
        if not found or one.accuracy > found[-1].accuracy:
            found.append(one)
    return found


def write_records(out: Path, config: SearchConfig, problem: Problem, judged: Sequence[Judged], classes: int) -> None:
    """Write all but the configuration; each file whole."""
    trials = [one.trial for one in judged]
    best = problem.best(trials)
    write_text(out / "trials.csv", _lines(judged))
    write_json(out / "pareto.json", [_record(problem, one) for one in front(trials)])
    write_json(
        out / "search.json",
        {
            "space": problem.space.name,
            "size": problem.space.size,
            "positions": [{"name": one.name, "options": list(one.options)} for one in problem.space.positions],
            "unit": None if problem.cost is None else problem.cost.unit,
            "target": problem.target,
            "trials": len(trials),
            "seconds": sum(one.seconds for one in judged),
            "workers": sorted({one.worker for one in judged}),
            "best": None if best is None else _record(problem, best),
        },
    )
    if best is not None:
        from pumice.search.found import write_found

        more = {"target": problem.target, "data": config.data or config.table, "seed": config.seed}
        unit = "" if problem.cost is None else problem.cost.unit
        write_found(
            out / "best.json", problem.space, best, method=config.method, unit=unit, num_classes=classes, **more
        )


def _record(problem: Problem, trial: Trial) -> dict[str, object]:
    kept = problem.target is None or trial.cost is None or trial.cost <= problem.target
    words = problem.space.words(trial.choice)
    return {**trial.__dict__, "choice": list(trial.choice), "words": words, "within": kept}


def _lines(judged: Sequence[Judged]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for one in judged:
        trial = one.trial
        choice, reports = ".".join(map(str, trial.choice)), " ".join(f"{k}:{v:.6g}" for k, v in one.reports.items())
        figures = (trial.accuracy, "" if trial.cost is None else trial.cost, trial.value, round(one.seconds, 3))
        stopped = "" if one.stopped is None else one.stopped
        lines.writerow((trial.number, choice, *figures, one.worker, reports, stopped, one.failed))
    return text.getvalue()
