"""`write_data_check`: a data set on one page: its classes, sizes, samples, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.fields import Record, mapping, number, objects, text
from pumice.report.html import esc, facts, figure_cell, table, thumbnail, tile, words
from pumice.report.theme import BLUE, ORANGE, axis, new_figure, plotly, safe, short
from pumice.report.units import count, percent

THUMB = 96  # pixels a side of the pictures
SAMPLES, CLASSES = 8, 60  # pictures a class, and classes with pictures
PAIRS = 24  # pairs of each kind that are shown
DOTS = 4000  # images in the plot of sizes
BARS = 100  # classes in the plot of classes: the smallest and the largest of more


def pictured(record: Record, classes: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the images whose pictures the page shows.

    record: see `write_data_check`; classes: the names of each class's training images.
    """
    pairs = [pair for kind in ("leaks", "contradictions") for pair in _shown(record, kind)]
    return [name for names in _samples(classes).values() for name in names] + [
        str(pair.get(side)) for pair in pairs for side in ("first", "second")
    ]


def write_data_check(
    record: Record, classes: Mapping[str, Sequence[str]], pictures: Mapping[str, str], out: str | Path
) -> Path:
    """Write the page; equal records give equal bytes.

    Args:
        record: the JSON of a `DataReport`, and "shapes", [width, height] of each image.
        classes: the names of each class's training images.
        pictures: name -> data URI, of those that `pictured` names.
        out: the file.

    Raises:
        BadInput: plotly is not installed.
    """
    plotly()
    figures: Figures = {}
    source = text(record, "source") or "data"
    title = f"Is {source} fit to learn from?"
    head = (
        f'<header class="top"><p class="brand">Pumice · data</p><h1>{esc(source)}</h1>'
        f'<p class="asked">{esc(_asked(record))}</p></header>{_verdict(record)}{_tiles(record)}'
    )
    parts = [
        ("Learnt from and judged by", _pairs(record, "leaks", pictures)),
        ("The same picture, different classes", _pairs(record, "contradictions", pictures)),
        ("Files that are not used", _files(record)),
        ("Classes", keep_plot(figures, "classes", classes_figure(record), _classes_caption(record), css="tall")),
        ("Sizes", keep_plot(figures, "sizes", sizes_figure(record), "Width and height of each image, stored pixels.")),
        ("Samples", _sheets(classes, pictures)),
        ("Kinds of files", _kinds(record)),
    ]
    body = head + "".join(section(part, html) for part, html in parts)
    write_text(out, document(title, body, figures, source="a look at every image"))
    return Path(out)


def classes_figure(record: Record) -> Any:
    """Bars of training and validation images a class, the largest above; None without classes."""
    rows = sorted(objects(record.get("classes")), key=lambda c: (-(number(c, "train") or 0), str(c.get("name"))))
    if not rows:
        return None
    if len(rows) > BARS:
        rows = [*rows[: BARS // 2], *rows[-BARS // 2 :]]
    figure = new_figure(90 + 22 * len(rows), barmode="stack", hovermode="closest")
    for part, title, colour in (("train", "to learn from", BLUE), ("val", "to judge by", ORANGE)):
        figure.add_trace(
            plotly().Bar(
                orientation="h",
                y=list(range(len(rows))),
                x=[number(row, part) or 0 for row in rows],
                name=title,
                marker={"color": colour},
                customdata=[safe(row.get("name")) for row in rows],
                hovertemplate=f"<b>%{{customdata}}</b><br>%{{x}} {title}<extra></extra>",
            )
        )
    names: dict[str, Any] = {
        "tickvals": list(range(len(rows))),
        "ticktext": [short(row.get("name"), 22) for row in rows],
    }
    figure.update_layout(
        xaxis=axis("images", rangemode="tozero"),
        yaxis=axis(autorange="reversed", showgrid=False, **names),
        margin={"l": 168, "t": 34},
        legend={"traceorder": "normal"},
    )
    return figure


def sizes_figure(record: Record) -> Any:
    """A dot an image by width and height, larger where several are of one size; None where all are."""
    shapes = [tuple(shape) for shape in record.get("shapes") or () if len(shape) == 2]
    tally: dict[tuple[Any, ...], int] = {}
    for shape in shapes:
        tally[shape] = tally.get(shape, 0) + 1
    if len(tally) < 2:
        return None
    kept = sorted(tally.items(), key=lambda item: -item[1])[:DOTS]
    figure = new_figure(430, hovermode="closest", showlegend=False)
    most = kept[0][1]
    figure.add_trace(
        plotly().Scatter(
            x=[shape[0] for shape, _ in kept],
            y=[shape[1] for shape, _ in kept],
            mode="markers",
            marker={
                "color": BLUE,
                "opacity": 0.45,
                "size": [5 + 22 * (n / most) ** 0.5 if most > 1 else 6 for _, n in kept],
            },
            customdata=[f"{shape[0]} × {shape[1]} pixels: {n} image{'s' * (n != 1)}" for shape, n in kept],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    wide = [shape[0] for shape, _ in kept]
    high = [shape[1] for shape, _ in kept]
    figure.update_layout(
        xaxis=axis("width, pixels", **_scale(wide)),
        yaxis=axis("height, pixels", **_scale(high)),
    )
    return figure


def _scale(values: Sequence[int]) -> dict[str, Any]:
    """Logarithmic where sizes differ much."""
    return {"type": "log", "dtick": "D2"} if max(values) > 8 * min(values) else {"rangemode": "tozero"}


def _asked(record: Record) -> str:
    images, total = mapping(record.get("images")), len(objects(record.get("classes")))
    train, val = (count(number(images, part)) for part in ("train", "val"))
    return f"{train} images to learn from, {val} to judge by, {total} classes"


def _verdict(record: Record) -> str:
    problems, advice = (list(map(str, record.get(key) or ())) for key in ("problems", "advice"))
    css, big = ("no", "Not as it is") if problems else ("yes", "Nothing that would hurt")
    items = "".join(f'<li class="bad">{esc(one)}.</li>' for one in problems)
    items += "".join(f'<li class="note">{esc(one)}.</li>' for one in advice)
    listed = f'<ul class="checks">{items}</ul>' if items else ""
    return f'<div class="verdict {css}"><p class="big">{big}</p></div>{listed}'


def _tiles(record: Record) -> str:
    sizes, ratio = mapping(record.get("sizes")), number(record, "ratio")
    leaks, damaged = len({p.get("second") for p in objects(record.get("leaks"))}), len(objects(record.get("damaged")))
    width, height = ([float(v) for v in sizes.get(side) or ()] for side in ("width", "height"))
    shown = [
        tile("damaged", str(damaged), "images", "bad" if damaged else "good"),
        tile("on both sides", str(leaks), "validation images", "bad" if leaks else "good"),
        tile("balance", f"{ratio:.1f} ×" if ratio else "-", "largest class over smallest"),
        tile("evenness", percent(number(record, "evenness")), "entropy of the classes"),
        tile("median size", f"{width[1]:.0f}×{height[1]:.0f}", "pixels") if width and height else "",
    ]
    return f'<div class="tiles">{"".join(shown)}</div>'


def _classes_caption(record: Record) -> str:
    total = len(objects(record.get("classes")))
    return f"The {BARS // 2} largest and smallest of {total} classes." if total > BARS else "Images of each class."


def _shown(record: Record, kind: str) -> list[Record]:
    return list(objects(record.get(kind)))[:PAIRS]


def _pairs(record: Record, kind: str, pictures: Mapping[str, str]) -> str:
    """Pairs of pictures side by side."""
    every = objects(record.get(kind))
    if not every:
        return ""
    cards = [_pair(pair, pictures) for pair in _shown(record, kind)]
    more = f", of which {len(cards)} are shown" if len(every) > len(cards) else ""
    return f'<p class="lead">{len(every)} pairs{more}.</p><div class="sheet pairs">{"".join(cards)}</div>'


def _pair(pair: Record, pictures: Mapping[str, str]) -> str:
    names = [str(pair.get(side)) for side in ("first", "second")]
    bits, where, labels = number(pair, "bits"), pair.get("where") or ("", ""), pair.get("labels") or ("", "")
    halves = "".join(thumbnail(pictures.get(name), name) for name in names)
    said = "equal byte by byte" if bits is None else f"{bits:g} of 64 bits differ"
    lines = "".join(
        f"<span>{esc(part)}, {esc(label)}: {esc(name)}</span>"
        for part, label, name in zip(where, labels, names, strict=False)
    )
    return f'<figure class="shot pair"><div>{halves}</div><figcaption><b>{said}</b>{lines}</figcaption></figure>'


def _files(record: Record) -> str:
    rows = [
        [words(one.get("path")), words(one.get("reason"))]
        for kind in ("damaged", "left_out")
        for one in objects(record.get(kind))[:200]
    ]
    return table([("file", False), ("why", False)], rows, label="files") if rows else ""


def _samples(classes: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Names of the images of each class that are shown, evenly from its first to its last."""
    return {
        name: [members[i * (len(members) - 1) // (SAMPLES - 1)] for i in range(SAMPLES)] if members else []
        for name, members in list(classes.items())[:CLASSES]
    }


def _sheets(classes: Mapping[str, Sequence[str]], pictures: Mapping[str, str]) -> str:
    sheets = []
    for name, members in _samples(classes).items():
        shots = "".join(
            f'<figure class="shot">{thumbnail(pictures.get(one), one)}</figure>' for one in dict.fromkeys(members)
        )
        sheets.append(f'<div><h3>{esc(name)}, {len(classes[name])}</h3><div class="sheet">{shots}</div></div>')
    more = len(classes) - len(sheets)
    tail = f'<p class="lead">and {more} more classes</p>' if more > 0 else ""
    return f'<div class="samples">{"".join(sheets)}</div>{tail}'


def _kinds(record: Record) -> str:
    modes, formats = mapping(record.get("modes")), mapping(record.get("formats"))
    rows = [[words(kind), figure_cell(f"{n:,}", n)] for kind, n in [*formats.items(), *modes.items()]]
    turned = number(record, "turned")
    repeated = number(record, "repeated")
    more = facts(
        [
            ("to be turned (EXIF)", esc(f"{turned:g}") if turned else ""),
            ("equal to another of their class", esc(f"{repeated:g}") if repeated else ""),
        ]
    )
    return table([("kind", False), ("images", True)], rows, css="small", label="kinds") + more
