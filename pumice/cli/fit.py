"""`pumice fit`: images and a budget in; a trained, measured, verified model file out."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pumice.cli import show
from pumice.cli.options import Json, Lut, On, OwnThreads, Pretrained, Set, threads_that_sleep, words
from pumice.errors import BadInput


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="digits, a folder of images, hf:NAME or wds:PATTERN.")],
    task: Annotated[str, typer.Option(metavar="NAME", help="classify, detect, segment or keypoints.")] = "classify",
    max_latency: Annotated[str | None, typer.Option(metavar="TIME", help="Of one image: 2ms.")] = None,
    max_madds: Annotated[str | None, typer.Option(metavar="COUNT", help="Multiply-adds: 20M.")] = None,
    max_params: Annotated[str | None, typer.Option(metavar="COUNT", help="Parameters: 2M.")] = None,
    max_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Of the file: 3MB.")] = None,
    max_memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Peak of the activations: 4MB.")] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="onnxruntime, openvino, native or auto.")] = "auto",
    threads: OwnThreads = None,
    on: On = None,
    lut: Lut = None,
    time: Annotated[str, typer.Option(metavar="TIME", help="For everything: 10m.")] = "10m",
    pretrained: Pretrained = False,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Start from this weights file.")] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train the classifier only.")] = False,
    models: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Names or patterns that take part, with commas.")
    ] = None,
    set: Set = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split, the images' order and the weights.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at an image that cannot be read.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder; runs/fit-1, -2, ... by default.")] = None,
    json: Json = False,
) -> None:
    """Choose, train, export, verify and measure a network for these images within this budget."""
    threads_that_sleep()
    from pumice.cost.budget import Budget, parse_count, parse_latency, parse_size, parse_time
    from pumice.cost.timing import PREDICTED
    from pumice.loop.config import FitConfig
    from pumice.loop.fit import run
    from pumice.loop.where import own_threads
    from pumice.tasks.names import CLASSIFY, TaskName, task_class

    budget = Budget(
        max_latency_ms=None if max_latency is None else parse_latency(max_latency, "--max-latency"),
        max_madds=None if max_madds is None else parse_count(max_madds, "--max-madds"),
        max_params=None if max_params is None else parse_count(max_params, "--max-params"),
        max_size_bytes=None if max_size is None else parse_size(max_size, "--max-size"),
        max_memory_bytes=None if max_memory is None else parse_size(max_memory, "--max-memory"),
    )
    of_task = read_task_options(set)
    if task != CLASSIFY:
        task_class(task)  # refuses an unknown one
    elif of_task:
        raise BadInput(f"task.{next(iter(of_task))} is an option of dense tasks; leave it out")
    config = FitConfig(
        data=data,
        task=cast(TaskName, task),
        task_options=of_task,
        budget=budget,
        runtime=runtime,
        threads=own_threads(threads, lut),
        on=on,
        lut=lut,
        time_s=parse_time(time, "--time"),
        seed=seed,
        pretrained=pretrained,
        weights=weights,
        models=tuple(words(models)),
        freeze=freeze,
        strict=strict,
    )
    result = run(config, out or show.fresh_folder("fit"), lambda sentence: typer.echo(sentence, err=True))
    if json:
        show.emit(result.to_json())
        return
    basis = PREDICTED if result.predicted else f"{result.clock} time, upper 95 % bound of the median"
    show.facts(
        [
            ("model file", str(result.file)),
            (
                "network",
                f"{result.model} at {show.shape(result.input_size)} in {result.runtime}, {config.threads} thread(s)",
            ),
            ("top-1", show.percent(result.top1)) if task == CLASSIFY else ("scores", result.said),
            ("latency", f"at most {result.bound_ms:.3g} ms ({basis})"),
            ("took", f"{result.seconds:.0f} s"),
            ("look at", str(result.out / "report.html")),
        ]
    )


def read_task_options(pairs: list[str] | None) -> dict[str, Any]:
    """`["task.hflip=0"]` -> {"hflip": 0}.

    Raises:
        BadInput: another section than `task`, or no `=`.
    """
    from pumice.values import read_value

    options = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.startswith("task."):
            raise BadInput(f"--set {pair!r} cannot be read; of a fit only the task is set, --set task.hflip=0")
        options[key.removeprefix("task.")] = read_value(value)
    return options
