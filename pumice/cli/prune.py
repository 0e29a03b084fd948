"""`pumice prune`: a network without its least important channels, as small or as fast as asked for."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pumice.cli import show
from pumice.cli.options import Json, Lut, OwnThreads, Pretrained, Set, threads_that_sleep
from pumice.cli.train import check_name
from pumice.cli.val import OWN, run_config
from pumice.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from pumice.models.manifest import Manifest
    from pumice.search.prune.tune import Tuning

KEPT = ("seed", "val_fraction", "strict")  # of the run's own data, with `OWN`


def command(
    source: Annotated[str, typer.Argument(metavar="RUN_OR_NAME", help="A run folder, a checkpoint or a name.")],
    data: Annotated[str | None, typer.Option("--data", metavar="DATA", help="Images to judge and tune by.")] = None,
    target_madds: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Multiply-adds that remain, at most: 50% or 20M.")
    ] = None,
    target_latency: Annotated[str | None, typer.Option(metavar="TIME", help="Of one image, at most: 3ms.")] = None,
    importance: Annotated[str, typer.Option(metavar="NAME", help="l1, l2, bn or taylor.")] = "l2",
    ranking: Annotated[str, typer.Option(metavar="NAME", help="uniform or global.")] = "uniform",
    policy: Annotated[str, typer.Option(metavar="NAME", help="one_shot or iterative.")] = "one_shot",
    epochs: Annotated[int | None, typer.Option(metavar="N", min=0, help="Of tuning; 0 leaves the weights.")] = None,
    round_: Annotated[int, typer.Option("--round", metavar="N", min=1, help="Widths are multiples of it.")] = 8,
    runtime: Annotated[str | None, typer.Option(metavar="NAME", help="That the latency is for.")] = None,
    threads: OwnThreads = None,
    lut: Lut = None,
    pretrained: Pretrained = False,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of a name.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the split, the images' order and weights.")] = None,
    set: Set = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder; runs/prune-1, -2, ... by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Cut channels until a target is kept, and tune what is left; without data, by the weights alone, untuned."""
    from pumice.search.prune.target import read_target

    started = time.perf_counter()
    target = read_target(target_madds, target_latency)
    if lut is not None and target.latency_ms is None:
        raise BadInput("a lookup table tells latencies; give --target-latency 3ms with --lut")
    is_file = Path(source).exists() or "/" in source
    if not is_file:
        check_name(source)
    elif pretrained or weights is not None:
        raise BadInput(f"{source} has weights of its own; leave out --pretrained and --weights")
    threads_that_sleep()
    model, manifest = opened(source, pretrained, weights, seed or 0)

    from pumice.models.described import config_of, describe
    from pumice.search.prune.prune import prune
    from pumice.search.prune.record import Folder

    tuning = trained = None
    if data is not None:
        settings: dict[str, Any] = {"weights": source if is_file else weights, "pretrained": pretrained}
        model, manifest, tuning, trained = tuned_by(model, manifest, data, source, settings, epochs, seed, set)
    elif set or epochs is not None:
        raise BadInput("there is nothing to tune with; give --data, or leave out --epochs and --set")
    describe(model, preprocess=manifest.preprocess)
    asked = {
        "source": source,
        "model": manifest.model.name,
        "task": manifest.task,
        **{"target_madds": target_madds, "target_latency": target_latency, "importance": importance},
        **{"ranking": ranking, "policy": policy, "round": round_, "runtime": runtime, "threads": threads, "lut": lut},
        **{"pretrained": pretrained, "weights": weights},
        **({} if tuning is None else {"data": data, "epochs": tuning.length, "tuning": tuning.config.to_json()}),
        **({} if tuning is None else {name: getattr(tuning.config, name) for name in (*KEPT, *OWN)}),
    }
    folder = Folder(out or show.fresh_folder("prune"), asked)
    try:
        net, result = prune(
            model,
            target_madds=target_madds,
            target_latency=target_latency,
            input_size=manifest.input_size,
            importance=importance,  # type: ignore[arg-type]
            ranking=ranking,  # type: ignore[arg-type]
            policy=policy,  # type: ignore[arg-type]
            round_to=round_,
            tuning=tuning,
            runtime=runtime,
            threads=threads,
            lut=lut,
            trained=bool(trained),
            say=lambda sentence: typer.echo(sentence, err=True),
        )
        assert config_of(net) is not None
        folder.write(net, manifest, target, result, tuning, time.perf_counter() - started)
    except BaseException:
        folder.give_up()
        raise
    from pumice.report.tables import write_card

    write_card(folder.out)
    if json:
        listed = {k: v for k, v in result.to_json().items() if k not in ("groups", "kept")}
        show.emit({"out": str(folder.out), **listed})
        return
    before, after = result.madds_before, result.madds_after
    tops = (result.accuracy_before, result.accuracy_after)
    show.facts(
        [
            ("multiply-adds", f"{before:,} -> {after:,} ({after / before:.1%})"),
            ("parameters", f"{result.params_before:,} -> {result.params_after:,}"),
            *([("top-1", " -> ".join(map(show.percent, tops)))] if tuning is not None else []),
            *(
                [("latency", f"{result.latency_before.bound_words} -> {result.latency_after.bound_words}")]
                if result.latency_before is not None and result.latency_after is not None
                else []
            ),
            ("against the masked network", f"{result.max_rel_diff_masked:.1e} of the largest output"),
            ("look at", str(folder.out)),
        ]
    )


def opened(source: str, pretrained: bool, weights: str | None, seed: int) -> "tuple[nn.Module, Manifest]":
    """The network and its record; a name without weights gives the same random ones for the same seed.

    Raises:
        BadInput: there is no such network, or the weights are not of it.
    """
    import torch

    from pumice.models.checkpoint import manifest_of
    from pumice.models.source import load_source

    torch.manual_seed(seed)
    if weights is None:
        return load_source(source, pretrained=pretrained)
    if pretrained:
        raise BadInput("pretrained weights and a weights file exclude each other; give one of them")
    from pumice.models.checkpoint import read_manifest
    from pumice.train.net import with_weights

    path = Path(weights)
    made = read_manifest(path) if path.suffix == ".safetensors" else None
    model = with_weights(source, path, {} if made is None else made.model.options).eval()
    manifest = manifest_of(model)
    return model, manifest if made is None else replace(manifest, classes=made.classes)


def tuned_by(
    model: "nn.Module",
    manifest: "Manifest",
    data: str,
    source: str,
    settings: dict[str, Any],
    epochs: int | None,
    seed: int | None,
    pairs: list[str] | None,
) -> "tuple[nn.Module, Manifest, Tuning, bool]":
    """The network with a head for the data's classes, its record, images and training, and whether it knows them.

    Raises:
        BadInput: a network for another task, data of other classes than those of a run, a setting that is impossible.
    """
    from pumice.data.changes import changed_classes
    from pumice.models.build import reset_classes
    from pumice.models.checkpoint import manifest_of
    from pumice.models.described import describe
    from pumice.recipes.small_data import classify
    from pumice.search.prune.tune import Tuning
    from pumice.train.net import fed
    from pumice.train.open import open_for

    manifest.needs_classifier("pruning tunes classifiers; leave out --data, then train it with --weights")
    own = run_config(source)
    kept = {name: own[name] for name in (*KEPT, *OWN) if name in own} if own.get("data") == data else {}
    given = {"seed": seed, "epochs": epochs or None}
    changes = {**settings, **kept, **{name: value for name, value in given.items() if value is not None}}
    config = classify(data, manifest.model.name, model_options=manifest.model.options, **changes)
    config = config.with_overrides(list(pairs or []))
    splits = open_for(config)
    show.skipped(splits)
    manifest = replace(manifest, preprocess=fed(config, manifest.preprocess))
    describe(model, preprocess=manifest.preprocess)
    trained = manifest.classes == splits.classes
    if not trained:
        if Path(source).exists() and manifest.classes:
            raise BadInput(changed_classes(splits.classes, manifest.classes, data, source) or "other classes")
        model = reset_classes(model, len(splits.classes))
        manifest = replace(manifest_of(model), classes=splits.classes, preprocess=manifest.preprocess)
    return model, manifest, Tuning(splits, config, epochs), trained
