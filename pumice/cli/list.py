"""`pumice list`: networks, with sizes and published accuracy.  Imports no torch."""

from typing import Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json
from pumice.models.catalogue import Entry, select


def command(
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="A word or a pattern: micronet, 'mobilenet*'.")] = "",
    max_madds: Annotated[
        str | None, typer.Option(metavar="COUNT", help="At most this many multiply-adds: 60M.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(metavar="COUNT", help="At most this many parameters: 3M.")] = None,
    max_latency: Annotated[
        str | None, typer.Option(metavar="TIME", help="At most this latency, of those measured here: 4ms.")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --max-latency: in this runtime only.")
    ] = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Only nets that no smaller one beats in accuracy.")] = False,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Only nets with published weights.")] = False,
    json: Json = False,
) -> None:
    """Networks, with sizes and published accuracy."""
    from pumice.cost.budget import parse_count, parse_latency

    found = select(
        filter,
        max_madds=None if max_madds is None else parse_count(max_madds, "--max-madds"),
        max_params=None if max_params is None else parse_count(max_params, "--max-params"),
        pretrained=pretrained,
    )
    if max_latency is not None:
        from pumice.cost.database import fastest

        limit, measured = parse_latency(max_latency, "--max-latency"), fastest(runtime)
        found = [e for e in found if measured.get((e.name, e.input_size), float("inf")) <= limit]
        if not measured:
            typer.echo("nothing was measured on this machine yet; `pumice benchmark NAME --runtime R` does", err=True)
    if pareto:
        found = front(found)
    if json:
        show.emit([e.to_json() for e in found])
        return
    show.table(
        ["name", "?family", "?input", ">params", ">MAdds", ">top-1", "?status", "published as"],
        [
            (
                e.name,
                e.family,
                show.shape(e.input_size),
                show.count(e.params),
                show.count(e.madds),
                top1(e),
                e.status,
                published_as(e),
            )
            for e in found
        ],
    )
    guessed = [e for e in found if e.status == "reconstruction"]
    if guessed:
        typer.echo("\nReconstructions: what is inferred, and how far they are from the published size\n")
        show.facts([(e.name, f"{e.note}{distance(e)}") for e in guessed])
        typer.echo()
    families = len({e.family for e in found})
    typer.echo(f"{len(found)} networks in {families} {'family' if families == 1 else 'families'}.")
    typer.echo("Counts at the published input and classes; top-1 on ImageNet as printed.")


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


def front(found: list[Entry]) -> list[Entry]:
    """Nets with a published top-1 that no net of equal or fewer multiply-adds reaches."""
    rated = [(e.madds, e.published["top1"], e) for e in found if e.published and e.published["top1"] is not None]
    return [e for m, t, e in rated if not any((n < m and u >= t) or (n == m and u > t) for n, u, _ in rated)]
