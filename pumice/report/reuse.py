"""`write_reuse`: who reads whose features, as heat maps (ShuffleNetV2, figure 4), as one HTML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pumice.files import write_text
from pumice.report.document import Figures, document, keep_plot, section
from pumice.report.html import esc
from pumice.report.theme import GREY, new_figure, plotly, safe

CELL = 26
SCALE = ((0.0, "#eaf1f8"), (0.35, "#8fb4df"), (0.7, "#3d7fd0"), (1.0, "#173a68"))


def reuse_figure(stages: Sequence[Mapping[str, Any]]) -> Any:
    """Heat maps of one network, a panel a stage; sources from top to bottom, targets from left to right.

    stages: records with "stage", "sources", "targets", "values" (rows of numbers, None where nothing is read) and
        "what", the meaning of a value in the hover text.  Each panel is drawn as a share of its largest value.
    """
    panels = list(stages)
    tall = max(len(stage["sources"]) for stage in panels)
    figure = new_figure(max(260, 110 + min(tall, 24) * CELL))
    gap = 0.05
    weights = [max(4, len(stage["targets"])) for stage in panels]
    width, left = (1 - gap * (len(panels) - 1)) / sum(weights), 0.0
    for i, (stage, weight) in enumerate(zip(panels, weights, strict=True), start=1):
        name, domain = ("" if i == 1 else str(i)), [left, min(1.0, left + width * weight)]
        left = domain[1] + gap
        figure.add_trace(_panel(stage, name))
        figure.update_layout({f"xaxis{name}": _side(stage["targets"], f"y{name}", domain=domain)})
        figure.update_layout(
            {f"yaxis{name}": {**_side(stage["sources"], f"x{name}", position=domain[0]), "autorange": "reversed"}}
        )
        where = {
            "x": sum(domain) / 2,
            "y": 1.0,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
        }
        figure.add_annotation(text=safe(stage["stage"]), showarrow=False, font={"color": GREY, "size": 12}, **where)
    figure.update_layout(margin={"l": 40, "r": 18, "t": 30, "b": 40})
    return figure


def write_reuse(networks: Sequence[Mapping[str, Any]], out: str | Path) -> Path:
    """Write the page.

    networks: records with "title", "caption" and "stages" as `reuse_figure` takes them.

    Raises:
        BadInput: plotly is not installed.
    """
    plotly()
    figures: Figures = {}
    parts = []
    for i, network in enumerate(networks):
        drawn = keep_plot(
            figures, f"reuse-{i}", reuse_figure(network["stages"]), network["caption"], css="tall", least=620
        )
        parts.append(section(network["title"], drawn))
    title = "Feature reuse"
    head = f'<header class="top"><p class="brand">Pumice · feature reuse</p><h1>{esc(title)}</h1></header>'
    write_text(out, document(title, head + "".join(parts), figures, source="the traced graphs of the networks"))
    return Path(out)


def _panel(stage: Mapping[str, Any], axis: str) -> Any:
    values = [[None if v is None else float(v) for v in row] for row in stage["values"]]
    most = max((v for row in values for v in row if v is not None), default=1.0) or 1.0
    hover = [
        [f"{safe(s)} to {safe(t)}<br>{safe(stage['what'])}: {'-' if v is None else f'{v:.4g}'}" for t, v in
         zip(stage["targets"], row, strict=True)]
        for s, row in zip(stage["sources"], values, strict=True)
    ]  # fmt: skip
    return plotly().Heatmap(
        z=[[None if v is None else v / most for v in row] for row in values],
        x=list(range(1, len(stage["targets"]) + 1)),
        y=list(range(1, len(stage["sources"]) + 1)),
        text=hover,
        hoverinfo="text",
        colorscale=[list(stop) for stop in SCALE],
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        showscale=axis == "",
        colorbar={"thickness": 10, "len": 0.6, "title": {"text": "of the<br>largest", "font": {"size": 11}}},
        xaxis=f"x{axis}",
        yaxis=f"y{axis}",
    )


def _side(names: Sequence[str], other: str, **options: Any) -> dict[str, Any]:
    step = max(1, -(-len(names) // 12))
    return {"anchor": other, "showgrid": False, "zeroline": False, "dtick": step, "tick0": 1, "ticks": "", **options}
