"""`pumice profile`: what a network costs, layer by layer."""

from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set, model_options, read_shape

if TYPE_CHECKING:
    from pumice.graph.records import Layer


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, a run folder or a .safetensors checkpoint.")],
    input: Annotated[str | None, typer.Option(metavar="CxHxW", help="Channels, height, width: 3x224x224.")] = None,
    set: Set = None,
    json: Json = False,
) -> None:
    """Parameters, multiply-adds, memory access and memory, layer by layer."""
    from pathlib import Path

    size, options = read_shape(input), model_options(set)

    from pumice.cost.count import profile
    from pumice.models.create import create_model
    from pumice.models.source import load_source

    is_file = Path(name).exists() or name.endswith(".safetensors")
    model = load_source(name)[0] if is_file else create_model(name, in_chans=size[0] if size else 3, **options)
    cost = profile(model, size)
    if json:
        show.emit({**cost.to_json(), "name": name})
        return
    counted = [layer for layer in cost.layers if layer.madds or layer.extra_madds]
    show.table(
        ["layer", "op", "?output", "?kernel", "?>groups", ">params", ">MAdds", ">share", "?>memory access"],
        [
            (
                layer.name,
                layer.op,
                show.shape(layer.output_shape[1:]),
                kernel(layer),
                str(layer.groups) if layer.groups and layer.groups > 1 else "",
                f"{layer.params:,}" if layer.params else "",
                f"{layer.madds:,}" if layer.madds else f"({layer.extra_madds:,})",
                f"{100 * layer.madds / cost.madds:.1f} %" if layer.madds else "",
                f"{layer.memory_access:,}" if layer.memory_access else "",
            )
            for layer in counted
        ],
    )
    rest = cost.params - sum(layer.params for layer in counted)
    typer.echo()
    show.facts(
        [
            ("network", f"{name} at {show.shape(cost.input_size)}"),
            ("parameters", f"{cost.params:,}" + (f", {rest:,} of them in norms and the like" if rest else "")),
            ("multiply-adds", f"{cost.madds:,}"),
            *([("and apart", f"({cost.extra_madds:,}) applying dynamic activations")] if cost.extra_madds else []),
            ("memory access", f"{cost.memory_access:,} elements read and written by the layers that multiply"),
            ("peak activations", show.size(cost.peak_activation_bytes) + " (float32)"),
        ]
    )


def kernel(layer: "Layer") -> str:
    """3x3 /2, with the stride where there is one."""
    if not layer.kernel:
        return ""
    return show.shape(layer.kernel) + (f" /{max(layer.stride)}" if max(layer.stride) > 1 else "")
