"""Trials in a database: taken, reported, finished or given back by any number of workers, each number judged once.

Optuna keeps the trials, so that its own dashboard shows them.  It is driven by ask and tell: a sampler inside
`optimize` could not keep a retried trial's number, and our searchers are functions of those numbers.  What Optuna calls
a trial is one attempt here; the attempts of a trial share its number and choice, and at most one of them is complete.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pumice.errors import BadInput
from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem
from pumice.search.searcher import Searcher
from pumice.search.study.stopping import falls_behind
from pumice.search.study.storage import Storage
from pumice.search.study.workers import is_gone, me
from pumice.search.trial import Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTEMPTS = 3  # of one trial; then the network is taken for one that cannot be trained
NUMBER, CHOICE, WORKER, KEPT, RESULT, WHAT = "number", "choice", "worker", "given back", "result", "pumice"


@dataclass(frozen=True)
class Judged:
    """A finished trial and how it came about.

    seconds: that judging it took.  worker: who did.  reports: epoch -> accuracy then.
    stopped: the epoch at which the median rule ended it; None where it went to its end.
    failed: why its accuracy is 0 without its network having one; "" as a rule.
    """

    trial: Trial
    seconds: float
    worker: str
    reports: Mapping[int, float] = field(default_factory=dict)
    stopped: int | None = None
    failed: str = ""


@dataclass
class Task:
    """A trial that this worker is to judge.

    attempt, key: number and primary key that Optuna gave it.
    lost: another worker has it now, because this one was taken for dead.
    """

    number: int
    choice: Choice
    attempt: int
    key: int
    rewards: dict[int, float] = field(default_factory=dict)
    stopped: int | None = None
    lost: bool = False


class Study:
    """One search of a storage, by name; it is begun where it is not there.

    Args:
        what: what is searched and how, as JSON values.  A study is joined only by who names the same.
        early: whether the median rule stops trainings.

    Raises:
        BadInput: the study of this name searches something else, or the database cannot be used.
    """

    def __init__(
        self, problem: Problem, storage: Storage, name: str, what: Mapping[str, Any], *, early: bool = False
    ) -> None:
        import optuna

        self.problem, self.storage, self.name, self.early = problem, storage, name, early
        own = {str(k): v for k, v in what.items()}

        def begin() -> Any:
            with storage.turn():
                study = optuna.create_study(
                    study_name=name, storage=storage.optuna, direction="maximize", load_if_exists=True
                )
                if WHAT not in study.user_attrs:
                    if study.get_trials(deepcopy=False):
                        raise BadInput(
                            f"the study {name!r} of {storage.name} is not one of Pumice's; choose another --name"
                        )
                    study.set_user_attr(WHAT, own)
                return study

        self._study = storage.patiently(begin)
        self._key = storage.patiently(lambda: storage.optuna.get_study_id_from_name(name))
        theirs = storage.patiently(lambda: self._study.user_attrs)[WHAT]
        for key in (*theirs, *own):
            if theirs.get(key) != own.get(key):
                raise BadInput(
                    f"the study {name!r} of {storage.name} has {key} {_said(theirs.get(key))}, not "
                    f"{_said(own.get(key))}; join it with the same settings, or choose another --name"
                )

    def take(self, searcher: Searcher, most: int) -> Task | Literal["wait"] | None:
        """What to judge next: first what dead workers left, then what the searcher proposes while there are fewer than
        `most` trials.  "wait": nothing now, but others may leave something; None: the search is over.

        Raises:
            BadInput: of the searcher or the database.
        """

        def take() -> Task | Literal["wait"] | None:
            with self.storage.turn():
                return self._take(searcher, most)

        return self.storage.patiently(take)

    def _take(self, searcher: Searcher, most: int) -> Task | Literal["wait"] | None:
        from optuna.trial import TrialState

        self._bury()
        attempts = self._attempts()
        for tries in attempts.values():
            if all(one.state is TrialState.FAIL for one in tries):
                self._retry(tries)
        if any(all(one.state is TrialState.FAIL for one in tries) for tries in attempts.values()):
            attempts = self._attempts()
        last = {number: tries[-1] for number, tries in attempts.items()}
        pending = [_choice(one) for one in last.values() if not one.state.is_finished()]
        if not any(one.state is TrialState.WAITING for one in last.values()):
            if len(last) >= most:
                return "wait" if pending else None
            finished = [self._judged(one).trial for _, one in sorted(last.items()) if one.state.is_finished()]
            choice = searcher.propose(len(last), finished, pending)
            if choice is None:
                return "wait" if pending else None
            choice = self.problem.space.check(choice)
            if choice in {_choice(one) for one in last.values()}:
                raise RuntimeError(f"{type(searcher).__name__} proposed {choice} again")
            self._add(len(last), choice)
        asked = self._study.ask()
        optuna = self.storage.optuna
        key = optuna.get_trial_id_from_study_id_trial_number(self._key, asked.number)
        task = Task(asked.user_attrs[NUMBER], tuple(asked.user_attrs[CHOICE]), asked.number, key)
        self.beat(task)
        # Last: a running trial without it, seen by who has the turn, is one whose worker died here.
        optuna.set_trial_user_attr(key, WORKER, me())
        return task

    def _bury(self) -> None:
        """Mark the attempts of dead workers as failed; whoever has the turn then adds another attempt."""
        import optuna
        from optuna.trial import TrialState

        optuna.storages.fail_stale_trials(self._study)
        for one in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if WORKER not in one.user_attrs or is_gone(one.user_attrs[WORKER]):
                self._study.tell(one.number, state=TrialState.FAIL)

    def _retry(self, tries: Sequence["FrozenTrial"]) -> None:
        """Another attempt of a trial, or its end with accuracy 0 after too many that nobody gave back."""
        number, choice = tries[0].user_attrs[NUMBER], _choice(tries[0])
        spent = sum(1 for one in tries if KEPT not in one.user_attrs)
        self._add(number, choice, f"its worker died or failed {spent} times" if spent >= ATTEMPTS else "")

    def _add(self, number: int, choice: Choice, failed: str = "") -> None:
        """One attempt, as a whole or not at all."""
        import optuna
        from optuna.trial import TrialState

        positions = self.problem.space.positions
        shapes: dict[str, Any] = {
            one.name: optuna.distributions.CategoricalDistribution(one.options) for one in positions
        }
        attrs: dict[str, Any] = {NUMBER: number, CHOICE: list(choice)}
        value = None
        if failed:
            judged = self.problem.judged(number, choice, 0.0)
            attrs[RESULT] = {"accuracy": 0.0, "cost": judged.cost, "seconds": 0.0, "failed": failed}
            attrs[WORKER], value = me(), judged.value
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.COMPLETE if failed else TrialState.WAITING,
                value=value,
                params=self.problem.space.words(choice),
                distributions=shapes,
                user_attrs=attrs,
            )
        )

    def beat(self, task: Task) -> None:
        """Say that the task's worker lives."""
        self.storage.optuna.record_heartbeat(task.key)

    def report(self, task: Task, epoch: int, accuracy: float) -> bool:
        """Keep the accuracy of an epoch; whether to stop there."""
        import optuna

        so_far = accuracy if math.isfinite(accuracy) else 0.0
        try:
            self.storage.patiently(lambda: self.storage.optuna.set_trial_intermediate_value(task.key, epoch, so_far))
        except optuna.exceptions.UpdateFinishedTrialError:
            task.lost = True
            return True
        if self.early:
            cost = None if self.problem.cost is None else self.problem.cost.of(task.choice)
            task.rewards[epoch] = self.problem.reward.of(so_far, cost)
            before = [one for one in self.judged() if one.trial.number < task.number]
            if falls_behind(task.rewards, [self._rewards(one) for one in before]):
                task.stopped = epoch
        return task.stopped is not None

    def _rewards(self, judged: Judged) -> dict[int, float]:
        return {k: self.problem.reward.of(v, judged.trial.cost) for k, v in judged.reports.items()}

    def finish(self, task: Task, accuracy: float, seconds: float, failed: str = "") -> Judged | None:
        """Keep what the trial came to; None where another worker has it."""
        import optuna

        if task.lost:
            return None
        trial = self.problem.judged(task.number, task.choice, accuracy if math.isfinite(accuracy) else 0.0)
        result: dict[str, Any] = {"accuracy": trial.accuracy, "cost": trial.cost, "seconds": seconds}
        result |= {"stopped": task.stopped} if task.stopped is not None else {}
        result |= {"failed": failed} if failed else {}

        def keep() -> None:
            self.storage.optuna.set_trial_user_attr(task.key, RESULT, result)
            self._study.tell(task.attempt, trial.value)

        try:
            self.storage.patiently(keep)
        except optuna.exceptions.UpdateFinishedTrialError:
            return None
        return next(one for one in self.judged() if one.trial.number == task.number)

    def give_back(self, task: Task, *, blameless: bool) -> None:
        """Let another worker have the trial.  blameless: its network is not why it could not be judged."""
        import optuna
        from optuna.trial import TrialState

        def give() -> None:
            if blameless:
                self.storage.optuna.set_trial_user_attr(task.key, KEPT, True)
            self._study.tell(task.attempt, state=TrialState.FAIL)

        if not task.lost:
            try:
                self.storage.patiently(give)
            except optuna.exceptions.UpdateFinishedTrialError:
                task.lost = True

    def judged(self) -> list[Judged]:
        """Every finished trial, in order of number."""
        from optuna.trial import TrialState

        found = self.storage.patiently(lambda: self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        return sorted((self._judged(one) for one in found), key=lambda one: one.trial.number)

    def finished(self) -> list[Trial]:
        """As `Searcher.propose` takes them."""
        return [one.trial for one in self.judged()]

    def _attempts(self) -> dict[int, list["FrozenTrial"]]:
        found: dict[int, list[FrozenTrial]] = {}
        for one in self._study.get_trials(deepcopy=False):
            found.setdefault(one.user_attrs[NUMBER], []).append(one)
        return found

    def _judged(self, one: "FrozenTrial") -> Judged:
        result = one.user_attrs[RESULT]
        trial = Trial(one.user_attrs[NUMBER], _choice(one), result["accuracy"], result["cost"], one.values[0])
        return Judged(
            trial,
            result["seconds"],
            one.user_attrs[WORKER]["name"],
            dict(one.intermediate_values),
            result.get("stopped"),
            result.get("failed", ""),
        )


def _choice(one: "FrozenTrial") -> Choice:
    return tuple(one.user_attrs[CHOICE])


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def open_study(
    problem: Problem, url: str | Path, name: str, what: Mapping[str, Any], *, early: bool = False, **storage: Any
) -> Study:
    """The study of that name in the database of that URL; see `Study` and `Storage`."""
    return Study(problem, Storage(url, **storage), name, what, early=early)
