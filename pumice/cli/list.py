"""`pumice list`: networks, with sizes, published accuracy and latency, measured here or predicted by a table.

Imports torch only to measure what the database does not know, and to predict.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Lut, OwnThreads
from pumice.errors import BadInput
from pumice.models.catalogue import Entry, select

if TYPE_CHECKING:
    from pumice.cost.timing import Timing


def command(
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="A word or a pattern: micronet, 'mobilenet*'.")] = "",
    max_madds: Annotated[
        str | None, typer.Option(metavar="COUNT", help="At most this many multiply-adds: 60M.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(metavar="COUNT", help="At most this many parameters: 3M.")] = None,
    max_latency: Annotated[
        str | None, typer.Option(metavar="TIME", help="At most this latency on this machine, or the table's: 4ms.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Latency in this runtime; what is missing is measured. Without: as kept."),
    ] = None,
    threads: OwnThreads = None,
    lut: Lut = None,
    measure: Annotated[bool, typer.Option(help="Measure what is missing, or only ask what was measured.")] = True,
    measured: Annotated[bool, typer.Option("--measured", help="Every measurement kept of this machine.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --measured: in timm's benchmark columns.")
    ] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only nets that no smaller (or faster) one beats in accuracy.")
    ] = False,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Only nets with published weights.")] = False,
    found_in: Annotated[
        str | None, typer.Option("--from", metavar="PLACE", help="Networks that searches found: a folder, '*.json'.")
    ] = None,
    json: Json = False,
) -> None:
    """Networks, with sizes, published accuracy and, where asked for, latency on this machine or a table's."""
    from pumice.cost.budget import parse_count, parse_latency

    limit = None if max_latency is None else parse_latency(max_latency, "--max-latency")
    most_madds = None if max_madds is None else parse_count(max_madds, "--max-madds")
    most_params = None if max_params is None else parse_count(max_params, "--max-params")
    if found_in is not None:
        if any((max_latency, runtime, lut, threads, measured, csv, pretrained)):
            raise BadInput(
                "--from shows what searches found, by size; it goes with --max-madds, --max-params, --pareto"
            )
        from pumice.cli.list_found import show_found

        show_found(found_in, filter, most_madds, most_params, pareto, json)
        return
    found = select(filter, max_madds=most_madds, max_params=most_params, pretrained=pretrained)
    if csv is not None and not measured:
        raise BadInput("--csv writes measurements; add --measured")
    if measured and lut is not None:
        raise BadInput("--measured shows what was measured on this machine, --lut what a table predicts; give one")
    if lut is None and (runtime is not None or threads is not None):
        check(runtime, threads or 1)
    if measured:
        show_measured({e.name for e in found} if filter else None, runtime, csv, json)
        return
    if limit is None and runtime is None and lut is None:
        print_nets(front_by_madds(found) if pareto else found, {}, json)
        return

    from pumice.cost.query import front, within

    if lut is not None:
        timings = predicted(classifiers(found, everything=not filter), lut, runtime, threads)
    elif measure and runtime:
        timings = latencies(found, runtime, threads or 1, limit, everything=not filter)
    else:
        timings = kept(found, runtime, threads or 1)
    found = [e for e in found if e.name in timings and (limit is None or within(timings[e.name], limit))]
    if pareto:
        found = front(found, {name: timing.figure_ms for name, timing in timings.items()})
    print_nets(found, timings, json)


def check(runtime: str | None, threads: int) -> None:
    """
    Raises:
        BadInput: the runtime is not there, or the cores are not.
    """
    from pumice.cost import machine
    from pumice.deploy.session import require

    if runtime is not None:
        require(runtime)
    machine.check_threads(threads)


def kept(nets: list[Entry], runtime: str | None, threads: int) -> "dict[str, Timing]":
    """What the database knows of the nets; says so when that is nothing."""
    from pumice.cost.query import measured

    timings = measured(nets, runtime, threads)
    if not timings:
        advice = "--runtime R measures these networks" if runtime is None else "leave out --no-measure to measure them"
        typer.echo(f"nothing was measured on this machine yet; {advice}", err=True)
    return timings


def classifiers(nets: list[Entry], *, everything: bool) -> list[Entry]:
    """Those whose latency is asked for; where nobody chose among the nets, those of ImageNet will do."""
    return [e for e in nets if e.task == "classify" and (e.num_classes == 1000 or not everything)]


def predicted(nets: list[Entry], file: str, runtime: str | None, threads: int | None) -> "dict[str, Timing]":
    """What a table says of the nets; says what it cannot tell."""
    from pumice.cost.predicted import guessed, predict_nets, read_table

    timings, failed = predict_nets(read_table(file, runtime, threads), nets)
    for name, why in failed.items():
        typer.echo(f"{name} was not predicted: {why}", err=True)
    if warning := guessed(timings.values()):
        typer.echo(warning, err=True)
    return timings


def latencies(
    nets: list[Entry], runtime: str, threads: int, limit: float | None, *, everything: bool
) -> "dict[str, Timing]":
    """Of every one of the `classifiers` that may keep the limit: from the database, else measured now."""
    from pumice.cost.query import measured

    timings = measured(nets, runtime, threads)
    missing = [e for e in classifiers(nets, everything=everything) if e.name not in timings]
    if missing and limit is not None:
        from pumice.cost.sweep import hopeless

        slow = hopeless(missing, limit)
        missing = [e for e in missing if e.name not in slow]
        if slow:
            typer.echo(f"too large for {limit:g} ms by their multiply-adds alone: {len(slow)} networks", err=True)
    if not missing:
        return timings

    from pumice.cost.sweep import A_NET_S, sweep

    minutes = len(missing) * 2 * A_NET_S / 60
    typer.echo(
        f"measuring {len(missing)} network{'s' * (len(missing) > 1)} in {runtime}, about {max(1, round(minutes))} min; "
        "an interruption keeps what was measured",
        err=True,
    )
    swept = sweep(missing, runtime=runtime, threads=threads)
    for name, why in swept.failed.items():
        typer.echo(f"{name} was not measured: {why}", err=True)
    return {**timings, **swept.timings}


def print_nets(nets: list[Entry], timings: "dict[str, Timing]", json: bool) -> None:
    """The table or JSON, with latency where there is any."""
    if json:
        show.emit([{**e.to_json(), **(latency(timings[e.name]) if e.name in timings else {})} for e in nets])
        return
    columns = ["name", "?family", "?input", ">params", ">MAdds", ">top-1", "?status", "published as"]
    foretold = any(t.predicted for t in timings.values())
    more = [">ms predicted" if foretold else ">ms", "?>95 % interval", "?runtime", "?busy"] if timings else []
    show.table(
        [*columns[:6], *more, *columns[6:]],
        [
            (
                e.name,
                e.family,
                show.shape(e.input_size),
                show.count(e.params),
                show.count(e.madds),
                top1(e),
                *(latency_cells(timings[e.name]) if timings else ()),
                e.status,
                published_as(e),
            )
            for e in nets
        ],
    )
    guessed = [e for e in nets if e.status == "reconstruction"]
    if guessed:
        typer.echo("\nReconstructions: what is inferred, and how far they are from the published size\n")
        show.facts([(e.name, f"{e.note}{distance(e)}") for e in guessed])
        typer.echo()
    families = len({e.family for e in nets})
    typer.echo(f"{len(nets)} networks in {families} {'family' if families == 1 else 'families'}.")
    typer.echo("Counts at the published input and classes; top-1 on ImageNet as printed.")
    if nets and timings:
        from pumice.cost.timing import PREDICTED

        shown = [timings[e.name] for e in nets]
        if foretold:
            typer.echo(f"{PREDICTED}: {shown[0].machine}, {shown[0].runtime}, {shown[0].threads} thread(s)")
            return
        typer.echo(f"ms: p50 of a pass of one image, {shown[0].threads} thread(s); {shown[0].machine}")
        if any(t.busy for t in shown):
            typer.echo("busy: other work was running; ms is then the lower tenth of CPU time.")


def latency(timing: "Timing") -> dict[str, Any]:
    """What the JSON says of a measured or predicted net, beside its sizes."""
    value = timing.to_json()
    names = ("runtime", "threads", "p50_ms", "ci95", "busy", "figure_ms", "figure_ci", "figure_clock", "predicted")
    more = ("machine", "unknown") if timing.predicted else ("measured_at",)
    return {name: value[name] for name in (*names, *more)}


def latency_cells(timing: "Timing") -> tuple[str, str, str, str]:
    """Figure, interval, runtime, busy."""
    low, high = timing.figure_ci
    busy = "-" if timing.predicted else "yes" if timing.busy else "no"
    return f"{timing.figure_ms:.3f}", f"{low:.3f} to {high:.3f}", timing.runtime, busy


def show_measured(names: set[str] | None, runtime: str | None, csv: Path | None, json: bool) -> None:
    """Every measurement kept of this machine: of these networks, in this runtime."""
    from pumice.cli.benchmark import print_timings, write_csv
    from pumice.cost.database import newest

    timings = [t for t in newest() if (names is None or t.name in names) and runtime in (None, t.runtime)]
    if csv is not None:
        write_csv(timings, csv)
    if json:
        show.emit([t.to_json() for t in timings])
    elif csv is None:
        print_timings(timings)


def published_as(e: Entry) -> str:
    """The line of a paper's table, and its figure where that is no ImageNet top-1."""
    if not e.published:
        return "-"
    return f"{e.published['variant']}: {e.published['other']}" if e.published["other"] else e.published["variant"]


def distance(e: Entry) -> str:
    """How far a reconstruction is from the printed sizes."""
    words = {"params": "parameters", "madds": "multiply-adds"}
    parts = [f"{words[key]} {share:+.1%}" for key, share in e.deviation.items()]
    return f" (against the printed figures: {', '.join(parts)})" if parts else " (no size was printed)"


def top1(e: Entry) -> str:
    """Published top-1 in percent."""
    return f"{e.published['top1']:.1f}" if e.published and e.published["top1"] is not None else "-"


def front_by_madds(nets: list[Entry]) -> list[Entry]:
    """Nets with a published top-1 that no net of equal or fewer multiply-adds reaches."""
    from pumice.cost.query import front

    return front(nets, {e.name: e.madds for e in nets})
