"""`pumice info`: everything known about one network.  For our own networks as published it imports no torch."""

from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set

UNKNOWN: dict[str, Any] = {"paper": "", "task": "classify", "note": "", "recipe": None, "options": {}}


def command(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of `pumice list`, timm:NAME, torchvision:NAME, HEAD:BACKBONE."),
    ],
    set: Set = None,
    json: Json = False,
) -> None:
    """Everything known about one network."""
    record = measured(name, set or []) if set or ":" in name else listed(name)
    if json:
        show.emit(record)
        return
    published = record["published"]
    lines = [
        ("name", record["name"]),
        ("paper", record["paper"]),
        ("task", record["task"] if record["task"] != "classify" else ""),
        ("status", record["status"] + _deviation(record)),
        ("input", show.shape(record["input_size"])),
        ("parameters", f"{record['params']:,}"),
        ("multiply-adds", f"{record['madds']:,}"),
        ("and apart", f"{record['extra_madds']:,} applying dynamic activations" if record["extra_madds"] else ""),
        ("memory access", f"{record['memory_access']:,} elements"),
        ("peak activations", show.size(record["peak_activation_bytes"])),
        ("published", _published(published) if published else ""),
        ("weights", "published weights load with --pretrained" if record["pretrained"] else ""),
        ("recipe", f"{record['recipe']}: `pumice train DATA --model {name} --recipe auto`" if record["recipe"] else ""),
        ("options", "  ".join(f"{k}={v}" for k, v in record["options"].items())),
        ("note", record["note"]),
    ]
    show.facts([(k, v) for k, v in lines if v])


def _deviation(record: dict[str, Any]) -> str:
    if record["status"] != "reconstruction" or not record["deviation"]:
        return ""
    return ": " + ", ".join(f"{key} {share:+.1%}" for key, share in record["deviation"].items()) + " from the printed"


def _published(p: dict[str, Any]) -> str:
    parts = [p["variant"]]
    parts += [f"top-1 {p['top1']:.1f} %"] if p["top1"] is not None else []
    parts += [p["other"]] if p["other"] else []
    parts += [f"{p['params_m']:g} M parameters"] if p["params_m"] is not None else []
    parts += [f"{p['madds_m']:g} M multiply-adds"] if p["madds_m"] is not None else []
    return ", ".join(parts) + f", at {p['input']} ({p['source']})"


def listed(name: str) -> dict[str, Any]:
    """A network as published."""
    from pumice.models.catalogue import entry
    from pumice.recipes.names import recipe_of

    return {**entry(name).to_json(), "recipe": recipe_of(name)}


def measured(name: str, pairs: list[str]) -> dict[str, Any]:
    """A network off its published table, or of another library: counted now, and without published figures."""
    from pumice.cli.options import model_options
    from pumice.cost.count import profile
    from pumice.models.create import create_model
    from pumice.models.dense.names import is_dense

    options = model_options(pairs)
    cost = profile(create_model(name, **options))
    own = ":" not in name
    if own:
        record = {**listed(name), "status": "custom", "pretrained": False}
    elif is_dense(name):
        record = on_backbone(name, options)
    else:
        record = {**UNKNOWN, "family": name.partition(":")[0], "status": "external", "pretrained": True}
    return {
        **record,
        "name": name,
        "published": None,
        "deviation": {},
        "input_size": list(cost.input_size),
        "params": cost.params,
        "madds": cost.madds,
        "extra_madds": cost.extra_madds,
        "memory_access": cost.memory_access,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "options": {**record["options"], **options},
    }


def on_backbone(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """What is known of a head on a backbone, HEAD:BACKBONE."""
    from pumice.models.catalogue import entry
    from pumice.models.dense.names import split
    from pumice.recipes.names import recipe_of

    plan, backbone, rest = split(name, options)
    known = None if ":" in backbone else entry(backbone)
    return {
        **UNKNOWN,
        "family": name.partition(":")[0],
        "task": plan.task,
        "status": f"a head on {backbone}",
        "pretrained": known is None or known.pretrained,
        "recipe": recipe_of(name, plan.task),
        "options": {**vars(plan), **({} if known is None else known.options), **rest},
        "note": "--pretrained loads the backbone's weights; the head starts afresh",
    }
