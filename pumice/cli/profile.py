"""`pumice profile`: what a network costs, layer by layer, how fast it could be here, and how fast it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set, Threads, model_options, read_shape, words
from pumice.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from pumice.cost.ceilings import Ceilings
    from pumice.cost.count import Profile
    from pumice.cost.layer_times import LayerTimes
    from pumice.graph.records import Layer, Shape

WORTH_A_LINE = 0.01
"""Share of the time from which a layer that does not multiply is listed."""


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, a run folder or a .safetensors checkpoint.")],
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    set: Set = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time every layer, eager and in a runtime.")] = False,
    runtime: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Beside eager: onnxruntime, openvino; several with commas."),
    ] = None,
    threads: Threads = 1,
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Of the timing of the whole net: 30s.")] = None,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Measure anew what this machine can do at best (3 s; it is kept).")
    ] = False,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write it as one HTML page too.")] = None,
    json: Json = False,
) -> None:
    """Parameters, multiply-adds, memory access, floors and times, layer by layer."""
    from pumice.cost.budget import parse_time

    size, options = read_shape(input), model_options(set)
    limit = None if time is None else parse_time(time, "--time")
    if (runtime or time) and not measure:
        raise BadInput(f"--{'runtime' if runtime else 'time'} says how layers are timed; add --measure to time them")

    from pumice.cost import ceilings
    from pumice.cost.count import profile
    from pumice.cost.record import record

    if page:
        from pumice.report.theme import plotly

        plotly()  # refused before anything is measured
    model = open_model(name, size, options)
    cost = profile(model, size)
    times: list[LayerTimes] = []
    if measure:
        from pumice.cost.layer_times import measure_layers

        times = measure_layers(model, cost, runtimes(words(runtime)), threads=threads, time_limit_s=limit)
    limits = None if roofline else ceilings.cached(threads)
    if roofline or (measure and (limits is None or limits.busy)):
        limits = ceilings.measure(threads)
    elif limits is None:
        limits = ceilings.measure(threads, ceilings.GLANCE)
    value = {**record(cost, limits, times), "name": name}
    if page:
        from pumice.report.profile import write_profile

        write_profile(value, page)
    if json:
        show.emit(value)
        return
    layers(cost, value)
    typer.echo()
    if times:
        parts(value["measured"])
        typer.echo()
    show.facts(totals(name, cost, value, limits))


def open_model(name: str, size: "Shape | None", options: dict[str, Any]) -> "nn.Module":
    """The network of a name, run folder or checkpoint."""
    from pumice.models.create import create_model
    from pumice.models.source import load_source

    is_file = Path(name).exists() or name.endswith(".safetensors")
    return load_source(name)[0] if is_file else create_model(name, in_chans=size[0] if size else 3, **options)


def runtimes(asked: list[str]) -> list[str]:
    """Eager, and those asked for or else the first installed one that is not."""
    from pumice.deploy.session import RUNTIMES, installed, require

    others = [require(one) for one in asked if one != "auto"] or [
        one for one in RUNTIMES if one != "eager" and installed(one)
    ][:1]
    return list(dict.fromkeys(["eager", *others]))


def layers(cost: "Profile", value: dict[str, Any]) -> None:
    """The table of the layers that multiply and of those that take long, with floors, and times where there are any."""
    measured = value["measured"]
    timed = [title for name in measured for title in (f">{name} ms", "?>share", "?>x floor")]
    rows = []
    for place, (layer, listed) in enumerate(zip(cost.layers, value["layers"], strict=True)):
        spent = [one["layers"][place] for one in measured.values()]
        if not (layer.madds or layer.extra_madds or any(time and time["share"] >= WORTH_A_LINE for time in spent)):
            continue
        row = [
            layer.name,
            layer.op,
            show.shape(layer.output_shape[1:]),
            kernel(layer),
            str(layer.groups) if layer.groups > 1 else "",
            f"{layer.params:,}" if layer.params else "",
            f"{layer.madds:,}" if layer.madds else f"({layer.extra_madds:,})" if layer.extra_madds else "",
            f"{100 * layer.madds / cost.madds:.1f} %" if layer.madds else "",
            f"{layer.memory_access:,}" if layer.memory_access else "",
            show.size(layer.memory_bytes) if layer.memory_bytes else "",
            f"{layer.intensity:.2f}" if layer.madds else "",
        ]
        row += [f"{listed['floor_ms']:.4f}", listed["bound"]] if listed["bound"] else ["", ""]
        for time in spent:
            over = time and time["over_floor"]
            row += [f"{time['ms']:.4f}", show.percent(time["share"])] if time else ["", ""]
            row.append(f"{over:.1f}" if over else "")
        rows.append(row)
    counts = ["layer", "op", "?output", "?kernel", "?>groups", "?>params", ">MAdds", "?>share", "?>memory access"]
    show.table([*counts, "?>bytes", "?>MAdds/byte", "?>floor ms", "?bound", *timed], rows)


def parts(measured: dict[str, Any]) -> None:
    """Where the time goes, in every runtime."""
    names = list(next(iter(measured.values()))["breakdown"])
    show.table(
        ["part", *(title for name in measured for title in (f">{name} ms", ">share"))],
        [
            [name, *(text for one in measured.values() for text in _share(one["breakdown"][name], one["sum_ms"]))]
            for name in names
        ],
    )


def totals(name: str, cost: "Profile", value: dict[str, Any], limits: "Ceilings") -> list[tuple[str, str]]:
    """Names and values of the whole net."""
    rest = cost.params - sum(layer.params for layer in cost.layers if layer.madds or layer.extra_madds)
    moved = f"{cost.memory_access:,} elements, {show.size(cost.memory_bytes)}"
    found = [
        ("network", f"{name} at {show.shape(cost.input_size)}"),
        ("parameters", f"{cost.params:,}" + (f", {rest:,} of them in norms and the like" if rest else "")),
        ("multiply-adds", f"{cost.madds:,}"),
        *([("and apart", f"({cost.extra_madds:,}) applying dynamic activations")] if cost.extra_madds else []),
        ("memory access", f"{moved} read and written by the layers that multiply"),
        ("peak activations", show.size(cost.peak_activation_bytes) + " (float32)"),
    ]
    bounds = [layer["bound"] for layer in value["layers"] if layer["bound"]]
    found += [
        (
            "floor",
            f"{value['floor_ms']:.3f} ms at best on this machine; {bounds.count('memory')} of {len(bounds)} layers "
            "are bound by memory, the rest by arithmetic",
        ),
        ("ceilings", ceilings_line(limits)),
    ]
    for runtime, one in value["measured"].items():
        net = one["net"]
        over = f", {one['over_floor']:.1f} times the floor" if one["over_floor"] else ""
        found.append(
            (
                runtime,
                f"{one['net_ms']:.3f} ms ({net['ci95'][0]:.3f} to {net['ci95'][1]:.3f}){over}; "
                f"the layers add up to {one['sum_ms']:.3f} ms",
            )
        )
    busy = next((one["net"]["busy_why"] for one in value["measured"].values() if one["net"]["busy"]), None)
    return [*found, *([("busy", f"the machine was busy ({busy}): these times are too long")] if busy else [])]


def ceilings_line(limits: "Ceilings") -> str:
    """47.9 GMAdds/s; L1 172 GB/s, ..."""
    levels = ", ".join(f"{level.name} {show.size(level.bytes_per_s)}/s" for level in limits.levels)
    busy = f"; too low, perhaps: {limits.busy}" if limits.busy else ""
    return f"{show.count(limits.madds_per_s)}MAdds/s, {levels}, {limits.threads} thread(s){busy}"


def kernel(layer: "Layer") -> str:
    """3x3 /2, with the stride where there is one."""
    if not layer.kernel:
        return ""
    return show.shape(layer.kernel) + (f" /{max(layer.stride)}" if max(layer.stride) > 1 else "")


def _share(ms: float, total: float) -> tuple[str, str]:
    return f"{ms:.3f}", show.percent(ms / total if total else 0.0)
