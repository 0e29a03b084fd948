"""Measuring the papers' tables with fake sessions and a fake clock; printing and drawing them from made-up records."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paper_page
import paper_runs
import papers
import pytest
from paper_agreement import agreements
from paper_runs import Record, Settings, estimate_s, mean_of_runs, missing, read
from paper_tables import TABLES, Table

from pumice.cost import machine

TABLE8 = TABLES["shufflenetv2_table8"]


class Fake:
    """A session whose pass moves the clock on by `ms`."""

    threads, batch, input_size = 1, 1, (3, 8, 8)

    def __init__(self, clock: list[float], ms: float) -> None:
        self.clock, self.ms, self.passes = clock, ms, 0

    def run(self, _: Any) -> None:
        self.clock[0] += self.ms / 1e3
        self.passes += 1


def made_up(table: Table, runtimes: tuple[str, ...] = ("onnxruntime", "openvino")) -> list[Record]:
    """A record for every row that can run: 1 ms, 2 ms, ... in the first runtime, twice that in the second."""
    records = []
    for place, row in enumerate(row for row in table.rows if row.model):
        for i, runtime in enumerate(runtimes):
            ms = (place + 1.0) * (i + 1)
            figures = {"p50_ms": ms, "figure_ms": ms, "figure_ci": [0.99 * ms, 1.01 * ms], "images_per_s": 1e3 / ms}
            figures |= {"runs": 100, "batches_per_s": 130 / ms, "batch_runs": 40, "gpu_batch": row.gpu_batch}
            what = {"table": table.name, "net": row.net, "runtime": runtime, "precision": table.precision}
            where = {"device": "cpu", "threads": 1, "machine_key": machine.machine_key(), "machine": "2 <cores>"}
            records.append({**what, **where, **figures, "madds": 1000 - place, "error": 0.0, "busy": False})
    return records


def test_mean_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(paper_runs, "pinned", lambda threads: nullcontext())
    monkeypatch.setattr(paper_runs, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    fast, slow = Fake(clock, 2.0), Fake(clock, 500.0)
    (fast_ms, fast_runs), (slow_ms, slow_runs) = mean_of_runs([fast, slow], limit_s=4.0)  # type: ignore[list-item]
    assert (fast_ms, fast_runs) == (pytest.approx(2.0), 100)
    assert fast.passes == 120, "one untimed pass in every turn of five"
    assert (slow_ms, slow_runs) == (pytest.approx(500.0), 10), "2.5 s a turn: the second turn is the last"
    assert mean_of_runs([], 1.0) == []


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    records = made_up(TABLE8)
    able = [row.net for row in TABLE8.rows if row.model]
    assert [row.net for row in missing(TABLE8, [], settings)] == able
    assert missing(TABLE8, records, settings) == []
    assert [row.net for row in missing(TABLE8, records[1:], settings)] == able[:1]
    elsewhere = [record | {"machine_key": "another"} for record in records]
    assert len(missing(TABLE8, elsewhere, settings)) == len(able)
    assert len(missing(TABLE8, records, Settings(tmp_path, threads=2))) == len(able)
    assert len(missing(TABLE8, [], Settings(tmp_path, first=3))) == 3


def test_a_torn_line_is_measured_again(tmp_path: Path) -> None:
    records = made_up(TABLE8)[:3]
    lines = [json.dumps(record) for record in records]
    (tmp_path / f"{TABLE8.name}.jsonl").write_text("\n".join([*lines[:2], lines[2][:40]]))
    assert read(TABLE8, tmp_path) == records[:2]
    assert read(TABLES["micronet"], tmp_path) == []


def test_groups_are_kept_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the third group, the first two are there and are not measured again."""
    seen: list[list[str]] = []

    def group(table: Table, rows: Any, settings: Settings) -> list[Record]:
        seen.append([row.net for row in rows])
        if len(seen) == 3:
            raise KeyboardInterrupt
        names = set(seen[-1])
        return [record for record in made_up(table) if record["net"] in names]

    monkeypatch.setattr(paper_runs, "_group", group)
    with pytest.raises(KeyboardInterrupt):
        paper_runs.measure(TABLE8, Settings(tmp_path))
    assert len(read(TABLE8, tmp_path)) == 2 * 2 * paper_runs.GROUP
    stopped = seen[2]
    paper_runs.measure(TABLE8, Settings(tmp_path))
    assert seen[3] == stopped
    assert missing(TABLE8, read(TABLE8, tmp_path), Settings(tmp_path)) == []


def test_every_table_takes_less_than_eight_minutes() -> None:
    settings = Settings(Path())
    for table in TABLES.values():
        assert 5 < estimate_s(table, missing(table, [], settings), settings) < 480, table.name


def test_agreement_is_of_time() -> None:
    found = {(r["net"], r["runtime"]): r for r in made_up(TABLE8)}
    first = agreements(TABLE8, found)[0]
    assert (first.runtime, first.nets) == ("onnxruntime", 31)
    assert first.madds == pytest.approx(-1), "made up so"
    assert first.paper > 0.5, "rows are in the order of their levels, and so are the made-up times"
    wrong = {key: record | {"error": 1.0} for key, record in found.items()}
    assert agreements(TABLE8, wrong) == []


def test_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # of the terminal
    records = made_up(TABLE8)
    records[0] |= {"error": 0.5}
    records[2] |= {"busy": True}
    papers.print_table(TABLE8, records, Settings(tmp_path))
    out = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "wrong answer" in lines["ShuffleNetV2 0.5x"]
    assert "2.00 busy" in lines["MobileNetV1 0.25"]
    assert "130.00*" not in lines["PNASNet"]
    assert "lower tenth of CPU time" in out
    assert "fewer than 100 runs" in out
    assert "reconstructions" in out


def test_page(tmp_path: Path) -> None:
    shown = [(t, {(r["net"], r["runtime"]): r for r in made_up(t, t.runtimes)}) for t in TABLES.values()]
    paper_page.write_page(shown, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    body = text.split("<script")[0]
    assert body.count("<section>") == len(TABLES)
    assert "2 &lt;cores&gt;" in body
    assert "2 <cores>" not in text
    for name in TABLES:
        assert f'id="{name}"' in body
