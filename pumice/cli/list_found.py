"""`pumice list --from`: what searches found, as `list` shows published networks."""

from dataclasses import asdict
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import Any

from pumice.cli import show
from pumice.errors import BadInput
from pumice.files import read_json
from pumice.models.network_file import NetworkFile, read_network

FIELDS = {"model", "options", "num_classes", "in_chans", "input_size"}


def show_found(
    place: str, filter: str, max_madds: float | None, max_params: float | None, pareto: bool, json: bool
) -> None:
    """The table, or JSON.

    place: a folder, which is looked through, or a pattern of files.
    filter: a pattern or a part of a file's path.
    pareto: only those that no net of equal or fewer multiply-adds reaches in accuracy.

    Raises:
        BadInput: no network file is there.
    """
    from pumice.cost.count import profile
    from pumice.models.create import create_model
    from pumice.progress import track

    wanted = filter if any(c in filter for c in "*?[") else f"*{filter}*"
    files = {path: read_network(path) for path in network_files(place) if fnmatchcase(path, wanted)}
    rows = []
    for path, file in track(files.items(), "counting"):
        cost = profile(create_model(path))
        rows.append({"name": path, **_known(file), "params": cost.params, "madds": cost.madds})
    rows = [
        row
        for row in rows
        if (max_madds is None or row["madds"] <= max_madds) and (max_params is None or row["params"] <= max_params)
    ]
    if pareto:
        rows = _front(rows)
    if json:
        show.emit(rows)
        return
    show.table(
        ["name", "?model", "?input", ">params", ">MAdds", ">top-1", ">cost", "?unit", "?method", "?>trial"],
        [_cells(row, files[row["name"]]) for row in rows],
    )


def network_files(place: str) -> list[str]:
    """The network files in a folder and below, or of a pattern; other JSON files are passed over.

    Raises:
        BadInput: there is none.
    """
    folder = Path(place)
    paths = folder.rglob("*.json") if folder.is_dir() else map(Path, glob(place))
    found = [str(path) for path in sorted(paths) if path.suffix == ".json" and _describes(path)]
    if not found:
        raise BadInput(f"no network file is in {place}; name a folder or a pattern of what a search wrote")
    return found


def _describes(path: Path) -> bool:
    try:
        value = read_json(path)
    except BadInput:
        return False
    return isinstance(value, dict) and value.keys() >= FIELDS


def _known(file: NetworkFile) -> dict[str, Any]:
    """What a network file says, but for the sizes of a pruned network's layers."""
    return {**{k: v for k, v in asdict(file).items() if k != "widths"}, "pruned": bool(file.widths)}


def _front(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rated = [(row["madds"], row["search"]["accuracy"], row) for row in rows if row["search"].get("accuracy")]
    return [r for m, a, r in rated if not any((n < m and b >= a) or (n == m and b > a) for n, b, _ in rated)]


def _cells(row: dict[str, Any], file: NetworkFile) -> tuple[str, ...]:
    """Accuracy is the search's own measurement."""
    known = file.search
    return (
        row["name"],
        f"{file.model}, pruned" if file.widths else file.model,
        show.shape(file.input_size),
        show.count(row["params"]),
        show.count(row["madds"]),
        show.percent(known.get("accuracy")),
        show.count(known.get("cost")),
        str(known.get("unit") or "-"),
        str(known.get("method") or "-"),
        str(known["trial"]) if known.get("trial") is not None else "-",
    )
