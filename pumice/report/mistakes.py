"""Pictures of what a run gets wrong, and of what several runs get wrong together or alone."""

from collections.abc import Mapping, Sequence

from pumice.report.answers import Answer, judged_by_all
from pumice.report.fields import Record, number
from pumice.report.html import Cell, esc, figure_cell, table, thumbnail
from pumice.report.records import RunRecords
from pumice.report.units import percent

SHOWN = 24  # pictures of mistakes that all runs make
ALONE = 8  # pictures of what one run alone does
MOST_SHEETS = 5  # runs with pictures of their own
Named = Sequence[tuple[str, RunRecords]]


def sheets(run: RunRecords) -> str:
    """The worst mistakes of a run and some right answers; "" without pictures."""
    wrong = [one for one in run.predictions if one.get("truth") != one.get("prediction")]
    right = [one for one in run.predictions if one.get("truth") == one.get("prediction")]
    if not run.predictions:
        return ""
    parts = [f'<p class="lead">{esc(_lead(run, len(wrong)))}</p>']
    parts.append(_sheet([_shot(one) for one in wrong]) if wrong else "")
    if right:
        parts.append("<h3>Some right answers</h3>" if wrong else "")
        parts.append(_sheet([_shot(one) for one in right]))
    return "".join(parts)


def _lead(run: RunRecords, shown: int) -> str:
    matrix = run.scores.get("confusion") or ()
    total, hits = sum(map(sum, matrix)), sum(row[i] for i, row in enumerate(matrix))
    if not total:
        return f"{shown} wrong answers, given with the highest probability."
    wrong = total - hits
    if not wrong:
        return f"All {total:,.0f} validation images are right."
    said = f"{wrong:,.0f} of {total:,.0f} validation images are wrong"
    if wrong <= shown:
        return f"{said}. The true class, then what was predicted and how sure the network was."
    return f"{said}; these {shown} it was surest of. The true class, then what was predicted and how sure it was."


def _shot(one: Record) -> str:
    truth, guess, name = (str(one.get(key, "?")) for key in ("truth", "prediction", "name"))
    sure, due = number(one, "p_pred"), number(one, "p_truth")
    notes = [percent(sure)] if sure is not None else []
    notes += [f"truth {percent(due)}"] if due is not None and truth != guess else []
    return _figure(name, truth, [guess], notes, one.get("image"))


def _figure(name: str, truth: str, guesses: Sequence[str], notes: Sequence[str], image: object) -> str:
    wrong = any(guess != truth for guess in guesses)
    said = " / ".join(f"<s>{esc(guess)}</s>" if guess != truth else f"<b>{esc(guess)}</b>" for guess in guesses)
    words = f"<b>{esc(truth)}</b> → {said}" if wrong else f"<b>{esc(truth)}</b>"
    described = f"{name}: {' / '.join(guesses)}, truth {truth}"
    lines = "".join(f"<span>{esc(note)}</span>" for note in (*notes, *([name] if image is None else [])))
    return (
        f'<figure class="shot {"wrong" if wrong else "right"}" title="{esc(name)}">'
        f"{thumbnail(image, described)}"
        f"<figcaption>{words}{lines}</figcaption></figure>"
    )


def _sheet(shots: Sequence[str]) -> str:
    return f'<div class="sheet">{"".join(shots)}</div>'


def compared(named: Named) -> str:
    """What several runs of the same classes get wrong together, and what each does alone."""
    able = [(name, run) for name, run in named if run.answers]
    if len(able) < 2:
        return '<p class="lead">Fewer than two of these runs have recorded what they say of each image.</p>'
    together = judged_by_all([run.answers for _, run in able])
    if not together:
        return '<p class="lead">These runs were judged on different images, so their mistakes cannot be compared.</p>'
    names = [name for name, _ in able]
    pictures = {str(p.get("name")): p.get("image") for _, run in reversed(able) for p in run.predictions}
    all_wrong = [row for row in together if all(a.wrong for a in row)]
    alone_wrong = [[row for row in together if _alone(row, i, wrong=True)] for i in range(len(able))]
    alone_right = [[row for row in together if _alone(row, i, wrong=False)] for i in range(len(able))]
    head = [("run", False), ("wrong", True), ("it alone is wrong", True), ("it alone is right", True)]
    rows = [
        [
            Cell(f"<b>{esc(name)}</b>", name),
            *(figure_cell(f"{n:,}", n) for n in (sum(row[i].wrong for row in together), len(bad), len(good))),
        ]
        for i, (name, bad, good) in enumerate(zip(names, alone_wrong, alone_right, strict=True))
    ]
    who = "both" if len(able) == 2 else f"all {len(able)}"
    lead = (
        f"Validation images that {who} runs judged: {len(together):,}; wrong in {who}: {len(all_wrong):,}. Below a "
        "picture: the true class, then what each run predicted and how sure it was, in the table's order."
    )
    left = [name for name, run in named if not run.answers]
    if left:
        lead += f" Without answers recorded: {', '.join(left)}."
    parts = [f'<p class="lead">{esc(lead)}</p>', table(head, rows, css="small", label="mistakes of several runs")]
    parts.append(_rows(f"{who.capitalize()} get wrong", all_wrong, pictures, SHOWN))
    if len(able) <= MOST_SHEETS:
        for i, name in enumerate(names):
            parts.append(_rows(f"Only {name} gets wrong", alone_wrong[i], pictures, ALONE))
        for i, name in enumerate(names if len(able) > 2 else ()):
            parts.append(_rows(f"Only {name} gets right", alone_right[i], pictures, ALONE))
    return "".join(parts)


def _alone(row: Sequence[Answer], place: int, *, wrong: bool) -> bool:
    return all(answer.wrong == (wrong == (i == place)) for i, answer in enumerate(row))


def _guesses(row: Sequence[Answer]) -> list[str]:
    """What each run predicted; once where they agree."""
    guesses = [answer.prediction for answer in row]
    return guesses[:1] if len(set(guesses)) == 1 else guesses


def _sureness(row: Sequence[Answer]) -> float:
    """Mean probability of the wrong answers."""
    wrong = [answer.p_pred for answer in row if answer.wrong]
    return sum(wrong) / len(wrong)


def _rows(
    title: str,
    rows: Sequence[tuple[Answer, ...]],
    pictures: Mapping[str, object],
    most: int,
) -> str:
    """A sheet of images, an answer of each run under it: those with a picture first, the surest first."""
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda row: (pictures.get(row[0].name) is None, -_sureness(row), row[0].name))[:most]
    shots = [
        _figure(
            row[0].name,
            row[0].truth,
            _guesses(row),
            [" / ".join(f"{100 * answer.p_pred:.0f}" for answer in row) + " %"],
            pictures.get(row[0].name),
        )
        for row in ordered
    ]
    count = f"{len(rows):,}" if len(rows) == len(ordered) else f"{len(ordered)} of {len(rows):,}"
    return f"<h3>{esc(title)} ({count})</h3>{_sheet(shots)}"
