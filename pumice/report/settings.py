"""A run's settings: in words, which of them differ between runs, which runs differ in nothing but their seed."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pumice.report.fields import Record, mapping, number, text
from pumice.report.html import flatten
from pumice.report.records import RunRecords
from pumice.report.units import NOTHING, percent, plain

IN_THE_TABLE = ("data", "model", "seed", "epochs", "img_size", "recipe", "published", "verb")
"""Settings that a comparison has a column for anyway."""
OPTIMISERS = {"adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}
PROGRAM = ("pumice", "main.py", "__main__.py")


def in_words(config: Record) -> str:
    """How a network was trained, in a few sentences; "" where the settings are not those of a training run."""
    if text(config, "optimizer") is None or number(config, "epochs") is None:
        return ""
    sentences = [_start(config), _length(config), _optimiser(config), _images(config), _against_overfitting(config)]
    return " ".join(f"{one[:1].upper()}{one[1:]}." for one in sentences if one)


def _start(c: Record) -> str:
    weights = text(c, "weights") or ("published weights" if c.get("pretrained") else "random weights")
    frozen = {"none": "", "backbone": ", the last layer alone"}.get(str(c.get("freeze", "none")))
    frozen = f", the last layer alone for {c['freeze']} epochs" if frozen is None else frozen
    recipe = text(c, "recipe")
    return f"trained from {weights}{frozen}" + (f", by the recipe {recipe}" if recipe else "")


def _length(c: Record) -> str:
    size = c.get("img_size")
    sides = size if isinstance(size, list) else [size] if size else []
    at = f" at {' x '.join(str(side) for side in sides)} pixels" if sides else ""
    limit = number(c, "time_limit_s")
    ended = f", ended after {limit:g} s" if limit else ""
    return (
        f"{number(c, 'epochs'):g} epochs in batches of {_number(c, 'batch_size')}{at}{ended}; seed {_number(c, 'seed')}"
    )


def _optimiser(c: Record) -> str:
    schedule = {
        "cosine": f"falling as a cosine to {percent(number(c, 'final_lr'))} of it",
        "step": f"times {_number(c, 'decay_rate')} every {_number(c, 'decay_epochs')} epochs",
        "constant": "constant",
    }.get(str(c.get("schedule")), f"{c.get('schedule', NOTHING)} schedule")
    warm = number(c, "warmup_epochs")
    parts = [
        f"{OPTIMISERS.get(str(c['optimizer']), c['optimizer'])} with a learning rate of {_number(c, 'lr')}, {schedule}",
        f"after {plain(warm)} epochs of warm-up" if warm else "",
        f"weight decay {_number(c, 'weight_decay')}" if number(c, "weight_decay") else "no weight decay",
        f"gradients clipped to norm {_number(c, 'grad_clip')}" if number(c, "grad_clip") else "",
        f"precision {c['precision']}" if c.get("precision", "32") != "32" else "",
    ]
    return ", ".join(part for part in parts if part)


def _images(c: Record) -> str:
    if text(c, "task") not in (None, "classify"):
        given = [f"{name} {value}" for name, value in flatten(mapping(c.get("task_options")))]
        return f"options of the task: {', '.join(given) if given else 'its own'}"
    low, high = c.get("rrc_scale") or (None, None)
    parts = [
        f"crops of {100 * low:.0f} to {100 * high:.0f} % of the image" if low is not None and high is not None else "",
        f"mirrored with chance {_number(c, 'hflip')}" if number(c, "hflip") else "not mirrored",
        f"colour jitter {_number(c, 'color_jitter')}" if number(c, "color_jitter") else "",
        f"policy {c['auto_augment']}" if text(c, "auto_augment") else "",
        f"parts erased with chance {_number(c, 're_prob')}" if number(c, "re_prob") else "",
        f"mixup {_number(c, 'mixup')}" if number(c, "mixup") else "",
    ]
    return "training images: " + ", ".join(part for part in parts if part)


def _against_overfitting(c: Record) -> str:
    parts = [
        f"label smoothing {_number(c, 'label_smoothing')}" if number(c, "label_smoothing") else "",
        f"dropout {_number(c, 'drop_rate')}" if number(c, "drop_rate") else "",
        f"stochastic depth {_number(c, 'drop_path_rate')}" if number(c, "drop_path_rate") else "",
        f"a moving average of the weights, decay {_number(c, 'ema_decay')}" if number(c, "ema_decay") else "",
    ]
    return ", ".join(part for part in parts if part)


def _number(config: Record, key: str) -> str:
    value = number(config, key)
    return NOTHING if value is None else plain(value)


def command_line(environment: Record) -> str | None:
    """The command that made the run, for a shell; None where it was no command of Pumice."""
    words = environment.get("command")
    if not isinstance(words, list) or len(words) < 2 or words[0] not in PROGRAM:
        return None
    return shlex.join(["pumice", *(str(word) for word in words[1:])])


def differing(runs: Sequence[RunRecords]) -> list[tuple[str, list[str]]]:
    """The settings that every run has and that are not the same in all: name, value of each run.

    A setting that an older run knows nothing of is no difference.
    """
    if len(runs) < 2:
        return []
    shared = [key for key in runs[0].config if all(key in run.config for run in runs) and key not in IN_THE_TABLE]
    flat = [dict(flatten({key: run.config[key] for key in shared})) for run in runs]
    seen = dict.fromkeys(name for one in flat for name in one)
    names = sorted(seen, key=lambda name: shared.index(name.partition(".")[0]))
    rows = [(name, [one.get(name, NOTHING) for one in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def alike(named: Sequence[tuple[str, RunRecords]]) -> list[list[tuple[str, RunRecords]]]:
    """The runs in groups that differ in nothing but their seed, in order of their first members.

    A run without settings and one that is not finished are alone; so are those of a `fit` that chose another network.
    """
    groups: dict[Any, list[tuple[str, RunRecords]]] = {}
    for place, (name, run) in enumerate(named):
        key = (_without_seed(run.config), run.model, run.input_size) if run.config and run.finished else place
        groups.setdefault(key, []).append((name, run))
    return list(groups.values())


def _without_seed(config: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in config.items() if key != "seed"}, sort_keys=True)
