"""The float32 files that an int8 file has to beat: the network in every runtime here that a user would take."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.deploy.export import Exported, export
from pumice.deploy.formats import FORMATS, writable
from pumice.deploy.session import installed
from pumice.errors import BadInput, CheckFailed
from pumice.loop.quantising.speed import Speed
from pumice.models.manifest import Manifest
from pumice.progress import track

DESKTOP = ("onnx", "openvino")


class Floats:
    """The float files of a network.

    items: a file in a runtime each.  skipped: formats that cannot say this network, and why.
    timings, speeds: of the latest series, an item each; top1: of the network, in [0, 1].
    """

    def __init__(self, items: list[Item], skipped: dict[str, str]) -> None:
        self.items = items
        self.skipped = skipped
        self.timings: list[Timing] = []
        self.speeds: list[Speed] = []
        self.top1: float | None = None

    @property
    def best(self) -> int:
        """Which is the fastest."""
        return min(range(len(self.items)), key=lambda i: self.speeds[i].ms)

    def measured(self, timings: Sequence[Timing], speeds: Sequence[Speed]) -> Speed:
        """Note a series; the speed of the best of them."""
        self.timings, self.speeds = list(timings), list(speeds)
        return self.speeds[self.best]

    def to_json(self) -> dict[str, Any]:
        """JSON values: the fastest, and the others."""
        rows = [
            {
                "runtime": item.runtime,
                "format": item.name.removesuffix(" fp32"),
                "figure_ms": speed.ms,
                "figure_ci": [speed.low, speed.high],
                "figure_clock": speed.clock,
                "timing": timing.to_json(),
            }
            for item, speed, timing in zip(self.items, self.speeds, self.timings, strict=True)
        ]
        return {**rows[self.best], "top1": self.top1, "all": rows, "skipped": self.skipped}


def write_floats(
    model: nn.Module, manifest: Manifest, folder: Path, runtimes: Sequence[str], schemes: Sequence[str], threads: int
) -> Floats:
    """Export a network for every runtime that is to be compared.

    Args:
        model: the network.
        manifest: what its files carry.
        folder: to write into.
        runtimes: that may run the file.
        schemes: formats of the schemes that take part; LiteRT and others are compared only where one writes for them.
        threads: of each pass.

    Raises:
        BadInput: no format can say this network.
    """
    items: list[Item] = []
    skipped: dict[str, str] = {}
    formats = [*DESKTOP, *(name for name in schemes if name not in DESKTOP)]
    wanted = [FORMATS[name] for name in formats if writable(FORMATS[name])]
    for form in track(wanted, "writing float32 files"):
        able = [name for name in form.runtimes if name in runtimes and installed(name)]
        # What several formats have is measured once.
        able = [name for name in able if name not in {item.runtime for item in items}]
        if not able:
            continue
        try:
            made: Exported = export(model, folder / f"float{form.suffix}", format=form.name, manifest=manifest)
        except (BadInput, CheckFailed) as error:
            skipped[form.name] = str(error)
            continue
        items += [Item(str(made.path), f"{form.name} fp32", name, threads) for name in able if name in made.right]
    if not items:
        why = next(iter(skipped.values()), "no runtime is installed; run `pip install 'pumice[deploy]'`")
        raise BadInput(f"there is no float32 file of this network to compare with: {why}")
    return Floats(items, skipped)


def meant_for(manifest: Manifest, runtime: str, threads: int) -> Manifest:
    """A manifest whose budget, where it has one, names another runtime."""
    budget = {**manifest.budget, "runtime": runtime, "threads": threads} if manifest.budget else {}
    return replace(manifest, budget=budget)
