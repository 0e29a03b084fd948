"""The page of `pumice guidelines`, from a made-up record."""

import re
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from pumice.report.guidelines import differences, pairs, relative_speed_figure, rows, write_guidelines

Record = dict[str, Any]


def measured(ms: float, spread: float = 0.01, clock: str = "wall") -> Record:
    time = {"ms": ms, "low": ms * (1 - spread), "high": ms * (1 + spread), "clock": clock, "images_per_s": 1e3 / ms}
    return {"time": time}


def case(label: str, madds: int, paper: dict[str, float], **times: Any) -> Record:
    return {"label": label, "setting": "8", "madds": madds, "paper": paper, "measured": times}


def claim(fast: str, slow: str, ratio: float, verdict: str, **more: Any) -> Record:
    judged = {"verdict": verdict, "ratio": ratio, "low": ratio, "high": ratio, "clock": "wall", "saved_ms": 0.25}
    return {
        "text": "", "fast": fast, "slow": slow, "factor": 1.0, "per_madd": True, "saved_madds": 5_000_000,
        "published_saved_ms": None, "published_saved_madds": None, "paper": {"GPU": 2.0}, "here": {"ort": judged},
        **more,
    }  # fmt: skip


@pytest.fixture
def record() -> Record:
    def column(title: str, slow_ms: float, ratio: float, verdict: str) -> Record:
        return {
            "title": title,
            "cases": [
                case("<1:1>", 2_000_000, {"GPU": 50.0}, ort=measured(2.0)),
                case("1:2", 1_000_000, {"GPU": 25.0}, ort=measured(slow_ms)),
            ],
            "claims": [claim("<1:1>", "1:2", ratio, verdict)],
        }

    one = {
        "name": "g1",
        "title": "Equal widths",
        "statement": "Equal is <faster>.",
        "source": "a paper",
        "paper": {"GPU": "batches/s"},
        "columns": [column("x1", 2.5, 2.5, "holds"), column("x2", 1.0, 1.0, "within the spread")],
        "verdicts": [{"runtime": "ort", "verdict": "holds", "clock": "wall", "sentence": "holds in ort: 1 of 2"}],
    }
    return {
        "experiments": [one], "runtimes": ["ort"], "runtime_versions": {"ort": "1.2"}, "threads": 1, "batch": 1,
        "device": "cpu", "widths": "arm", "seed": 0, "seconds": 95.0, "machine": "a machine & more",
    }  # fmt: skip


def test_rows_have_rates_and_times(record: Record) -> None:
    head, body = rows(record["experiments"][0], ["ort"])
    assert head == ["column", "case", "setting", "MAdds", "ort, images/s (ms)", "paper's GPU, batches/s"]
    assert body[0] == ["x1", "<1:1>", "8", "2.00 M", "500 (2.00 ±1.0 %)", "50"]
    assert body[1] == ["", "1:2", "8", "1.00 M", "400 (2.50 ±1.0 %)", "25"]


def test_published_milliseconds_are_beside_milliseconds(record: Record) -> None:
    one = record["experiments"][0] | {"paper": {"phone": "ms"}}
    head, body = rows(one, ["ort"])
    assert head[4:] == ["ort, ms", "paper's phone, ms"]
    assert body[1][4:] == ["2.50 ±1.0 %", "–"]


def test_cpu_time_is_said(record: Record) -> None:
    one = record["experiments"][0]
    one["columns"][0]["cases"][1]["measured"]["ort"] = measured(1.0, 0.02, "cpu")
    assert rows(one, ["ort"])[1][1][4] == "1,000 (1.00 ±2.0 % CPU)"


def test_pairs_give_the_span_over_columns(record: Record) -> None:
    one = record["experiments"][0]
    head, body = pairs(one, ["ort"])
    assert head == ["times as long", "ort", "paper's GPU"]
    assert body == [["1:2 over <1:1>, per MAdd", "1.00 to 2.50, 1 of 2", "2.00"]]
    one["columns"][0]["claims"][0] |= {"per_madd": False, "factor": 9.0}
    assert [row[0] for row in pairs(one, ["ort"])[1]] == ["1:2 over <1:1> (claimed above 0.11)", body[0][0]]


def test_differences_are_those_that_were_published(record: Record) -> None:
    one = record["experiments"][0]
    assert differences(one) == []
    one["columns"][0]["claims"][0] |= {"published_saved_ms": 7.0, "published_saved_madds": 30e6}
    assert differences(one) == [
        "<1:1> saves 5.0 M MAdds and 0.250 ms in ort; published: 30 M and 7 ms on a phone.",
    ]


def test_the_figure_shows_speed_per_multiply_add(record: Record) -> None:
    ours, paper = relative_speed_figure(record["experiments"][0], ["ort"]).data
    # Half the multiply-adds in 2.5 and 1.0 ms, against 2.0 ms.
    assert list(ours.y) == pytest.approx([1, 0.4, 1, 1])
    assert ours.y[1] + ours.error_y.array[1] == pytest.approx(0.4 / 0.99)
    assert ours.y[1] - ours.error_y.arrayminus[1] == pytest.approx(0.4 / 1.01)
    assert list(paper.y) == [1, 0.5, 1, 0.5]
    assert [list(level) for level in ours.x] == [["x1", "x1", "x2", "x2"], ["&lt;1:1&gt;", "1:2"] * 2]
    for column in record["experiments"][0]["columns"]:
        column["claims"][0]["per_madd"] = False
    ours, _ = relative_speed_figure(record["experiments"][0], ["ort"]).data
    assert list(ours.y) == pytest.approx([1, 0.8, 1, 2])


def test_a_page_is_whole_and_safe(record: Record, tmp_path: Path) -> None:
    out = write_guidelines(record, tmp_path / "made" / "page.html")
    text = out.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert "Equal is &lt;faster&gt;." in text
    assert "a machine &amp; more" in text
    assert "<1:1>" not in text
    assert "http" not in text.replace("Content-Security-Policy", "").replace("http-equiv", "")
    assert re.search(r'<span class="chip answer-yes">holds</span>', text)
    assert "It holds in ort: 1 of 2." in text
    assert "1 min 35 s" in text
    assert "judged by CPU time" not in text
    record["experiments"][0]["verdicts"][0]["clock"] = "cpu"
    assert "judged by CPU time" in write_guidelines(record, out).read_text(encoding="utf-8")
