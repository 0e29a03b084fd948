import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from pumice.errors import BadInput
from pumice.report.page import write_page

NASTY = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "quote \" and ' and & and \\",
    "{{7*7}} ${x} %{y} <b>bold</b>",
    "日本語の名前",
    "a very long class name that goes on and on, as those of museums do, without any consideration for columns",
)


def page_without_plotly(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    assert text.count(get_plotlyjs()) == 1, "plotly.js is embedded once"
    return text.replace(get_plotlyjs(), "")


def figures_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)[1])


def test_nothing_is_fetched(make_run, tmp_path):
    text = page_without_plotly(write_page([make_run()], tmp_path / "report.html"))
    assert "http://" not in text
    assert "https://" not in text
    assert "Content-Security-Policy\" content=\"default-src 'none';" in text
    assert not re.search(r"<(link|script|iframe)[^>]*\s(src|href)=(?!\"data:,\")", text)
    assert not re.search(r'src="(?!data:image/png;base64,)', text)


def test_figures_equal_the_records(make_run, tmp_path):
    folder = make_run()
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    metrics, timing, profile = (
        json.loads((folder / f"{n}.json").read_text()) for n in ("metrics", "benchmark", "profile")
    )
    tiles = dict(re.findall(r'class="label">([^<]*)</p><p class="value">([^<]*)<', text))
    assert tiles == {
        "top-1 accuracy": f"{100 * metrics['scores']['top1']:.1f} %",
        "latency, p50": f"{timing['p50_ms']:.2f} ms",
        "file": f"{metrics['file_bytes'] / 1e6:.1f} MB",
        "multiply-adds": f"{profile['madds'] / 1e6:.1f} M",
        "parameters": f"{profile['params'] / 1e6:.2f} M",
        "verified": "yes",
    }
    assert "Within budget: yes" in text
    assert f"95 % bound {timing['ci95'][1]:.2f} ms of 3.00 ms" in text
    rows = re.search(r'<table class="sortable candidates">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)[1].split("</tr>")[
        :-1
    ]
    candidates = json.loads((folder / "candidates.json").read_text())
    shown = [re.findall(r'data-v="([^"]*)"', row) for row in rows]
    assert sorted((r[0], float(r[1])) for r in shown) == sorted((c["model"], c["input_size"][-1]) for c in candidates)
    for c in candidates:
        if c["p50_ms"] is not None:
            assert any(r[0] == c["model"] and str(c["p50_ms"]) in r and str(c["madds"]) in r for r in shown)
    assert "shipped" in rows[0]
    assert text.count('<figure class="shot ') == 24
    wrong = [p for p in json.loads((folder / "predictions.json").read_text()) if p["truth"] != p["prediction"]]
    assert text.count('class="shot wrong"') == len(wrong) > 0


def test_over_budget_and_busy_are_said(make_run, tmp_path):
    folder = make_run(busy=True)
    timing = json.loads((folder / "benchmark.json").read_text())
    (folder / "benchmark.json").write_text(json.dumps(timing | {"bound_ms": 3.0001}))
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    assert "Within budget: no" in text
    assert "The machine was busy" in text


def test_nothing_fits(make_run, tmp_path):
    folder = tmp_path / "failed"
    folder.mkdir()
    pool = [
        {"model": "small", "input_size": [3, 96, 96], "p50_ms": 1.4, "bound_ms": 1.5, "status": "over budget"},
        {"model": "large", "input_size": [3, 96, 96], "p50_ms": 2.4, "bound_ms": 2.5, "status": "over budget"},
    ]
    (folder / "candidates.json").write_text(json.dumps(pool))
    (folder / "config.json").write_text(json.dumps({"data": "digits", "budget": {"max_latency_ms": 1.0}}))
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    assert "Nothing ships" in text
    assert "The closest candidate, small at 3×96×96, takes 1.50 ms: 50.0 % over the 1.00 ms asked for." in text


def test_names_are_harmless(make_run, tmp_path):
    text = page_without_plotly(write_page([make_run(classes=NASTY)], tmp_path / "report.html"))
    assert text.count("<script") == text.count("</script>") == 3
    assert "<img src=x" not in text
    assert "<b>bold" not in text
    names = figures_of(text)["run0-confusion"]["layout"]["yaxis"]["ticktext"]
    assert not any("<" in name for name in names)


def test_an_image_that_is_no_embedded_image_is_not_shown(make_run, tmp_path):
    folder = make_run()
    shots = json.loads((folder / "predictions.json").read_text())
    shots[0]["image"] = "https://example.org/x.png"
    shots[1]["image"] = 'data:image/png;base64,AAAA" onload="alert(1)'
    (folder / "predictions.json").write_text(json.dumps(shots))
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    assert text.count('<span class="blank"') == 2
    assert "example.org" not in text
    assert "onload" not in text


def test_parts_may_be_missing(make_run, tmp_path):
    whole = make_run()
    for kept in whole.iterdir():
        folder = tmp_path / f"only-{kept.stem}-{kept.suffix[1:]}"
        folder.mkdir()
        (folder / kept.name).write_bytes(kept.read_bytes())
        text = page_without_plotly(write_page([folder], tmp_path / "one.html"))
        shown = re.sub(r"<(script|style|code)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert "None" not in shown
    for missing in whole.iterdir():
        folder = tmp_path / f"without-{missing.stem}-{missing.suffix[1:]}"
        shutil.copytree(whole, folder)
        (folder / missing.name).unlink()
        write_page([folder], tmp_path / "most.html")


def test_a_plain_training_run(make_run, tmp_path):
    whole, folder = make_run(), tmp_path / "plain"
    folder.mkdir()
    shutil.copy(whole / "metrics.csv", folder)
    (folder / "config.json").write_text(json.dumps({"data": "digits", "model": "micronet_m0", "epochs": 30}))
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    assert '<h1 class="title">micronet_m0</h1>' in text
    assert "Within budget" not in text
    assert list(figures_of(text)) == ["run0-training"]


def test_several_runs_in_one_page(make_run, tmp_path):
    runs = [make_run("a/run", seed=0), make_run("b/run", seed=1)]
    text = page_without_plotly(write_page(runs, tmp_path / "report.html"))
    assert "2 runs compared" in text
    assert "<b>run (2)</b>" in text
    figures = figures_of(text)
    assert {"runs-cost", "runs-training", "run0-candidates", "run1-candidates"} <= set(figures)
    assert len(set(re.findall(r'class="plot" id="([^"]*)"', text))) == len(figures)


def test_equal_records_give_equal_bytes(make_run, tmp_path):
    one, two = make_run("x/run"), make_run("y/run")
    pages = [write_page([folder], tmp_path / f"{folder.parent.name}.html").read_bytes() for folder in (one, two)]
    assert pages[0] == pages[1]
    assert len(pages[0]) < 6_000_000


def test_bad_input_leaves_nothing_behind(make_run, tmp_path, monkeypatch):
    out = tmp_path / "out" / "report.html"
    for runs in ([], [tmp_path / "absent"]):
        with pytest.raises(BadInput):
            write_page(runs, out)
    assert not out.exists()
    folder = make_run()
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(BadInput, match=r"pip install 'pumice\[report\]'"):
        write_page([folder], out)
    assert not out.parent.exists()


def test_no_torch_and_no_plotly_on_import():
    code = (
        "import sys, pumice.report.page, pumice.report.tables; print({'torch', 'plotly', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_in_a_browser(make_run, tmp_path):
    """Everything is drawn, nothing is complained of, no name runs as code, tables sort."""
    page = write_page([make_run("a", classes=NASTY), make_run("b")], tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    click = "<script>document.querySelectorAll('table.candidates thead button')[7].click()</script>"
    page.write_text(text.replace("</body>", f"{click}</body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom", page.as_uri()]
    done = subprocess.run(["chromium", *flags], capture_output=True, timeout=120, check=True)
    dom, log = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert "CONSOLE" not in log, [line for line in log.splitlines() if "CONSOLE" in line]
    figures = figures_of(text)
    assert f'data-drawn="{len(figures)}"' in dom
    body = dom.split("</noscript>")[0]
    assert body.count('class="main-svg"') >= len(figures)
    assert "<title>2 runs compared" in dom
    table = re.search(r'<table class="sortable candidates">.*?</table>', dom, re.DOTALL)[0]
    madds = [float(re.findall(r'data-v="([^"]*)"', row)[-3]) for row in table.split("<tr")[2:] if "over budget" in row]
    assert 'aria-sort="ascending"' in table
    assert len(madds) > 3
    assert madds == sorted(madds)


def test_a_prediction_is_never_shown_as_measured(make_run, tmp_path):
    folder = make_run()
    timing = json.loads((folder / "benchmark.json").read_text())
    pool = json.loads((folder / "candidates.json").read_text())
    said = {"predicted": True, "repeats": 0}
    (folder / "benchmark.json").write_text(json.dumps(timing | said))
    pool = [one | said if one["p50_ms"] is not None else one for one in pool]
    (folder / "candidates.json").write_text(json.dumps(pool))
    text = page_without_plotly(write_page([folder], tmp_path / "report.html"))
    assert "The latency is predicted, not measured: a lookup table of Example CPU, 2 cores, Linux (0a1b2c3d)" in text
    assert "float32, predicted, not measured." in text
    assert "latency, predicted" in text
    assert "latency, p50" not in text
    assert text.count(">predicted</span>") == sum("predicted" in one for one in pool) > 0
    assert "latency, ms per image (predicted, not measured; log scale)" in text
    both = page_without_plotly(write_page([folder, make_run("other")], tmp_path / "both.html"))
    assert "latency, ms per image (p50, log scale)" in both, "one of the two is measured"
    assert "(predicted)" in both
