"""`pumice export --format auto`: the file that is fastest on this machine."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pumice.cli import show
from pumice.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from torch import nn

    from pumice.cost.timing import Timing
    from pumice.deploy.export import Exported
    from pumice.models.manifest import Manifest

TRIED = ("native", "onnx", "openvino")
MEASURING_S = 4.0
"""How long each file is measured, all of them by turns."""


def export_auto(
    model: "nn.Module",
    manifest: "Manifest | None",
    out: Path,
    *,
    input_size: tuple[int, int, int] | None,
    bake: bool,
    tune_s: float,
    json: bool,
) -> None:
    """Write the formats of `TRIED` that can be written here, measure them by turns, keep the fastest, and say so.

    Args:
        out: without a suffix, which the format that wins gives it; OpenVINO's is a folder of that name.

    Raises:
        BadInput: `out` has a suffix, or a file of that name is there; or no format can be written.
        CheckFailed: no file agrees with the network.
    """
    from pumice.cost.latency import benchmark
    from pumice.deploy.export import export
    from pumice.deploy.formats import FORMATS
    from pumice.files import writing

    if out.suffix:
        raise BadInput(f"the suffix follows from the format that is fastest; give --out {out.with_suffix('')}")
    places = {name: out if name == "openvino" else out.with_suffix(FORMATS[name].suffix) for name in TRIED}
    for place in places.values():
        if place.exists():
            raise BadInput(f"{place} is there already; give --out a name that is free")
    made: dict[str, Exported] = {}
    refused: dict[str, str] = {}
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent, ignore_cleanup_errors=True) as folder:
        for name, place in places.items():
            form = FORMATS[name]
            try:
                made[name] = export(
                    model,
                    Path(folder, place.name),
                    format=name,
                    manifest=manifest,
                    input_size=input_size,
                    bake=bake,
                    tune_s=tune_s if form.tunes else 0.0,
                )
            except (BadInput, CheckFailed) as error:
                refused[name] = str(error)
        if not made:
            raise BadInput("; ".join(refused.values()))
        times = benchmark([one.path for one in made.values()], time_limit_s=MEASURING_S * len(made))
        assert isinstance(times, list)
        timed = dict(zip(made, times, strict=True))
        best = min(timed, key=lambda name: clocked(timed[name], times))
        os.replace(Path(folder, places[best].name), places[best])
    _say(places[best], made[best], timed, refused, best, json=json)


def clocked(one: "Timing", all_of_them: "list[Timing]") -> float:
    """A figure in ms by a clock that all have: the wall clock where the machine was quiet all the time."""
    if len({other.figure_clock for other in all_of_them}) == 1:
        return one.figure_ms
    return one.cpu_p10_ms or one.cpu_p50_ms


def _say(
    place: Path, made: "Exported", timed: "dict[str, Timing]", refused: dict[str, str], best: str, *, json: bool
) -> None:
    times = list(timed.values())
    if json:
        found = {**made.to_json(), "path": str(place), "refused": refused}
        show.emit({**found, "measured": [one.to_json() for one in times]})
        return
    first = clocked(timed[best], times)
    lines = [("wrote", f"{place} ({best}, {show.size(made.bytes)}): the fastest here")]
    for name, one in sorted(timed.items(), key=lambda pair: clocked(pair[1], times)):
        figure = clocked(one, times)
        busy = ", CPU time on a busy machine" if one.busy else ""
        lines.append((name, f"{figure:.3g} ms in {one.runtime}, {figure / first:.2f} of the fastest{busy}"))
    lines += refused.items()
    show.facts(lines)
