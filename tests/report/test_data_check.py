"""The page of `pumice data check`: whole, safe, and with the pairs that were found."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("plotly")

from pumice.report.data_check import CLASSES, SAMPLES, classes_figure, pictured, sizes_figure, write_data_check

PICTURE = "data:image/jpeg;base64,AAAA"
PAIR = {"first": "t/1.png", "second": "v/2.png", "where": ["train", "val"], "labels": ["<b>", "dog"], "bits": 3}


def record(**changes: Any) -> dict[str, Any]:
    return {
        "source": "<script>",
        "ok": False,
        "classes": [{"name": "<b>", "train": 30, "val": 4}, {"name": "dog", "train": 90, "val": 9}],
        "images": {"train": 120, "val": 13},
        "damaged": [{"path": "t/<i>.png", "reason": "it is cut short"}],
        "left_out": [],
        "leaks": [PAIR, {**PAIR, "second": "v/3.png", "bits": None}],
        "contradictions": [],
        "repeated": 2,
        "ratio": 3.0,
        "evenness": 0.8,
        "sizes": {"width": [8, 30, 300], "height": [9, 40, 400], "aspect": [0.5, 0.7, 1]},
        "shapes": [[8, 9], [30, 40], [30, 40], [300, 400]],
        "modes": {"RGB": 133},
        "formats": {"JPEG": 133},
        "turned": 0,
        "problems": ["1 image <cannot> be read"],
        "advice": ["few"],
        **changes,
    }


def test_page(tmp_path: Path) -> None:
    classes = {"<b>": [f"t/{i}.png" for i in range(30)], "dog": ["d.png"]}
    names = pictured(record(), classes)
    assert {"t/0.png", "t/29.png", "d.png", "v/2.png", "v/3.png"} <= set(names)
    pictures = {name: PICTURE for name in names if name != "v/3.png"}
    text = write_data_check(record(), classes, pictures, tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>Is" not in text
    assert "&lt;script&gt;" in text
    assert "1 image &lt;cannot&gt; be read." in text
    assert text.count("3 of 64 bits differ") == text.count("equal byte by byte") == 1
    assert text.count(PICTURE) == SAMPLES + 1 + 3  # samples of both classes, three pictures of two pairs
    assert text.count('class="blank"') == 1  # the one that has no picture
    assert "t/&lt;i&gt;.png" in text
    assert "<h3>&lt;b&gt;, 30</h3>" in text
    again = write_data_check(record(), classes, pictures, tmp_path / "q.html").read_text(encoding="utf-8")
    assert again == text


def test_nothing_wrong(tmp_path: Path) -> None:
    fine = record(problems=[], leaks=[], damaged=[], ok=True)
    text = write_data_check(fine, {}, {}, tmp_path / "p.html").read_text(encoding="utf-8")
    assert "Nothing that would hurt" in text
    assert "Learnt from and judged by" not in text


def test_figures() -> None:
    bars = classes_figure(record())
    assert list(bars.data[0].x) == [90, 30]  # the largest above
    assert list(bars.layout.yaxis.ticktext) == ["dog", "&lt;b&gt;"]
    dots = sizes_figure(record())
    assert dots.data[0].x[0] == 30  # two images of that size
    assert dots.layout.xaxis.type == "log"
    assert sizes_figure(record(shapes=[[8, 8]] * 5)) is None
    many = [{"name": f"c{i}", "train": i, "val": 1} for i in range(300)]
    assert len(classes_figure(record(classes=many)).data[0].x) == 100
    assert len(pictured(record(leaks=[]), {f"c{i}": ["x"] for i in range(300)})) == CLASSES * SAMPLES
