"""The folder of a search, read: it may be young, killed or still going on, so any file but config.json may lack."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pumice.errors import BadInput
from pumice.files import read_json
from pumice.report.fields import Record, mapping, number, objects, text


@dataclass(frozen=True)
class SearchTrial:
    """A line of trials.csv.  choice: as text, `0.3.1`.  within: whether it keeps the target.

    stopped: the epoch at which it was ended early.  failed: why it has no accuracy of its own.
    """

    number: int
    choice: str
    accuracy: float
    cost: float | None
    seconds: float
    worker: str
    within: bool
    stopped: int | None
    failed: str


@dataclass(frozen=True)
class SearchRecords:
    """trials: in order of number.  front: the numbers of those that no other beats, by rising cost."""

    name: str
    config: Record
    about: Record
    trials: tuple[SearchTrial, ...]
    front: tuple[int, ...]

    @property
    def method(self) -> str:
        """How it was searched."""
        return text(self.config, "method") or "?"

    @property
    def unit(self) -> str:
        """Of the costs; "" where there are none."""
        return text(self.about, "unit") or ""

    @property
    def target(self) -> float | None:
        """What a network may cost."""
        return number(self.config, "target")

    @property
    def best(self) -> SearchTrial | None:
        """The most accurate that keeps the target."""
        kept = [t for t in self.trials if t.within and not t.failed]
        return max(kept, key=lambda t: (t.accuracy, -t.number), default=None)

    @property
    def positions(self) -> list[tuple[str, list[str]]]:
        """Name and options of each position of the space."""
        return [
            (str(one.get("name")), [str(o) for o in one.get("options") or ()])
            for one in objects(self.about.get("positions"))
        ]

    def words(self, choice: str) -> list[tuple[str, str]]:
        """Position and option taken, in words; the numbers where the space is not described."""
        taken = [int(part) for part in choice.split(".") if part.isdecimal()]
        positions = self.positions
        if len(positions) != len(taken) or any(i >= len(o) for i, (_, o) in zip(taken, positions, strict=True)):
            return [(f"{place}", str(i)) for place, i in enumerate(taken)]
        return [(name, options[i]) for i, (name, options) in zip(taken, positions, strict=True)]


def is_search(folder: str | Path) -> bool:
    """Whether a folder holds a search, by its configuration."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return False
    try:
        config = read_json(path)
    except BadInput:
        return False
    return isinstance(config, Mapping) and {"method", "space"} <= config.keys()


def read_search(folder: str | Path) -> SearchRecords:
    """Read what the folder of a search holds.

    Raises:
        BadInput: a record cannot be read.
    """
    folder = Path(folder)
    config = mapping(read_json(folder / "config.json"))
    target = number(config, "target")
    about = mapping(read_json(folder / "search.json")) if (folder / "search.json").exists() else {}
    front = read_json(folder / "pareto.json") if (folder / "pareto.json").exists() else []
    trials = tuple(_trials(folder / "trials.csv", target)) if (folder / "trials.csv").exists() else ()
    numbers = tuple(int(one["number"]) for one in objects(front) if number(one, "number") is not None)
    known = {one.number for one in trials}
    return SearchRecords(folder.resolve().name, config, about, trials, tuple(n for n in numbers if n in known))


def _trials(path: Path, target: float | None) -> list[SearchTrial]:
    found = []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            try:
                cost = float(row["cost"]) if row["cost"] else None
                found.append(
                    SearchTrial(
                        int(row["number"]),
                        row["choice"],
                        float(row["accuracy"]),
                        cost,
                        float(row["seconds"]),
                        row["worker"],
                        target is None or cost is None or cost <= target,
                        int(row["stopped"]) if row["stopped"] else None,
                        row["failed"],
                    )
                )
            except (KeyError, TypeError, ValueError) as error:
                raise BadInput(f"{path} has a line that cannot be read: {dict(row)}") from error
    return found
