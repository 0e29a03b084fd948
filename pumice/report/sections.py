"""The parts of the page, one function each: records in, HTML out, "" when there is nothing to say."""

from pumice.report import dense, snippets
from pumice.report.fields import Record, first_number, mapping, number
from pumice.report.html import code, esc, facts, flatten, tile
from pumice.report.records import RunRecords
from pumice.report.units import count, image_size, milliseconds, percent, plain, seconds, size
from pumice.report.verdict import budget_words, conditions, images_words


def heading(run: RunRecords) -> str:
    """What ships, in one line."""
    if run.candidates and not run.shipped:
        return "Nothing ships"
    return f"{run.title}" + (f" at {image_size(run.input_size)}" if run.input_size else "")


def asked(run: RunRecords) -> str:
    """The line under the heading: what was asked for."""
    budget = budget_words(run)
    parts = [
        f"images: <b>{esc(run.data)}</b>" if run.data else "",
        f"{len(run.classes)} classes" if run.classes else "",
        images_words(run),
        f"budget: <b>{esc(budget)}</b>" if budget else "no budget" if run.candidates else "",
        f"took {esc(seconds(number(run.metrics, 'seconds')))}" if number(run.metrics, "seconds") else "",
    ]
    return '<p class="asked">' + " · ".join(part for part in parts if part) + "</p>"


def tiles(run: RunRecords) -> str:
    """Accuracy, latency, size, multiply-adds, parameters and the check of the file, large."""
    p50 = first_number("p50_ms", run.benchmark, run.shipped)
    interval = run.benchmark.get("ci95")
    spread = f"95 % interval {milliseconds(interval[0])} to {milliseconds(interval[1])}" if interval else ""
    balanced = number(run.scores, "balanced_accuracy")
    shown = [
        tile(
            "top-1 accuracy",
            percent(run.top1),
            f"balanced {percent(balanced)}" if balanced is not None else "validation images",
        )
        if run.top1 is not None
        else "",
        *(dense.tiles(run) if run.dense else ()),
        tile("latency, predicted" if run.predicted else "latency, p50", milliseconds(p50), spread or "before export")
        if p50 is not None
        else "",
        tile("file", size(run.file_bytes), run.file or "") if run.file_bytes is not None else "",
        tile("multiply-adds", count(run.madds), "per image") if run.madds is not None else "",
        tile("parameters", count(run.params)) if run.params is not None else "",
        _verify_tile(run.verify) if run.verify else "",
    ]
    return f'<div class="tiles">{"".join(shown)}</div>' if any(shown) else ""


def _verify_tile(verify: Record) -> str:
    agreement, images = number(verify, "top1_agreement"), number(verify, "images")
    note = f"top-1 agrees on {percent(agreement)}" if agreement is not None else ""
    note += f" of {images:g} images" if note and images else ""
    ok = bool(verify.get("ok"))
    return tile("verified", "yes" if ok else "no", note, "good" if ok else "bad")


def loading(run: RunRecords) -> str:
    """How to load the file."""
    if not run.file:
        return ""
    bare = snippets.with_onnxruntime(run)
    blocks = code("in Python", snippets.with_pumice(run))
    blocks += code("on the command line", snippets.commands(run))
    if bare:
        blocks += f"<details><summary>Without Pumice</summary>{code('ONNX Runtime, numpy and Pillow', bare)}</details>"
    return f'<div class="codes">{blocks}</div>'


def condensed(run: RunRecords) -> str:
    """A sentence about a net that learns its groups, whose costs are those of another file; "" of others."""
    small = mapping(run.metrics.get("condensed"))
    if not small:
        return ""
    top1 = percent(number(mapping(small.get("val")), "top1"))
    return (
        f"Parameters and multiply-adds are those of the condensed form, condensed.safetensors, whose top-1 is {top1}; "
        "the other figures are those of best.safetensors, which can still learn its groups."
    )


def unfinished(name: str, run: RunRecords) -> str:
    """A sentence about a run that has not come to its end; "" of others."""
    if run.finished:
        return ""
    done, asked = max((e.get("epoch", 0.0) for e in run.epochs), default=0.0), number(run.config, "epochs")
    if not done:
        return f"{name} is not finished: no epoch has ended yet."
    of = f" of {asked:g}" if asked else ""
    return f"{name} is not finished: what is shown is from the first {done:g}{of} epochs."


def checks(run: RunRecords) -> str:
    """What `verify` looked at."""
    recorded = [c for c in run.verify.get("checks") or () if isinstance(c, dict)]
    if not recorded:
        return ""
    items = "".join(
        f'<li class="{"good" if c.get("ok") else "bad"}"><b>{esc(c.get("name", ""))}</b> '
        f"{esc(c.get('detail', ''))}</li>"
        for c in recorded
    )
    items += "".join(f'<li class="note">{esc(warning)}</li>' for warning in run.verify.get("warnings") or ())
    return f'<ul class="checks">{items}</ul>'


def inside(run: RunRecords) -> str:
    """Classes and preprocessing, as they travel inside the file."""
    p = run.preprocess
    pairs = []
    if p:
        height, width = (p.get("size") or (None, None))[:2]
        pairs = [
            ("size", f"{height}×{width} pixels" if height else ""),
            ("crop", cropped(p)),
            ("interpolation", esc(p.get("interpolation", ""))),
            ("channels", esc(p.get("channels", ""))),
            ("mean", esc(", ".join(plain(v) for v in p.get("mean") or ()))),
            ("std", esc(", ".join(plain(v) for v in p.get("std") or ()))),
        ]
    names = "".join(f"<li>{esc(name)}</li>" for name in run.classes)
    classes = (
        f'<h3>{len(run.classes)} classes, in order</h3><ol class="classes" start="0">{names}</ol>' if names else ""
    )
    return (f"<h3>Preprocessing</h3>{facts(pairs)}" if pairs else "") + classes


def cropped(p: Record) -> str:
    """Which part of an image is read."""
    if p.get("resize") == "stretch":
        return "none: the whole image is resized, whatever its shape"
    return f"centre, {percent(number(p, 'crop_pct'))} of the shorter side"


def machine(run: RunRecords) -> str:
    """Conditions of the measurement, the machine, versions, and the settings of the run."""
    recorded = dict(run.environment) or run.benchmark.get("machine") or {}
    where = facts(
        [(k, esc(v)) for k, v in flatten(recorded)] if isinstance(recorded, dict) else [("machine", esc(recorded))]
    )
    measured = f'<p class="lead">Latency: {esc(conditions(run.benchmark))}.</p>' if run.benchmark else ""
    settings = facts([(k, esc(v)) for k, v in flatten(dict(run.config))])
    folded = f"<details><summary>Settings of the run</summary>{settings}</details>" if run.config else ""
    return (measured + where if run.environment or run.benchmark else "") + folded
