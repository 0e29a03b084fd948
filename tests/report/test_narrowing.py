"""Pages of NetAdapt and of compound scaling: figures equal the records, records may be young, nothing runs as code."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pumice.errors import BadInput
from pumice.report.page import write_page

NASTY = "</script><script>document.title='owned'</script>"


def offer(group: str, before: int, width: int, cost: float, accuracy: float) -> dict[str, Any]:
    known = {"group": group, "kind": "expansion", "before": before, "width": width, "cost": cost}
    return {**known, "accuracy_cut": 0.1, "accuracy": accuracy, "seconds": 2.0}


def step(number: int, parent: int, taken: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    named = {key: taken[key] for key in ("group", "kind", "before", "width", "cost", "accuracy")}
    counts = {"madds": taken["cost"] * 1e6, "params": taken["cost"] * 1e5, "penalty": 0.0, "seconds": 4.0}
    return {
        "number": number,
        "parent": parent,
        "limit": taken["cost"],
        **named,
        **counts,
        "proposals": [taken, *others],
    }


def make_narrowing(folder: Path, *, steps: int = 4, group: str = "blocks.1", finished: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    seed = step(0, 0, {**offer("", 0, 0, 10.0, 0.9)}) | {"proposals": [], "limit": None}
    made = [
        seed,
        step(1, 0, offer(group, 64, 48, 8.0, 0.88), (offer("blocks.2", 32, 16, 7.9, 0.5),)),
        step(2, 1, offer("blocks.2", 32, 24, 5.0, 0.8)),  # too quick, as measuring shows
        step(3, 1, offer(group, 48, 40, 6.0, 0.87)),
    ][:steps]
    measured = [
        {"number": 0, "ms": 10.5, "seed_ms": 10.5, "scaled_ms": 10.5, "goal": 5.5, "busy": False},
        {"number": 2, "ms": 5.0, "seed_ms": 10.5, "scaled_ms": 5.0, "goal": 6.2, "busy": True},
        {"number": 3, "ms": 6.2, "seed_ms": 11.0, "scaled_ms": 5.9, "goal": 6.1, "busy": False},
    ]
    asked = {"source": "runs/seed", "data": "photos", "target_ms": 6.1, "target_madds": None, "settings": {"step": 0.1}}
    final = {"top1": 0.86, "retrained": 0.86, "target": 6.1, "within": True} if finished else {}
    record = {"format": 1, "asked": asked, "unit": "ms" if steps else "", "steps": made, "widths": {}}
    record |= {"measured": measured if steps else [], "best": 3 if finished else None, "final": final}
    (folder / "netadapt.json").write_text(json.dumps(record))
    return folder


def row(alpha: float, accuracy: float | None, phi: float = 1.0, madds: int = 60_000_000) -> dict[str, Any]:
    known = {"phi": phi, "alpha": alpha, "beta": 1.1, "gamma": 1.15, "depth": 1.2, "width": 1.1, "side": 258}
    return {**known, "rows": 20, "madds": madds, "params": 5_000_000, "growth": 1.93, "asked": 2.0**phi} | {
        "accuracy": accuracy,
        "seconds": None if accuracy is None else 30.0,
    }


def make_scaling(folder: Path, *, trials: int = 3, finished: bool = True) -> Path:
    folder.mkdir()
    tried = [row(1.0, 0.5, madds=55_000_000), row(1.2, 0.7), row(1.4, 0.6)][:trials]
    settings = {"model": "mobilenetv2_100", "side": 224, "grid": ["a", "b", "c"], "training": {"data": "photos"}}
    record: dict[str, Any] = {"settings": settings, "trials": tried}
    if finished:
        record["best"] = {"alpha": 1.2, "beta": 1.1, "gamma": 1.15}
        record["scaled"] = [row(1.2, None, phi, int(60e6 * 2**phi)) for phi in (1.0, 2.0)]
    (folder / "scaling.json").write_text(json.dumps(record))
    (folder / "config.json").write_text(json.dumps({"method": "scaling"}))
    return folder


def text_of(folders: list[Path], tmp_path: Path) -> str:
    return write_page(folders, tmp_path / "page.html").read_text(encoding="utf-8")


def tiles_of(text: str) -> dict[str, str]:
    return dict(re.findall(r'class="label">([^<]*)</p><p class="value">([^<]*)<', text))


def figures_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def placed(text: str, figure: str) -> dict[str, list[tuple[float, float]]]:
    return {one["name"]: list(zip(one["x"], one["y"], strict=True)) for one in figures_of(text)[figure]["data"]}


def rows_of(text: str, label: str) -> list[list[str]]:
    found = re.search(rf'aria-label="{label}".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    assert found is not None
    return [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr>(.*?)</tr>", found[1])]


def test_figures_of_a_narrowing_equal_its_record(tmp_path: Path, make_run: Any) -> None:
    text = text_of([make_narrowing(make_run("found"))], tmp_path)
    own = text[: text.index('id="run0"')]
    assert tiles_of(own) == {
        "held-out accuracy": "87.0 %",
        "ms": "6.00 ms",
        "multiply-adds": "6.00 M",
        "parameters": "600 k",
        "measured": "5.90 ms",
        "top-1": "86.0 %",
        "steps": "2",
    }
    assert "seed narrowed by NetAdapt" in own
    assert "At most 6.10 ms, on photos." in own
    assert placed(text, "search0-steps") == {
        "proposals": [(8.0, 0.88), (7.9, 0.5), (5.0, 0.8), (6.0, 0.87)],
        "given up": [(5.0, 0.8)],
        "steps": [(10.0, 0.9), (8.0, 0.88), (6.0, 0.87)],
        "found": [(6.0, 0.87)],
    }
    (line,) = figures_of(text)["search0-steps"]["layout"]["shapes"]
    assert line["x0"] == 6.1
    assert rows_of(own, "narrowed groups") == [["blocks.1", "expansion", "64", "40", "2"]]
    assert [cells[-1] for cells in rows_of(own, "steps")] == ["", "", "given up", "found"]
    assert [cells[1] for cells in rows_of(own, "steps")] == ["–", "0", "1", "1"]
    assert rows_of(own, "measurements")[1][-1] == "the machine was busy"
    assert "found, the net found" in text, "the run of the net follows"


def test_a_narrowing_may_be_young(tmp_path: Path) -> None:
    assert "No step is finished yet." in text_of([make_narrowing(tmp_path / "a", steps=0, finished=False)], tmp_path)
    text = text_of([make_narrowing(tmp_path / "b", steps=2, finished=False)], tmp_path)
    assert "The search is not finished." in text
    assert placed(text, "search0-steps")["so far"] == [(8.0, 0.88)]
    assert len(rows_of(text, "steps")[0]) == 11, "no column for the step that each goes on from"
    text = text_of([tmp_path / "a", tmp_path / "b"], tmp_path)
    assert "<title>2 searches" in text


def test_figures_of_a_scaling_equal_its_record(tmp_path: Path) -> None:
    text = text_of([make_scaling(tmp_path / "one")], tmp_path)
    assert tiles_of(text) == {
        "alpha": "1.2",
        "beta": "1.1",
        "gamma": "1.15",
        "its accuracy": "70.0 %",
        "trainings": "3",
    }
    assert placed(text, "search0-grid") == {
        "settings": [(55e6, 0.5), (60e6, 0.7), (60e6, 0.6)],
        "best": [(60e6, 0.7)],
    }
    assert [cells[0] for cells in rows_of(text, "scaled networks")] == ["1", "2"]
    assert rows_of(text, "scaled networks")[1][5] == "240 M"
    assert "3 of 3 settings tried on photos" in text
    young = text_of([make_scaling(tmp_path / "two", trials=1, finished=False)], tmp_path)
    assert "The search is not finished." in young
    assert "1 of 3 settings" in young
    with pytest.raises(BadInput, match="of one sort"):
        text_of([tmp_path / "one", make_narrowing(tmp_path / "three")], tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_in_a_browser(tmp_path: Path) -> None:
    """Everything is drawn, nothing is complained of, no name runs as code."""
    narrowed = make_narrowing(tmp_path / "a", group=NASTY, finished=False)
    for place, folder in enumerate((narrowed, make_scaling(tmp_path / "b"))):
        page = write_page([folder], tmp_path / f"{place}.html")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
        command = ["chromium", *flags, "--virtual-time-budget=8000", "--dump-dom", page.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        dom, log = done.stdout.decode(), done.stderr.decode(errors="replace")
        assert "CONSOLE" not in log, [line for line in log.splitlines() if "CONSOLE" in line]
        assert f'data-drawn="{len(figures_of(page.read_text(encoding="utf-8")))}"' in dom
        assert "<title>owned" not in dom
