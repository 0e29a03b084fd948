"""A run folder, read: whole files or none, and tables whose last line a kill may have cut."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pumice.errors import BadInput
from pumice.files import read_json
from pumice.report.answers import read_answers
from pumice.report.records import SHIPPED_FILES, RunRecords

OBJECTS = ("config", "environment", "data", "metrics", "profile", "verify", "benchmark")
ARRAYS = ("candidates", "rungs", "predictions")


def read_run(folder: str | Path) -> RunRecords:
    """Read what a run folder holds.

    Raises:
        BadInput: the folder is missing, holds no record of a run, or a record cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"no run folder {folder}; give the folder that `pumice fit` or `pumice train` wrote")
    values: dict[str, Any] = {}
    for name in OBJECTS + ARRAYS:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        value = read_json(path)
        if name in OBJECTS and not isinstance(value, dict):
            raise BadInput(f"{path} should hold one JSON object")
        if name in ARRAYS and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            raise BadInput(f"{path} should hold a JSON array of objects")
        values[{"data": "dataset"}.get(name, name)] = value if name in OBJECTS else tuple(value)
    if (folder / "metrics.csv").exists():
        values["epochs"] = _read_epochs(folder / "metrics.csv")
    if (folder / "predictions.csv").exists():
        values["answers"] = read_answers(folder / "predictions.csv")
    if not values:
        raise BadInput(f"{folder} is no run folder: it holds no config.json; give the folder that `pumice fit` wrote")
    files = {name: (folder / name).stat().st_size for name in SHIPPED_FILES if (folder / name).is_file()}
    return RunRecords(name=folder.resolve().name, files=files, **values)


def _read_epochs(path: Path) -> tuple[Mapping[str, float], ...]:
    rows = []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            # A killed run may leave half a line; a cell that cannot be read is not there.
            cells = {key: _float(value) for key, value in row.items() if isinstance(key, str)}
            rows.append({key: value for key, value in cells.items() if value is not None})
    return tuple(row for row in rows if row)


def _float(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
