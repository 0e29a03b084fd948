"""The methods of `pumice search` that begin with a network instead of a space."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from pumice.cli import show
from pumice.errors import BadInput, nearest
from pumice.files import read_json, write_json
from pumice.values import checked

GRID: dict[str, Any] = {"step": float, "most": float, "tolerance": float, "holdout": float, "images": int}
"""Settings of scaling."""


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
    from pumice.search.netadapt.settings import Settings
    from pumice.search.prune.target import read_target
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
    target = read_target(madds, latency)

    from pumice.search.netadapt import netadapt as search

    result = search(
        model,
        data,
        target_ms=target.latency_ms,
        target_madds=target.share if target.madds is None else target.madds,
        lut=lut,
        runtime=runtime,
        img_size=img_size,
        settings=Settings.from_json({**given, "training": {**given.get("training", {}), **changes}}),
        seed=seed,
        violations=float(violations),
        out=out,
    )
    told(result, json)


def resumed(out: Path, json: bool) -> bool:
    """Go on with the search of a folder, if it is one of these methods."""
    if (out / "netadapt.json").is_file():
        from pumice.search.netadapt import resume

        told(resume(out), json)
        return True
    if (out / "config.json").is_file():
        config = read_json(out / "config.json")
        if isinstance(config, dict) and config.get("method") == "scaling":
            scale(out, json)
            return True
    return False


def scaling(
    model: str | None,
    data: str | None,
    phi: str,
    *,
    epochs: int | None,
    img_size: int | None,
    seed: int,
    pairs: list[str],
    out: Path,
    json: bool,
) -> None:
    """Search how depth, width and side grow together, and scale a network by it.

    Raises:
        BadInput: no network or data, a setting that there is not, or a folder that holds something else.
    """
    from pumice.recipes.small_data import classify
    from pumice.search.study.config import read_settings

    if model is None or data is None:
        raise BadInput("scaling tries one network at several sizes on images; give --model NAME and --data DATA")
    settings, others = read_settings(pairs)
    given = {**settings.pop("method_options", {}), **settings.pop("proxy_options", {})}
    if settings:
        raise BadInput(f"scaling has no {next(iter(settings)).removesuffix('_options')}; set method.NAME or optim.NAME")
    for name in given:
        if name not in GRID:
            raise BadInput(f"scaling has no setting {name!r}{nearest(name, list(GRID))}; it has {', '.join(GRID)}")
    sizes: dict[str, Any] = {} if img_size is None else {"img_size": img_size}
    config = classify(data, model, epochs=epochs or 5, **sizes).with_overrides(others)
    asked = {"phi": read_phi(phi), "seed": seed, **{name: checked(name, given[name], GRID[name]) for name in given}}
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadInput(f"{out} is not empty; choose another --out, or go on with `pumice search --resume {out}`")
    write_json(out / "config.json", {"method": "scaling", **asked, "training": config.to_json()})
    try:
        scale(out, json)
    except BadInput:
        if {one.name for one in out.iterdir()} == {"config.json"}:
            (out / "config.json").unlink()
            out.rmdir()
        raise


def scale(out: Path, json: bool) -> None:
    """Begin or go on with the scaling of a folder."""
    from pumice.search.scaling import scaling as search
    from pumice.train.config import TrainConfig

    asked = dict(read_json(out / "config.json"))
    asked.pop("method")
    config = TrainConfig.from_json(asked.pop("training"))
    record = search(config.model, config, out=out, said=say, **asked)
    if json:
        show.emit({**record, "out": str(out)})
        return
    best = record["best"]
    show.table(
        [">phi", ">depth", ">width", ">side", ">MAdds", ">growth", ">asked", ">params", "network file"],
        (
            (
                *(f"{row['phi']:g}", f"{row['depth']:.3g}", f"{row['width']:.3g}", str(row["side"])),
                *(show.count(row["madds"]), f"{row['growth']:.2f}", f"{row['asked']:.2f}", show.count(row["params"])),
                str(out / f"phi-{row['phi']:g}.json"),
            )
            for row in record["scaled"]
        ),
    )
    typer.echo("")
    show.facts([("alpha, beta, gamma", ", ".join(f"{best[one]:g}" for one in ("alpha", "beta", "gamma")))])


def read_phi(text: str) -> list[float]:
    """`1,2,3` -> [1, 2, 3].

    Raises:
        BadInput: anything but numbers from 0 on.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= one <= 20 for one in found):
        raise BadInput(f"--phi {text!r} is no list of numbers from 0 to 20; write 1,2,3")
    return found


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


def say(line: str) -> None:
    """On standard error."""
    typer.echo(line, err=True)
