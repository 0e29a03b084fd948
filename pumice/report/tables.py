"""The model card: what a file is, how good, how fast and under what conditions, and how to use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumice.cost.timing import PREDICTED
from pumice.files import write_text
from pumice.report import dense, snippets
from pumice.report.fields import Record, mapping, number, objects, text
from pumice.report.html import flatten
from pumice.report.limits import by_recall, limits
from pumice.report.reading import read_run
from pumice.report.records import RunRecords
from pumice.report.sections import condensed, cropped
from pumice.report.settings import command_line, in_words
from pumice.report.units import NOTHING, count, image_size, milliseconds, percent, plain, seconds, size
from pumice.report.verdict import conditions, images_words, limit_text

CODE_ONLY = (
    "The network's code is Pumice's, under the Apache License 2.0. The weights were trained on your images: "
    "what you may do with them is decided by the terms of those images"
)
MOST_CLASSES = 20  # that the card has a line for


def card(run: RunRecords, loading: str | None = None) -> str:
    """The model card of a run in Markdown.  A part without records is left out.

    loading: how to load the model where the card does not lie beside the run's own files, which it then does not name.
    """
    alone = loading is not None
    title = f"{run.title}" + (f" at {image_size(run.input_size)}" if run.input_size else "")
    parts = [
        f"# {_line(title)}",
        _use(run),
        _part("Numbers", _numbers(run, alone)),
        _part("Budget", _budget(run)),
        _part("Pruning", _pruning(run)),
        _part("How to load it", loading if loading is not None else _loading(run)),
        _part("Input", _input(run)),
        _part("Classes", _classes(run.classes)),
        _part("Accuracy by class", _by_class(run)),
        _part("Limits", "\n".join(f"- {_line(one)}" for one in limits(run))),
        _part("How it was trained", _line(in_words(run.config))),
        _part("How to make it again", _again(run, alone)),
        _part("Verification", _verification(run.verify)),
        _part("Where the network comes from", _provenance(run)),
        _part("Licence", _licence(run)),
        _part("Machine and versions", _pairs(flatten(dict(run.environment)))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card(folder: str | Path, name: str = "README.md") -> Path:
    """Write the card of a run into its folder.

    Raises:
        BadInput: see `read_run`.
    """
    write_text(Path(folder) / name, card(read_run(folder)))
    return Path(folder) / name


def _part(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _use(run: RunRecords) -> str:
    what = f"An image classifier of {len(run.classes)} classes" if run.classes else "An image classifier"
    what = dense.use(run) if run.dense else what
    data = f", trained on `{_line(run.data)}`" if run.data else ""
    split = f" ({images_words(run)})" if run.images else ""
    took = f" It took {seconds(number(run.metrics, 'seconds'))}." if number(run.metrics, "seconds") else ""
    return f"{what}{data}{split}, made by Pumice.{took}"


def _numbers(run: RunRecords, alone: bool) -> str:
    loss, images = number(run.scores, "loss"), number(run.scores, "count")
    on = f"validation images: {images:,.0f}" if images else "validation images"
    rows = [
        ("top-1 accuracy", percent(run.top1), on),
        ("top-5 accuracy", percent(number(run.scores, "top5")), on),
        ("balanced accuracy", percent(number(run.scores, "balanced_accuracy")), on),
        ("cross-entropy", NOTHING if loss is None else f"{plain(loss)} nats", on),
        *((name, percent(value), on) for name, value in (dense.figures_of(run) if run.dense else ())),
        *_latency(run),
        ("parameters", _exact(run.params), ""),
        ("multiply-adds", _exact(run.madds), f"per image of {image_size(run.input_size)}"),
        (
            "extra multiply-adds",
            _exact(number(run.profile, "extra_madds") or None),
            "dynamic terms, not in the line above",
        ),
        ("memory access", _exact(number(run.profile, "memory_access")), "elements read and written per image"),
        ("peak activation memory", size(number(run.profile, "peak_activation_bytes")), "float32, by liveness"),
        ("file", NOTHING if alone else size(run.file_bytes), run.file or ""),
    ]
    shown = [row for row in rows if row[1] != NOTHING]
    machine = text(run.benchmark, "machine")
    verb = f"**Latency is {PREDICTED}**, by a lookup table of" if run.predicted else "Measured on"
    notes = [f"{verb}: {_line(machine)}." if machine else ""]
    notes.append(condensed(run))
    if run.benchmark.get("busy"):
        notes.append("**The machine was busy during the measurement**, so the latency is an upper estimate.")
    table = _table(("", "value", "conditions"), shown) if shown else ""
    return "\n\n".join(part for part in (table, *notes) if part)


def _latency(run: RunRecords) -> list[tuple[str, str, str]]:
    p50, (low, high) = number(run.benchmark, "p50_ms"), run.benchmark.get("ci95") or (None, None)
    where, interval = conditions(run.benchmark), f"{milliseconds(low)} to {milliseconds(high)}"
    if run.predicted:
        # A table says one figure, nothing of single passes or of the processor.
        return [("latency", milliseconds(p50), f"{where}; 95 % interval of the prediction {interval}")]
    return [
        ("latency p50", milliseconds(p50), f"{where}; 95 % interval of the p50 {interval}"),
        ("latency p90", milliseconds(number(run.benchmark, "p90_ms")), "the same"),
        ("process CPU time p50", milliseconds(number(run.benchmark, "cpu_p50_ms")), "the same"),
    ]


def _exact(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}" + (f" ({count(value)})" if value >= 1e4 else "")


def _budget(run: RunRecords) -> str:
    answer = {True: "**Within budget: yes.**", False: "**Within budget: no.**", None: ""}[run.within_budget]
    rows = [(*limit_text(limit), "yes" if limit.ok else "no", limit.how) for limit in run.limits]
    return f"{answer}\n\n" + _table(("", "limit", "figure", "within", "what is compared"), rows) if rows else ""


def _pruning(run: RunRecords) -> str:
    """What it was cut from, of a run of `pumice prune`."""
    done = mapping(run.metrics.get("pruned"))
    before, after, top1 = (number(done, key) for key in ("madds_before", "madds_after", "accuracy_before"))
    if before is None or after is None:
        return ""
    asked = text(run.config, "target_latency") or text(run.config, "target_madds")
    parts = [
        f"Channels were cut: of {_exact(before)} multiply-adds {percent(after / before)} remain; asked for: {asked}.",
        f"Importance: {text(run.config, 'importance')}, {text(run.config, 'ranking')}, {text(run.config, 'policy')}; "
        f"widths are multiples of {_exact(number(run.config, 'round'))} where there is room.",
        "" if top1 is None else f"Before, top-1 was {percent(top1)}.",
        "Which channels stay is in prune.json.",
    ]
    return " ".join(part for part in parts if part)


def _loading(run: RunRecords) -> str:
    if not run.file:
        return ""
    bare = snippets.with_onnxruntime(run)
    text_ = f"With Pumice:\n\n```python\n{snippets.with_pumice(run)}```"
    text_ += f"\n\nOn the command line, in this folder:\n\n```console\n{snippets.commands(run, '$ ')}```"
    return text_ + (f"\n\nWith ONNX Runtime, numpy and Pillow only:\n\n```python\n{bare}```" if bare else "")


def _input(run: RunRecords) -> str:
    p = run.preprocess
    if not p.get("size"):
        return ""
    rows = [
        ("size", "×".join(str(side) for side in p["size"]) + " pixels (height × width)"),
        ("crop", cropped(p)),
        ("interpolation", str(p.get("interpolation", NOTHING))),
        ("channels", f"{p.get('channels', 'RGB')}, planes first, batch of one: (1, C, H, W) float32"),
        ("scaling", "pixels / 255, minus the mean, divided by std"),
        ("mean", ", ".join(plain(v) for v in p.get("mean") or ())),
        ("std", ", ".join(plain(v) for v in p.get("std") or ())),
    ]
    return _table(("", ""), rows)


def _classes(names: Sequence[str]) -> str:
    return (
        "In the order of the outputs:\n\n" + "\n".join(f"{i}. {_line(n)}" for i, n in enumerate(names)) if names else ""
    )


def _by_class(run: RunRecords) -> str:
    """All classes, or of many the worst and the best."""
    if run.dense:
        head, rows = dense.class_cells(run)
        return _table(head, rows) if rows else ""
    recorded = objects(run.scores.get("per_class"))
    if len(recorded) <= MOST_CLASSES:
        return _class_rows(recorded)
    ranked, some = by_recall(recorded), MOST_CLASSES // 2
    worst, best = _class_rows(ranked[:some]), _class_rows(ranked[: -some - 1 : -1])
    return f"Of {len(recorded)} classes the {some} worst:\n\n{worst}\n\nand the {some} best:\n\n{best}"


def _class_rows(recorded: Sequence[Record]) -> str:
    rows = [
        (one.get("name", ""), percent(number(one, "recall")), percent(number(one, "precision")), one.get("support", ""))
        for one in recorded
    ]
    return _table(("class", "recall", "precision", "images"), rows) if rows else ""


def _again(run: RunRecords, alone: bool) -> str:
    """The command that made it, its settings, and which images and code they were."""
    parts = []
    if (command := command_line(run.environment)) is not None:
        parts.append(f"```console\n$ {command}\n```")
    if in_words(run.config) and not alone:
        parts.append(f"From the settings in config.json, in this folder:\n\n```python\n{snippets.train_again()}```")
    if (digest := text(run.dataset, "names_sha256")) is not None:
        parts.append(
            f"SHA-256 of the images' names: {_line(digest)}" + ("." if alone else "; data.json counts them by class.")
        )
    git = mapping(run.environment.get("git"))
    if (commit := text(git, "commit")) is not None:
        changed = ", with changes that were not committed" if git.get("dirty") else ""
        parts.append(f"Started in a folder at commit {_line(commit)}{changed}.")
    return "\n\n".join(parts)


def _verification(verify: Record) -> str:
    if not verify:
        return ""
    error, agreement, images = (number(verify, key) for key in ("max_relative_error", "top1_agreement", "images"))
    lines = [f"**The file {'passed' if verify.get('ok') else 'did not pass'}** the comparison with the checkpoint."]
    if error is not None:
        lines.append(f"Largest relative error of the outputs: {error:.2g}.")
    if agreement is not None:
        lines.append(f"Top-1 agreement: {percent(agreement)}" + (f" of {images:g} images." if images else "."))
    checks = [c for c in verify.get("checks") or () if isinstance(c, dict)]
    answers = [("yes" if c.get("ok") else "NO", c.get("name", ""), c.get("detail", "")) for c in checks]
    listed = "\n".join(f"- {answer}: {_line(name)}: {_line(detail)}" for answer, name, detail in answers)
    listed += "".join(f"\n- note: {_line(warning)}" for warning in verify.get("warnings") or ())
    return " ".join(lines) + (f"\n\n{listed}" if listed else "")


def _provenance(run: RunRecords) -> str:
    """The paper behind the network, from the catalogue's record in metrics.json."""
    entry = run.metrics.get("catalogue")
    if not isinstance(entry, dict):
        return ""
    published: dict[str, Any] = {} if run.pruned else entry.get("published") or {}
    pairs: list[tuple[str, Any]] = [
        ("family", entry.get("family")),
        ("paper", entry.get("paper") or entry.get("citation")),
        ("status", entry.get("status")),
        ("note", entry.get("note")),
        ("published variant", published.get("variant")),
        ("published top-1, percent", published.get("top1")),
        ("published parameters", f"{published['params_m']} M" if published.get("params_m") is not None else None),
        ("published multiply-adds", f"{published['madds_m']} M" if published.get("madds_m") is not None else None),
        ("source of these", published.get("source")),
        ("naming", entry.get("naming")),
    ]
    listed = _pairs([(key, str(value)) for key, value in pairs if value not in (None, "")])
    note = "\n\nPublished figures are for ImageNet at the paper's size; this model was trained on other images."
    of = "\n\nWhat is said here is of the backbone, not of the whole network." if ":" in (run.model or "") else ""
    return listed + (note if published else "") + of


def _licence(run: RunRecords) -> str:
    weights = text(run.config, "weights") or ("published weights" if run.config.get("pretrained") else None)
    started = f". Training started from {_line(weights)}, whose licence applies too" if weights else ""
    return f"{CODE_ONLY}{started}."


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {_line(key)}: {_line(value)}" for key, value in pairs)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in row) + " |" for row in lines)


def _line(words: object) -> str:
    """Text on one line, in which nothing is taken for Markdown's HTML."""
    return " ".join(str(words).split()).replace("<", "&lt;")
