"""`pumice search`: a network of a search space for a budget, by the methods of the literature."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Lut, Set, threads_that_sleep
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.search.study.config import SearchConfig
    from pumice.search.study.run import Searched

EPOCHS = 5  # of a short training, as MnasNet's
SHOWN = 12  # lines of the front that the terminal gets


def command(
    method: Annotated[
        str | None,
        typer.Argument(
            metavar="METHOD",
            help="random, evolution, mnasnet, jointnas, dnas or dmasking in a space; netadapt or scaling of a network.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The network that netadapt or scaling begins with.")
    ] = None,
    space: Annotated[str | None, typer.Option(metavar="NAME", help="fbnet, macro, mnasnet, ...")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images to train each network on: digits, or a folder.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="FILE", help="A CSV file that knows every accuracy; nothing is trained.")
    ] = None,
    target_latency: Annotated[str | None, typer.Option(metavar="TIME", help="Of one image: 5ms.")] = None,
    target_madds: Annotated[str | None, typer.Option(metavar="COUNT", help="Multiply-adds: 60M.")] = None,
    target_params: Annotated[str | None, typer.Option(metavar="COUNT", help="Parameters: 2M.")] = None,
    phi: Annotated[str, typer.Option(metavar="A,B", help="Of scaling: cost doubles with each.")] = "1,2,3",
    lut: Lut = None,
    runtime: Annotated[str | None, typer.Option(metavar="NAME", help="Measure latencies here, in this.")] = None,
    reward: Annotated[
        str | None, typer.Option(metavar="NAME", help="piecewise (with a target), soft, or accuracy.")
    ] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", min=1, help="Networks to judge; 100.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of each short training.")] = None,
    img_size: Annotated[int | None, typer.Option(metavar="N", min=1, help="Side of the images, pixels.")] = None,
    early_stop: Annotated[bool, typer.Option("--early-stop", help="End trainings below the median of others.")] = False,
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Begin no trial after so long: 2h.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://USER@HOST/DB for many machines; DIR/study.db.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the study there; DIR's. Equal names join.")
    ] = None,
    retrain: Annotated[int, typer.Option(metavar="N", min=0, help="Train so many of the best at the end.")] = 0,
    retrain_epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Each of them so long.")] = 30,
    seed: Annotated[int, typer.Option(metavar="N", help="Of everything.")] = 0,
    set: Set = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Go on with the search in this folder.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder; runs/search-1, -2, ... by default.")] = None,
    json: Json = False,
) -> None:
    """Search for the network; Ctrl-C leaves a search that `--resume` continues, on any number of machines."""
    threads_that_sleep()
    from pumice.search.study.run import resume as go_on
    from pumice.search.study.run import search
    from pumice.search.study.storage import shown

    if method == "netadapt":
        from pumice.cli.search_networks import netadapt

        if any(
            one is not None for one in (space, table, target_params, reward, trials, epochs, time, workers, storage)
        ):
            raise BadInput("netadapt takes --model, --data, --target-latency or --target-madds, --lut, --runtime, "
                           "--img-size, --seed, --set method.NAME=VALUE and --out")  # fmt: skip
        place = out or show.fresh_folder("search")
        netadapt(
            model,
            data,
            target_latency,
            target_madds,
            lut=lut,
            runtime=runtime,
            img_size=img_size,
            seed=seed,
            pairs=list(set or []),
            out=place,
            json=json,
        )
        return
    if method == "scaling":
        from pumice.cli.search_networks import scaling

        of_spaces = (space, table, target_latency, target_madds, target_params, lut, runtime, reward, trials)
        if any(one is not None for one in (*of_spaces, time, workers, storage)):
            raise BadInput("scaling takes --model, --data, --phi, --epochs, --img-size, --seed, "
                           "--set method.NAME=VALUE and --out")  # fmt: skip
        place = out or show.fresh_folder("search")
        sizes = {"epochs": epochs, "img_size": img_size}
        scaling(model, data, phi, **sizes, seed=seed, pairs=list(set or []), out=place, json=json)
        return
    if resume is not None:
        from pumice.cli.search_networks import resumed

        if resumed(resume, json):
            return
    extent = {"trials": trials, "workers": workers, "time_s": seconds(time)}
    extent = {k: v for k, v in extent.items() if v is not None}
    if resume is not None:
        given = (method, space, data, table, target_latency, target_madds, target_params, lut, runtime, reward)
        if (
            any(one is not None for one in (*given, epochs, img_size, name, out))
            or early_stop
            or retrain
            or seed
            or set
        ):
            raise BadInput("a search is resumed as it was begun; give --resume DIR, and --trials, --workers, --time or "
                           "--storage")  # fmt: skip
        result = go_on(resume, say, url=storage, **extent)
    else:
        if model is not None:
            raise BadInput("--model is of netadapt and scaling; the other methods search a --space")
        if method is None or space is None:
            raise BadInput("nothing to search; write `pumice search METHOD --space NAME --data DATA`, or --resume DIR")
        fields: dict[str, Any] = {
            "table": table,
            "lut": lut,
            "runtime": runtime,
            "reward": reward,
            "early_stop": early_stop,
        }
        fields |= {"seed": seed, "name": name, "retrain": retrain, "retrain_epochs": retrain_epochs, **extent}
        fields |= {"storage": None if storage is None else shown(storage)}
        fields |= target(target_latency, target_madds, target_params)
        config = configured(method, space, fields, training(data, epochs, img_size), list(set or []))
        result = search(config, out or show.fresh_folder("search"), say, url=storage)
    from pumice.cli.search_retrain import retrained

    trained = retrained(result)
    if json:
        show.emit({**summary(result), "retrained": trained})
    else:
        told(result, trained)


def say(line: str) -> None:
    """One trial, on standard error: standard output has the table alone."""
    typer.echo(line, err=True)


def seconds(text: str | None) -> float | None:
    """`2h` -> 7200."""
    from pumice.cost.budget import parse_time

    return None if text is None else parse_time(text, "--time")


def target(latency: str | None, madds: str | None, params: str | None) -> dict[str, Any]:
    """The target as fields of the configuration.

    Raises:
        BadInput: several targets, or one that cannot be read.
    """
    from pumice.cost.budget import parse_count, parse_latency

    if sum(one is not None for one in (latency, madds, params)) > 1:
        raise BadInput("a search has one target; give one of --target-latency, --target-madds and --target-params")
    if latency is not None:
        return {"cost": "latency", "target": parse_latency(latency, "--target-latency")}
    if params is not None:
        return {"cost": "params", "target": float(parse_count(params, "--target-params"))}
    return {} if madds is None else {"cost": "madds", "target": float(parse_count(madds, "--target-madds"))}


def training(data: str | None, epochs: int | None, img_size: int | None) -> dict[str, Any]:
    """What the options say of the short trainings.

    Raises:
        BadInput: they say something, and there are no images.
    """
    if data is None and (epochs is not None or img_size is not None):
        raise BadInput("--epochs and --img-size are of trainings on images; give --data")
    sizes = {} if img_size is None else {"img_size": img_size}
    return {} if data is None else {"data": data, "epochs": EPOCHS if epochs is None else epochs, **sizes}


def configured(
    method: str, space: str, fields: dict[str, Any], trained: dict[str, Any], pairs: list[str]
) -> "SearchConfig":
    """The configuration of these options.

    Raises:
        BadInput: an unknown method, or a value that cannot be.
    """
    from pumice.recipes.small_data import classify
    from pumice.search.study.config import SearchConfig, read_settings
    from pumice.search.study.methods import check_method

    check_method(method)
    fields = {k: v for k, v in fields.items() if v is not None}
    if "target" not in fields and (fields.get("lut") or fields.get("runtime")):
        fields["cost"] = "latency"
    settings, others = read_settings(pairs)
    whole: dict[str, Any] = {"method": method, "space": space, **fields, **settings}
    if trained:
        small = classify(trained.pop("data"), f"space:{space}", **trained)
        whole["training"] = small.with_overrides(others).to_json()
    elif others:
        raise BadInput(f"--set {others[0]} is about trainings on images; give --data")
    return SearchConfig(**whole)


def amount(cost: float | None) -> str:
    """A cost: counts as 1.23 M, times as 1.23."""
    return show.count(cost) if cost is None or cost >= 1000 else f"{cost:.3g}"


def summary(result: "Searched") -> dict[str, Any]:
    """For machines."""

    def one(trial: Any) -> dict[str, Any]:
        return {**trial.__dict__, "choice": list(trial.choice), "words": result.words[trial.number]}

    return {
        "out": str(result.out),
        "method": result.config.method,
        "space": result.config.space,
        "trials": len(result.judged),
        "finished": result.finished,
        "unit": result.unit,
        "target": result.config.target,
        "best": None if result.best is None else one(result.best),
        "file": None if result.best is None else str(result.out / "best.json"),
        "pareto": [one(trial) for trial in result.front],
    }


def told(result: "Searched", trained: list[dict[str, Any]]) -> None:
    """For people: the best and the front."""
    best, unit = result.best, result.unit
    tops = {one["trial"]: one["top1"] for one in trained}
    columns = [">trial", ">accuracy", f">{unit or 'cost'}", *([">retrained"] if tops else []), "choice"]
    shown = {trial.number: trial for trial in list(result.front)[-SHOWN:]}
    shown |= {trial.number: trial for trial in (one.trial for one in result.judged) if trial.number in tops}
    front = sorted(shown.values(), key=lambda trial: (trial.cost or 0.0, trial.number))
    show.table(
        columns,
        (
            (
                f"{trial.number}{'*' if best is not None and trial.number == best.number else ''}",
                show.percent(trial.accuracy),
                amount(trial.cost),
                *([show.percent(tops.get(trial.number))] if tops else []),
                ".".join(map(str, trial.choice)),
            )
            for trial in front
        ),
    )
    typer.echo("")
    if best is None:
        pairs = [("best", f"no trial keeps the target of {amount(result.config.target)} {unit}")]
    else:
        words = ", ".join(f"{k} {v}" for k, v in result.words[best.number].items())
        pairs = [("best (*)", f"trial {best.number}: {show.percent(best.accuracy)}"), ("that is", words)]
        pairs += [("network file", str(result.out / "best.json"))]
    left = "" if result.finished else f" of {result.config.trials}; go on with `pumice search --resume {result.out}`"
    show.facts([*pairs, ("trials", f"{len(result.judged)}{left}"), ("look", f"pumice report {result.out}")])
