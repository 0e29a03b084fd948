"""A table of networks that somebody trained, as objective and cost: NAS benchmarks."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumice.errors import BadInput, nearest
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Listed
from pumice.search.objective import Looked, read_column
from pumice.search.study.config import SearchConfig

CHOICES = ("choice", "arch", "architecture")
ACCURACIES = ("accuracy", "acc", "top1")
COSTS = {"latency": ("latency_ms", "latency"), "madds": ("madds", "flops"), "params": ("params",)}
TABLE = ("choice", "accuracy", "cost")


def read_table(config: SearchConfig, space: Space) -> tuple[Looked, Listed | None]:
    """Accuracies, and costs where the table has them.

    Columns are found by their names, or named: `--set table.accuracy=acc1 table.cost=flops table.choice=arch`.  Where
    a table has several accuracies, acc1 to acc3, those of several seeds, their mean counts; percents become fractions.

    Raises:
        BadInput: no such file or column, or choices that are not of the space.
    """
    assert config.table is not None
    for name in config.table_options:
        if name not in TABLE:
            raise BadInput(f"a table has no setting {name!r}{nearest(name, list(TABLE))}; it has {', '.join(TABLE)}")
    path, head, named = config.table, _head(config.table), config.table_options
    choice = _column(named.get("choice"), CHOICES, head, path, "choices", "choice")
    several = [name for name in head if re.fullmatch(r"acc(uracy)?_?\d+", name)]
    if several and "accuracy" not in named and not {*ACCURACIES} & {*head}:
        columns = [read_column(path, choice, name) for name in several]
    else:
        columns = [
            read_column(path, choice, _column(named.get("accuracy"), ACCURACIES, head, path, "accuracies", "accuracy"))
        ]
    scale = 100.0 if max(max(one.values(), default=0.0) for one in columns) > 1 else 1.0
    accuracies = {one: sum(column[one] for column in columns) / len(columns) / scale for one in columns[0]}
    if not accuracies:
        raise BadInput(f"{path} has no lines")
    for one in accuracies:
        _check(space, one, path)
    if len(accuracies) < space.size:
        raise BadInput(f"{path} knows {len(accuracies)} of the {space.size} choices of {space.name}; it must know all")
    if "cost" not in named and not {*COSTS[config.cost]} & {*head}:
        return Looked(accuracies), None
    cost = _column(named.get("cost"), COSTS[config.cost], head, path, "costs", "cost")
    return Looked(accuracies), Listed(read_column(path, choice, cost), config.unit)


def _head(path: str) -> list[str]:
    if not Path(path).is_file():
        raise BadInput(f"no table {path}")
    with Path(path).open(newline="", encoding="utf-8", errors="replace") as file:
        return next(csv.reader(file), [])


def _column(named: Any, usual: Sequence[str], head: Sequence[str], path: str, what: str, setting: str) -> str:
    if named is not None:
        return str(named)
    found = next((name for name in usual if name in head), None)
    if found is None:
        raise BadInput(
            f"{path} has no column of {what} called {' or '.join(usual)}; name it with --set table.{setting}=NAME; "
            f"it has {', '.join(head)}"
        )
    return found


def _check(space: Space, choice: Choice, path: str) -> None:
    try:
        space.check(choice)
    except BadInput as error:
        raise BadInput(f"{path} is not about this space: {error}") from error
