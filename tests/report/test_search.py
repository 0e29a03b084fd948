import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pumice.errors import BadInput
from pumice.report.page import write_page

HEAD = "number,choice,accuracy,cost,value,seconds,worker,reports,stopped,failed\n"
LINES = (
    "0,0.0.1,0.5,10e6,0.5,3.5,a:1,1:0.5,,\n"
    "1,1.0.1,0.7,30e6,0.7,3.5,a:1,1:0.7,,\n"
    "2,1.1.1,0.9,80e6,0.6,3.5,b:2,1:0.9,,\n"  # over the target
    "3,0.1.1,0.6,40e6,0.6,1.0,b:2,1:0.6,1,\n"
    "4,0.2.1,0.0,20e6,0.0,1.0,a:1,,,the loss is not a number\n"
)
NASTY = "</script><script>document.title='owned'</script>"


def make_search(folder: Path, lines: str = LINES, target: float | None = 60e6, option: str = "large") -> Path:
    folder.mkdir()
    config = {"method": "evolution", "space": "toy", "target": target, "cost": "madds", "training": {"data": "photos"}}
    (folder / "config.json").write_text(json.dumps(config))
    if lines:
        (folder / "trials.csv").write_text(HEAD + lines)
        positions = [{"name": f"layer {i}", "options": ["none", option, "huge"]} for i in range(2)]
        positions.append({"name": "layer 2", "options": ["plain", "gated"]})
        about = {"unit": "multiply-adds", "size": 18, "positions": positions}
        (folder / "search.json").write_text(json.dumps(about))
        (folder / "pareto.json").write_text(json.dumps([{"number": n} for n in (0, 1, 2)]))
    return folder


def text_of(folders, tmp_path) -> str:
    return write_page(folders, tmp_path / "page.html").read_text(encoding="utf-8")


def figures_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)[1])


def test_figures_equal_the_records(tmp_path):
    text = text_of([make_search(tmp_path / "one")], tmp_path)
    tiles = dict(re.findall(r'class="label">([^<]*)</p><p class="value">([^<]*)<', text))
    assert tiles == {
        "best accuracy": "70.0 %",
        "its multiply-adds": "30.0 M",
        "trials": "5",
        "judging took": "12.5 s",
    }
    assert "5 networks of 18, judged on photos, at most 60.0 M multiply-adds." in text
    assert "In all of them: layer 2 gated." in text
    placed = {trace["name"]: trace for trace in figures_of(text)["search0-pareto"]["data"]}
    assert {name: list(zip(t["x"], t["y"], strict=True)) for name, t in placed.items()} == {
        "within the target": [(10e6, 0.5), (30e6, 0.7)],
        "over the target": [(80e6, 0.9)],
        "stopped early": [(40e6, 0.6)],
        "Pareto front": [(10e6, 0.5), (30e6, 0.7), (80e6, 0.9)],
        "on the front": [(10e6, 0.5), (30e6, 0.7), (80e6, 0.9)],
        "best": [(30e6, 0.7)],
    }
    assert "layer 0 large, layer 1 none, layer 2 gated" in placed["best"]["text"][0]
    best = next(t for t in figures_of(text)["search0-best"]["data"] if t["name"] == "best so far")
    assert best["y"] == [0.5, 0.7, 0.7, 0.7], "what is over the target or failed is no best"
    assert "1 that could not be trained are left out" in text
    assert "failed: the loss is not a number" in text
    assert "stopped at epoch 1" in text


def test_a_search_may_be_young(tmp_path):
    assert "No trial is finished yet." in text_of([make_search(tmp_path / "young", "")], tmp_path)
    folder = make_search(tmp_path / "bare")
    for name in ("search.json", "pareto.json"):
        (folder / name).unlink()
    assert "70.0 %" in text_of([folder], tmp_path)
    text = text_of([make_search(tmp_path / "none", LINES.splitlines(keepends=True)[2])], tmp_path)
    assert "no trial keeps the target" in text


def test_several_are_compared(tmp_path):
    folders = [make_search(tmp_path / name) for name in ("one", "two")]
    text = text_of(folders, tmp_path)
    assert "<title>2 searches compared" in text
    assert len(figures_of(text)["compared"]["data"]) == 2
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"data": "digits", "model": "micronet_m0"}))
    with pytest.raises(BadInput, match="of runs or of searches"):
        write_page([folders[0], run], tmp_path / "page.html")


def test_lines_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInput, match=r"trials\.csv has a line that cannot be read"):
        text_of([make_search(tmp_path / "bad", "0,0.0.1,high,1,1,1,a,,,\n")], tmp_path)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_in_a_browser(tmp_path):
    """Everything is drawn, nothing is complained of, no name runs as code."""
    page = write_page([make_search(tmp_path / "a", option=NASTY), make_search(tmp_path / "b")], tmp_path / "page.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    command = ["chromium", *flags, "--virtual-time-budget=8000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    dom, log = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert "CONSOLE" not in log, [line for line in log.splitlines() if "CONSOLE" in line]
    assert f'data-drawn="{len(figures_of(page.read_text(encoding="utf-8")))}"' in dom
    assert "<title>2 searches compared" in dom
