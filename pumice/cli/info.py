"""`pumice info`: everything known about one network.  For our own networks as published it imports no torch."""

from typing import Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Set

UNKNOWN: dict[str, Any] = {"paper": "", "task": "classify", "note": "", "recipe": None, "options": {}}


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A name of `pumice list`, timm:NAME, torchvision:NAME, HEAD:BACKBONE, space:NAME, FILE.json.",
        ),
    ],
    set: Set = None,
    json: Json = False,
) -> None:
    """Everything known about one network."""
    if name.startswith("space:") and not any(pair.startswith("model.choice=") for pair in set or []):
        print_space(name, set or [], json)
        return
    if name.endswith(".json"):
        record = of_file(name, set or [])
    else:
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
        ("found", _found(record.get("search", {}))),
        ("published", _published(published) if published else ""),
        ("weights", "published weights load with --pretrained" if record["pretrained"] else ""),
        ("recipe", f"{record['recipe']}: `pumice train DATA --model {name} --recipe auto`" if record["recipe"] else ""),
        ("options", "  ".join(f"{k}={v}" for k, v in record["options"].items())),
        ("note", record["note"]),
    ]
    show.facts([(k, v) for k, v in lines if v])


def _found(search: dict[str, Any]) -> str:
    """What a search knew of a network, in words."""
    parts = [f"top-1 {show.percent(search['accuracy'])} as the search measured it"] if search.get("accuracy") else []
    if search.get("cost") is not None:
        parts.append(f"{show.count(search['cost'])} {search.get('unit', '')}".rstrip())
    parts += [f"by {search['method']}"] if search.get("method") else []
    parts += [f"trial {search['trial']}"] if search.get("trial") is not None else []
    return ", ".join(parts)


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


def print_space(name: str, pairs: list[str], json: bool) -> None:
    """What a search space lets one choose."""
    from pumice.cli.options import model_options
    from pumice.models.spaces.names import create_space, defaults_of

    space = create_space(name, **(given := model_options(pairs)))
    record: dict[str, Any] = {
        "name": name,
        "positions": [{"name": p.name, "options": list(p.options)} for p in space.positions],
        "size": space.size,
        "input_size": [3, *space.image],
        "num_classes": space.num_classes,
        "options": {**defaults_of(name), **given},
    }
    if json:
        show.emit(record)
        return
    many = f"{space.size:,}" if space.size < 1e9 else f"{float(space.size):.2g}"
    show.table(
        ["", "position", "options, counted from 0"],
        [(str(i), position.name, "  ".join(position.options)) for i, position in enumerate(space.positions)],
    )
    show.facts(
        [
            ("space", f"{name}, {len(space.positions)} positions, {many} networks"),
            ("input", show.shape((3, *space.image))),
            ("options", "  ".join(f"{k}={v}" for k, v in record["options"].items())),
            ("a network", f"`pumice info {name} --set model.choice={'.'.join('0' for _ in space.positions)}`"),
        ]
    )


def of_file(path: str, pairs: list[str]) -> dict[str, Any]:
    """The network of a network file, counted at its own input, and what the search knew of it."""
    from pumice.cli.options import model_options
    from pumice.models.network_file import read_network

    file = read_network(path)
    changed = model_options(pairs)
    record = counted(path, file.model, {**file.options, **changed}, **changed)
    return {**record, "name": path, "model": file.model, "num_classes": file.num_classes, "search": file.search}


def measured(name: str, pairs: list[str]) -> dict[str, Any]:
    """A network off its published table, or of another library: counted now, and without published figures."""
    from pumice.cli.options import model_options

    options = model_options(pairs)
    return counted(name, name, options, **options)


def counted(source: str, name: str, options: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """What is known of the network `name` with these options, which `create_model(source, **arguments)` makes."""
    from pumice.cost.count import profile
    from pumice.models.create import create_model
    from pumice.models.dense.names import is_dense
    from pumice.models.families import options_of
    from pumice.models.spaces.names import canonical

    cost = profile(create_model(source, **arguments))
    own = ":" not in name
    if own:
        record = {**listed(name), "status": "custom", "pretrained": False}
    elif is_dense(name):
        record = on_backbone(name, options)
    elif name.startswith("space:"):
        record = {**UNKNOWN, "family": name, "status": "found", "pretrained": False, "options": options_of(name)}
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
        "options": {**record["options"], **canonical(name, options)},
    }


def on_backbone(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """What is known of a head on a backbone, HEAD:BACKBONE."""
    from pumice.models.catalogue import entry
    from pumice.models.dense.names import split
    from pumice.recipes.names import recipe_of

    plan, backbone, rest = split(name, options)
    known = None if ":" in backbone else entry(backbone)
    pretrained = not backbone.startswith("space:") and (known is None or known.pretrained)
    return {
        **UNKNOWN,
        "family": name.partition(":")[0],
        "task": plan.task,
        "status": f"a head on {backbone}",
        "pretrained": pretrained,
        "recipe": recipe_of(name, plan.task),
        "options": {**vars(plan), **({} if known is None else known.options), **rest},
        "note": "--pretrained loads the backbone's weights; the head starts afresh" if pretrained else "",
    }
