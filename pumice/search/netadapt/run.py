"""`netadapt`: from a trained net to one that keeps a budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pumice.search.netadapt.settings import Settings

if TYPE_CHECKING:
    from pumice.cost.lut import table
    from pumice.data.images import Splits


@dataclass(frozen=True)
class Result:
    """out: the run folder of the found net.

    kept: name of every channel group -> channels that stay, in the seed's numbers.
    seed_cost, cost: predicted, in `unit`.  measured_ms: of the found net, None where nothing was measured.
    accuracy: on the held-out images after the last step.  top1: of the final weights on the validation images.
    steps: taken.  madds, params: of the found net.
    """

    out: Path
    kept: Mapping[str, tuple[int, ...]]
    unit: str
    seed_cost: float
    cost: float
    measured_ms: float | None
    accuracy: float
    top1: float | None
    steps: int
    madds: int
    params: int


def netadapt(
    source: str | Path,
    data: str,
    *,
    target_ms: float | None = None,
    target_madds: float | None = None,
    lut: "str | Path | table.Lut | None" = None,
    runtime: str | None = None,
    threads: int = 1,
    img_size: int | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    price: Callable[[Mapping[str, int]], float] | None = None,
    violations: float = 0.0,
    splits: "Splits | None" = None,
    out: str | Path,
) -> Result:
    """Narrow a trained net until it keeps a budget; a folder that holds the same search is gone on with.

    Args:
        source: a run folder, checkpoint, network file or name; one without weights needs `settings.seed_epochs`.
        data: `digits` or an image folder, as `pumice train` takes it.
        target_ms: latency of the found net; at most 5 % below it where it can be measured here.
        target_madds: multiply-adds of the found net; from 0 to 1 a share of the seed's.
        lut: table that predicts latency; without one it is taken in proportion to multiply-adds and corrected by
            measuring.
        runtime, threads: to measure in; those of the table, else onnxruntime with one thread.
        img_size: pixels of the square that the net reads; None takes the source's own.
        settings: see `Settings`.
        seed: of every draw.
        price: instead of table and multiply-adds, what widths (name of a group -> channels) cost; `target_ms` or
            `target_madds` is then in its unit.
        violations: what each violation of the guidelines costs, as a share of the seed's cost.
        splits: the data, if they are open already.
        out: the run folder of the found net: `netadapt.json`, the net of every step below `netadapt/`,
            `best.safetensors`, and what a training leaves.

    Raises:
        BadInput: no net, data, table or target that could work; the folder holds another search.
    """
    raise NotImplementedError


def resume(out: str | Path) -> Result:
    """Go on with the search of a folder; the result is that of one never stopped, but for what is measured.

    Raises:
        BadInput: the folder holds no search.
    """
    raise NotImplementedError
