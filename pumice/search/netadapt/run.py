"""`netadapt`: from a trained net to one that keeps a budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.errors import BadInput
from pumice.search.netadapt.settings import Settings

if TYPE_CHECKING:
    from pumice.data.images import Splits
    from pumice.search.netadapt.record import Record
    from pumice.search.netadapt.search import Beside


@dataclass(frozen=True)
class Result:
    """out: the run folder of the found net.

    widths: name of every free channel group -> channels that it has now.
    unit: of the costs.  seed_cost, cost: predicted.  measured_ms: of the found net at the pace at which the seed was
        measured first (`seed_ms`); None where nothing was measured.
    within: whether the net keeps the target, by measuring where that was possible.
    seed_accuracy, accuracy: on the held-out images, before the first and after the last step.
    top1: of the final weights on the validation images.
    steps: between the seed and the net.  madds, params: of the net.
    """

    out: Path
    widths: Mapping[str, int]
    unit: str
    target: float
    seed_cost: float
    cost: float
    seed_ms: float | None
    measured_ms: float | None
    within: bool
    seed_accuracy: float
    accuracy: float
    top1: float
    steps: int
    madds: int
    params: int

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "out": str(self.out), "widths": dict(self.widths)}


def netadapt(
    source: str | Path,
    data: str,
    *,
    target_ms: float | None = None,
    target_madds: float | None = None,
    lut: "str | Path | None" = None,
    runtime: str | None = None,
    threads: int | None = None,
    img_size: int | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    price: Callable[[Mapping[str, int]], float] | None = None,
    violations: float = 0.0,
    splits: "Splits | None" = None,
    beside: "Beside | None" = None,
    out: str | Path,
) -> Result:
    """Narrow a trained net until it keeps a budget; a folder that holds the same search is gone on with.

    Args:
        source: a run folder, checkpoint, network file or name; one without weights needs `settings.seed_epochs`.
        data: `digits` or an image folder, as `pumice train` takes it.
        target_ms: latency of the found net; at most 5 % below it where it can be measured here.
        target_madds: multiply-adds of the found net; below 1 a share of the seed's.
        lut: file of a table that predicts latency; without one it is taken in proportion to multiply-adds and corrected
            by measuring.
        runtime, threads: to measure in; those of the table, else onnxruntime with one thread.
        img_size: pixels of the square that the net reads; None takes the source's own.
        settings: see `Settings`.
        seed: of every draw.
        price: instead of table and multiply-adds, what widths (name of a group -> channels) cost; `target_madds` is
            then in its unit, and nothing is measured.
        violations: what each violation of the guidelines counts as when proposals are compared, as a share of the
            seed's cost.
        splits: the data, if they are open already.
        beside: measures in place of `runtime`, see `pumice.search.netadapt.search.Beside`.
        out: the run folder of the found net: `netadapt.json`, the net of every step below `netadapt/`,
            `best.safetensors` with `best.json`, and what a training leaves.

    Raises:
        BadInput: no net, data, table or target that could work; the folder holds another search.
        KeyboardInterrupt: on Ctrl-C; called again, or by `resume`, the search goes on.
    """
    if (target_ms is None) == (target_madds is None):
        raise BadInput("give either a target of latency, as 3ms, or one of multiply-adds, as 60M")
    target = target_madds if target_ms is None else target_ms
    assert target is not None
    if not 0 < target < float("inf"):
        raise BadInput(f"a target of {target:g} cannot be had; give a number above zero")
    if price is not None and target_ms is not None:
        raise BadInput("a price of your own is not in ms; give its target as target_madds")
    if violations < 0:
        raise BadInput(f"violations {violations:g} must not be below 0")
    settings = Settings() if settings is None else settings
    asked = {
        "source": str(source),
        "data": data,
        "target_ms": target_ms,
        "target_madds": target_madds,
        "lut": None if lut is None else str(lut),
        "runtime": runtime,
        "threads": threads,
        "img_size": img_size,
        "settings": settings.to_json(),
        "seed": seed,
        "own_price": price is not None,
        "violations": violations,
    }
    return _run(Path(out), asked, price, splits, beside)


def resume(out: str | Path, *, splits: "Splits | None" = None) -> Result:
    """Go on with the search of a folder; the result is that of one never stopped, but for what is measured.

    Raises:
        BadInput: the folder holds no search, or one whose price was a function.
    """
    from pumice.search.netadapt.record import read_record

    asked = read_record(Path(out)).asked
    if asked["own_price"]:
        raise BadInput(f"{out} was searched with a price of your own; call netadapt again with it")
    return _run(Path(out), asked, None, splits, None)


def _run(
    out: Path,
    asked: dict[str, Any],
    price: Callable[[Mapping[str, int]], float] | None,
    splits: "Splits | None",
    beside: "Beside | None",
) -> Result:
    from pumice.search.netadapt.record import FILE, Record, read_record
    from pumice.train.folder import claim
    from pumice.train.lock import locked

    made = False
    if (out / FILE).is_file():
        record = read_record(out)
        if (other := next((key for key in asked if record.asked.get(key) != asked[key]), None)) is not None:
            said = record.asked.get(other)
            raise BadInput(f"{out} holds a search whose {other} is {said}, not {asked[other]}; choose another folder")
    else:
        made = claim(out)
        record = Record(out, asked)
    try:
        with locked(out):
            if not record.final:
                _search(record, splits, price, beside)
            return _result(record)
    finally:
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def _search(
    record: "Record",
    splits: "Splits | None",
    price: Callable[[Mapping[str, int]], float] | None,
    beside: "Beside | None",
) -> None:
    """The whole of it, from what the record holds on; everything that needs torch is imported from here on."""
    from pumice.cost.predicted import read_table
    from pumice.data.open import open_data
    from pumice.deploy.network import folded
    from pumice.graph.trace import trace
    from pumice.search.netadapt.finish import finish
    from pumice.search.netadapt.prices import Called, MAdds, Prices, Table
    from pumice.search.netadapt.search import Search
    from pumice.search.netadapt.start import Start
    from pumice.search.netadapt.tune import Tuner, held_out

    asked = record.asked
    settings = Settings.from_json(asked["settings"])
    table = None if asked["lut"] is None else read_table(asked["lut"], asked["runtime"], asked["threads"])
    if splits is None:
        splits = open_data(asked["data"], seed=asked["seed"])
    held = held_out(splits, settings.holdout, asked["seed"])
    start = Start(asked, settings, splits.classes)
    net = start.net()
    size = start.input_size
    graph = trace(folded(net, size), size)
    prices: Prices = MAdds() if table is None else Table(table, graph)
    target = asked["target_ms"] or asked["target_madds"]
    if price is not None:
        prices = Called(price)
    elif asked["target_madds"] is not None:
        prices = MAdds()
        target = int(target * graph.madds) if target < 1 else target
    if asked["target_ms"] is None:
        beside = None
    elif beside is None:
        from pumice.search.netadapt.measure import clock_of

        beside = clock_of(table, asked["runtime"], asked["threads"], size)
    search = Search(
        record=record,
        size=size,
        prices=prices,
        tuner=Tuner(held, start.tuning(), settings),
        settings=settings,
        target=target,
        unit=prices.unit if asked["target_ms"] is None else "ms",
        violation=asked["violations"],
        beside=beside,
    )
    if not record.steps:
        search.check(net)
        search.begin(start.trained(net, splits, record.folder / "seed"))
    best = search.run()
    record.final = finish(record, best, start, splits) | {"target": target, "within": search.within(best)}
    record.write()


def _result(record: "Record") -> Result:
    seed, final = record.steps[0], record.final
    assert record.best is not None
    best = record.steps[record.best]
    measured = [one for one in record.measured if one.number == best.number]
    depth, step = 0, best
    while step.number:
        step, depth = record.steps[step.parent], depth + 1
    return Result(
        out=record.out,
        widths={name: len(channels) for name, channels in best.kept.items()},
        unit=record.unit,
        target=final["target"],
        seed_cost=seed.cost,
        cost=best.cost,
        seed_ms=record.measured[0].ms if record.measured else None,
        measured_ms=measured[-1].scaled_ms if measured else None,
        within=final["within"],
        seed_accuracy=seed.accuracy,
        accuracy=best.accuracy,
        top1=final["top1"],
        steps=depth,
        madds=best.madds,
        params=best.params,
    )
