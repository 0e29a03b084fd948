"""What `data check` says of a data set of any dense task."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from pumice.data.images import Skipped

Counts = TypeVar("Counts")


@dataclass(frozen=True)
class Summary(Generic[Counts]):
    """What a data set holds.

    source: what the user called the data.
    train, val: counts, a dataclass of the task's own.
    skipped: what could not be used, and boxes that were cut to their image.
    shared: names of images that occur in both sets.
    problems: what would hurt, in sentences.
    advice: what else to think of, in sentences.
    """

    source: str
    train: Counts
    val: Counts
    skipped: tuple[Skipped, ...]
    shared: tuple[str, ...]
    problems: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would hurt."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"ok": self.ok, **_listed(asdict(self))}


def in_both(train: Iterable[str], val: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """Names that occur in both sets, and what is wrong with that, in at most one sentence."""
    shared = tuple(sorted(set(train) & set(val)))
    if not shared:
        return shared, []
    return shared, [f"{len(shared)} images are to be learnt from and to be judged by ({shared[0]}); remove them once"]


def _listed(value: Any) -> Any:
    """The same with lists for tuples."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
