"""The page of heat maps: whole, safe, and with the numbers that were given."""

from pathlib import Path

import pytest

pytest.importorskip("plotly")

from pumice.report.reuse import reuse_figure, write_reuse

STAGE = {
    "stage": "28x28",
    "sources": ["a", "<b>"],
    "targets": ["c", "d", "e"],
    "values": [[4.0, 2.0, 1.0], [None, 3.0, 0.0]],
    "what": "channels",
}


def test_panels_are_shares_of_their_largest_value() -> None:
    figure = reuse_figure([STAGE, {**STAGE, "values": [[8.0, 2.0, 1.0], [None, 3.0, 0.0]]}])
    assert [list(map(list, panel.z)) for panel in figure.data] == [
        [[1.0, 0.5, 0.25], [None, 0.75, 0.0]],
        [[1.0, 0.25, 0.125], [None, 0.375, 0.0]],
    ]
    assert [panel.xaxis for panel in figure.data] == ["x", "x2"]
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    assert figure.data[0].text[1][0].endswith("channels: -")


def test_page(tmp_path: Path) -> None:
    page = write_reuse([{"title": "<script>", "caption": "why", "stages": [STAGE]}], tmp_path / "reuse.html")
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;</h2>" in text
    assert "reuse-0" in text
    assert '<b>"' not in text
