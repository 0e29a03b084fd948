"""What was asked, what was measured or predicted, and whether the one is within the other."""

from pumice.cost.timing import PREDICTED
from pumice.report.fields import Record, number, text
from pumice.report.html import esc
from pumice.report.records import Limit, RunRecords, candidate_bound
from pumice.report.units import NOTHING, count, image_size, milliseconds, percent, plain, size

LIMIT_NAMES = {
    "max_latency_ms": ("latency", milliseconds),
    "max_madds": ("multiply-adds", count),
    "max_params": ("parameters", count),
    "max_size_bytes": ("file size", size),
    "max_memory_bytes": ("peak activation memory", size),
}


def limit_text(limit: Limit) -> tuple[str, str, str]:
    """(name, limit, measured) as people read them."""
    name, form = LIMIT_NAMES.get(limit.key, (limit.key.removeprefix("max_").replace("_", " "), None))
    show = form or (lambda value: NOTHING if value is None else plain(value))
    return name, show(limit.limit), show(limit.measured)


def budget_words(run: RunRecords) -> str:
    """The budget in a few words: "latency ≤ 2.00 ms, file size ≤ 3.00 MB"."""
    return ", ".join(f"{name} ≤ {limit}" for name, limit, _ in map(limit_text, run.limits))


def images_words(run: RunRecords) -> str:
    """The images in a few words: "2,400 images to train, 600 to validate, 3 skipped"."""
    verbs = {"train": "images to train", "val": "to validate", "skipped": "skipped"}
    return ", ".join(f"{value:,.0f} {verbs[key]}" for key, value in run.images.items() if value or key != "skipped")


def conditions(timing: Record) -> str:
    """Under what conditions a latency was measured or is predicted."""
    threads, batch = number(timing, "threads"), number(timing, "batch")
    parts = [
        text(timing, "runtime"),
        text(timing, "device"),
        f"{threads:g} thread{'s' if threads != 1 else ''}" if threads else None,
        f"batch {batch:g}" if batch else None,
        text(timing, "dtype"),
        f"{number(timing, 'repeats'):g} repeats" if number(timing, "repeats") else None,
        PREDICTED if timing.get("predicted") else None,
    ]
    return ", ".join(part for part in parts if part)


def verdict(run: RunRecords) -> str:
    """Within budget: yes or no, each limit as a bar."""
    within = run.within_budget
    if within is None:
        return ""
    if not run.shipped and run.candidates:
        return f'<div class="verdict no"><p class="big">Within budget: no</p><p>{esc(miss(run))}</p></div>'
    measured = all(limit.measured is not None for limit in run.limits)
    answer = "yes" if within else "no" if measured else "not measured"
    gauges = "".join(_gauge(run, limit) for limit in run.limits)
    note = ""
    if run.benchmark.get("busy"):
        why = text(run.benchmark, "busy_why")
        seen = f" Seen: {esc(why)}." if why else ""
        note = (
            '<p class="warn">The machine was busy while the file was measured, so process CPU time is compared with '
            f"the budget instead of wall time; measure again on a quiet machine.{seen}</p>"
        )
    if run.predicted:
        where = text(run.benchmark, "machine")
        note = (
            '<p class="warn">The latency is predicted, not measured: a lookup table of '
            f"{esc(where or 'another device')} says so. Measure the file there before you rely on it.</p>"
        )
    css = {"yes": "yes", "no": "no"}.get(answer, "unknown")
    return f'<div class="verdict {css}"><p class="big">Within budget: {answer}</p>{gauges}{note}</div>'


def miss(run: RunRecords) -> str:
    """By how much the closest candidate misses the budget."""
    limit = run.budget.get("max_latency_ms")
    bounds = [(bound, c) for c in run.candidates if (bound := candidate_bound(c) or number(c, "p50_ms")) is not None]
    if text(run.metrics, "reason"):
        return str(run.metrics["reason"])
    if not limit or not bounds:
        return "No candidate is within the budget."
    bound, closest = min(bounds, key=lambda pair: (pair[0], str(pair[1].get("model"))))
    if bound <= limit:
        return "A candidate was fast enough, but none was trained and verified."
    return (
        f"The closest candidate, {closest.get('model')} at {image_size(closest.get('input_size'))}, takes "
        f"{milliseconds(bound)}: {percent(bound / limit - 1)} over the {milliseconds(limit)} asked for."
    )


def _gauge(run: RunRecords, limit: Limit) -> str:
    name, asked_for, shown = limit_text(limit)
    measured = limit.measured
    full = 1.15 * max(limit.limit, measured or 0) or 1
    marks = f'<i class="fill" style="width:{100 * (measured or 0) / full:.2f}%"></i>'
    detail = f"{shown} of {asked_for}"
    if limit.key == "max_latency_ms":
        clock = run.bound[1]
        p50 = number(run.benchmark, "cpu_p50_ms" if clock == "cpu" else "p50_ms")
        if p50 is not None:
            marks += f'<i class="dot" style="left:{100 * p50 / full:.2f}%" title="p50"></i>'
        name_of_p50 = "predicted" if run.predicted else "CPU p50" if clock == "cpu" else "p50"
        detail = f"{name_of_p50} {milliseconds(p50)}, 95 % bound {shown} of {asked_for}"
    marks += f'<i class="limit" style="left:{100 * limit.limit / full:.2f}%"></i>'
    return (
        f'<div class="gauge {"ok" if limit.ok else "over"}" title="{esc(limit.how)}"><span>{esc(name)}</span>'
        f'<span class="bar">{marks}</span><span class="detail">{esc(detail)}</span></div>'
    )
