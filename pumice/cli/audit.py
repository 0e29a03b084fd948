"""`pumice audit`: the four guidelines of ShuffleNetV2 held against a network, with edits that can be tried."""

from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set, Threads, model_options, read_shape, words

if TYPE_CHECKING:
    from pumice.cost.audit.finding import Audit, Finding


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, a run folder or a .safetensors checkpoint.")],
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the best edits beside the network itself.")
    ] = False,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Predict from the time of each layer in it: eager, onnxruntime, openvino; --measure takes several.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Edits to measure.")] = 3,
    threads: Threads = 1,
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Of the measuring, in all: 30s.")] = None,
    set: Set = None,
    json: Json = False,
) -> None:
    """What makes a network slow beyond its multiply-adds, and edits that would mend it, the best first.

    Without --runtime or --measure nothing is run: savings are predicted from memory access.
    """
    from pathlib import Path

    from pumice.cost.budget import parse_time

    size, options = read_shape(input), model_options(set)
    limit = None if time is None else parse_time(time, "--time")
    runtimes = words(runtime) or (["onnxruntime"] if measure else [])

    from pumice.cost.audit.run import audit_graph, graph_and_costs
    from pumice.models.create import create_model
    from pumice.models.source import load_source

    is_file = Path(name).exists() or name.endswith(".safetensors")
    model = load_source(name)[0] if is_file else create_model(name, in_chans=size[0] if size else 3, **options)
    graph, costs = graph_and_costs(model, size, runtime=runtimes[0] if runtimes else None, threads=threads)
    found = audit_graph(graph, costs)
    if measure:
        from pumice.cost.audit.measure import measure as measured
        from pumice.deploy.direct import tensors_of
        from pumice.deploy.network import folded

        channels, height, width = graph.input_size
        tensors = tensors_of(folded(model, (channels, height, width)))
        found = measured(found, graph, tensors, runtimes=runtimes, top=top, threads=threads, time_limit_s=limit)
    if json:
        show.emit({**found.to_json(), "name": name})
        return
    _print(name, found)


def _print(name: str, found: "Audit") -> None:
    unit = "ms" if found.unit == "ms" else "elements"
    gained = sorted({gain.runtime for finding in found.findings for gain in finding.gains})
    show.table(
        ["", ">saves", f">{unit}", *(f">measured {runtime}" for runtime in gained), ">MAdds", "finding"],
        [
            (
                finding.guideline,
                show.percent(finding.share) if finding.edit else "",
                _saving(finding, unit),
                *(_gain(finding, runtime) for runtime in gained),
                show.count(finding.edit.madds_after) if finding.edit else "",
                finding.edit.text if finding.edit else finding.text,
            )
            for finding in found.findings
        ],
    )
    typer.echo()
    basis = f"per-layer times in {found.runtime}" if found.unit == "ms" else "memory access, nothing was run"
    total = f"{found.total:.3f} ms" if found.unit == "ms" else f"{show.count(found.total)} elements"
    show.facts(
        [
            ("network", f"{name} at {show.shape(found.input_size)}, {show.count(found.madds)} multiply-adds"),
            ("predicted from", f"{basis}; {total} in all"),
        ]
    )
    gains = [gain for finding in found.findings for gain in finding.gains]
    if gains:
        faster = sum(gain.faster for gain in gains)
        said = f"{faster} of {len(gains)} measurements are faster by more than their spread"
        clock = "; the machine was busy, so CPU times are compared" if any(gain.busy for gain in gains) else ""
        typer.echo(f"{said}{clock}.")
    typer.echo("An edit makes another function, which has to be trained; none raises the multiply-adds.")


def _saving(finding: "Finding", unit: str) -> str:
    if finding.edit is None:
        return ""
    return f"{finding.saving:.3f}" if unit == "ms" else show.count(round(finding.saving))


def _gain(finding: "Finding", runtime: str) -> str:
    for gain in finding.gains:
        if gain.runtime == runtime:
            low, high = gain.gain_ci95_ms
            return f"{gain.gain_ms:+.3f} ms ({low:+.3f} to {high:+.3f})"
    return ""
