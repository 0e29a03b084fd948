"""The methods of `pumice search` that begin with a network instead of a space."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from pumice.cli import show
from pumice.errors import BadInput, nearest

RECORD = "netadapt.json"


def netadapt(
    model: str | None,
    data: str | None,
    latency: str | None,
    madds: str | None,
    *,
    lut: str | None,
    runtime: str | None,
    img_size: int | None,
    seed: int,
    pairs: list[str],
    out: Path,
    json: bool,
) -> None:
    """Narrow a trained network to a latency or number of multiply-adds.

    Raises:
        BadInput: no network or data, a target that cannot be read, a setting that there is not.
    """
    from pumice.cost.budget import parse_latency
    from pumice.search.netadapt.settings import Settings
    from pumice.search.study.config import read_settings
    from pumice.train.settings import read_overrides

    if model is None or data is None:
        raise BadInput("netadapt narrows a network on images; give --model RUN_OR_NAME and --data DATA")
    settings, others = read_settings(pairs)
    given = settings.pop("method_options", {})
    if settings:
        raise BadInput(
            f"netadapt has no {next(iter(settings)).removesuffix('_options')}; set method.NAME or optim.NAME"
        )
    violations = given.pop("violations", 0.0)
    known = [one.name for one in fields(Settings)]
    for name in given:
        if name not in known:
            raise BadInput(f"netadapt has no setting {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    changes, options, of_task = read_overrides(others)
    if options or of_task:
        raise BadInput(f"--set {others[0]}: the network is as it was trained; set method.NAME or optim.NAME")
    target_ms = None if latency is None else parse_latency(latency, "--target-latency")
    target_madds = None if madds is None else read_share(madds)

    from pumice.search.netadapt import netadapt as search

    result = search(
        model,
        data,
        target_ms=target_ms,
        target_madds=target_madds,
        lut=lut,
        runtime=runtime,
        img_size=img_size,
        settings=Settings.from_json({**given, "training": {**given.get("training", {}), **changes}}),
        seed=seed,
        violations=float(violations),
        out=out,
    )
    told(result, json)


def resumed(out: Path, json: bool) -> None:
    """Go on with the NetAdapt search of a folder."""
    from pumice.search.netadapt import resume

    told(resume(out), json)


def told(result: Any, json: bool) -> None:
    """The end of a NetAdapt search."""
    if json:
        show.emit(result.to_json())
        return
    unit = result.unit
    kept = "kept" if result.within else "NOT kept"
    pairs = [("target", f"{show.count(result.target)} {unit}, {kept}")]
    pairs += [("cost", f"{show.count(result.seed_cost)} -> {show.count(result.cost)} {unit}, predicted")]
    if result.measured_ms is not None and result.seed_ms is not None:
        pairs += [("measured", f"{result.seed_ms:.3g} -> {result.measured_ms:.3g} ms")]
    pairs += [("multiply-adds", f"{result.madds:,}"), ("parameters", f"{result.params:,}")]
    pairs += [("held-out accuracy", f"{show.percent(result.seed_accuracy)} -> {show.percent(result.accuracy)}")]
    pairs += [("top-1", show.percent(result.top1)), ("steps", str(result.steps)), ("run folder", str(result.out))]
    show.facts(pairs)


def read_share(text: str) -> float:
    """`50%` -> 0.5, `60M` -> 60,000,000.

    Raises:
        BadInput: neither.
    """
    from pumice.cost.budget import parse_count

    if text.strip().endswith("%"):
        try:
            share = float(text.strip()[:-1]) / 100
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            raise BadInput(f"--target-madds {text} is no share between 0% and 100%; write 50% or 60M")
        return share
    return float(parse_count(text, "--target-madds"))


def say(line: str) -> None:
    """On standard error."""
    typer.echo(line, err=True)
