"""`list --lut` and `fit --lut`: latencies of another device by its table, never taken for measurements."""

import json
from pathlib import Path
from typing import Any

import pytest

from pumice.cost.lut.table import UNKNOWN_MS, Lut

BOARD = "A board, 4 cores (0f0f0f0f)"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of OpenVINO with 8 threads, more than this machine may have cores; every block takes UNKNOWN_MS."""
    monkeypatch.setattr("pumice.cli.list.check", lambda *_: pytest.fail("this machine does not matter"))
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "board.json"
    Lut(
        **{"machine": BOARD, "machine_key": "0f0f0f0f", "runtime": "openvino", "runtime_version": "2025.1"},
        **{"threads": 8, "built_at": "2026-11-25T00:00:00+00:00", "pumice": None, "entries": {}, "regressions": {}},
    ).save(file)
    return file


def test_predicted_and_said_so(pumice: Any, table: Path) -> None:
    said = pumice("list", "squeezenet1_[01]", "--lut", table)
    assert said.code == 0
    assert "ms predicted" in said.out
    assert said.out.endswith(f"predicted, not measured: {BOARD}, openvino, 8 thread(s)\n")
    assert "p50 of a pass" not in said.out
    assert "the table knows nothing of " in said.err
    assert "conv image" in said.err
    assert not (table.parent / "cache").exists(), "no prediction goes into the database"


def test_json_limit_and_front(pumice: Any, table: Path) -> None:
    nets = ("squeezenet1_[01]", "--lut", table, "--json")
    rows = {row["name"]: row for row in pumice("list", *nets, "--threads", "8", "--runtime", "openvino").json}
    assert rows.keys() == {"squeezenet1_0", "squeezenet1_1"}
    for row in rows.values():
        assert (row["predicted"], row["busy"], row["runtime"], row["threads"]) == (True, False, "openvino", 8)
        assert row["machine"] == BOARD
        assert "measured_at" not in row
        assert "conv image" in row["unknown"]
        assert row["figure_ms"] == row["p50_ms"] > 10 * UNKNOWN_MS
    bounds = sorted(row["figure_ci"][1] for row in rows.values())
    assert len(pumice("list", *nets, "--max-latency", f"{bounds[1] * 1.001}ms").json) == 2
    assert pumice("list", *nets, "--max-latency", f"{bounds[0] * 0.999}ms").json == []
    # Their times are equal here, and one of the two has a printed top-1.
    assert [row["name"] for row in pumice("list", *nets, "--pareto").json] == ["squeezenet1_0"]


def test_without_a_filter_it_is_the_classifiers_of_imagenet(
    pumice: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "pumice.cost.predicted.predict_nets", lambda lut, nets: (asked.extend(net.name for net in nets), ({}, {}))[1]
    )
    assert pumice("list", "--lut", table, "--max-latency", "4ms", "--json").json == []
    assert {"mobilenetv2_100", "micronet_m0"} <= set(asked)
    assert not {"condensenet74_cifar", "espnet_p2_q8"} & set(asked)
    asked.clear()
    pumice("list", "condensenet74_cifar", "--lut", table, "--json")
    assert asked == ["condensenet74_cifar"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--runtime", "onnxruntime"), "board.json is a table of openvino, not of onnxruntime"),
        (("--threads", "1"), "board.json is a table of 8 thread(s), not of 1"),
        (("--measured",), "--measured shows what was measured on this machine"),
        (("--lut", "none.json"), "none.json"),
        (("--lut", "newer.json"), "newer.json was made by another version of Pumice"),
        (("--lut", "other.json"), "other.json is no lookup table; make one with `pumice lut build`"),
    ],
)
def test_refused(pumice: Any, table: Path, here: Path, more: tuple[str, ...], words: str) -> None:
    (here / "newer.json").write_text(json.dumps({"pumice_lut": 99}))
    (here / "other.json").write_text("{}")
    said = pumice("list", "squeezenet1_1", "--lut", table, *more)
    assert said.code == 2
    assert said.out == ""
    assert words in said.sentence


def test_a_budget_that_nothing_keeps_by_the_table(pumice: Any, table: Path, here: Path) -> None:
    said = pumice("fit", "digits", "--max-latency", "1us", "--models", "squeezenet1_1", "--lut", table, "--out", "run")
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith("pumice: nothing keeps this budget; the closest is squeezenet1_1 at ")
    assert last.endswith("x the limit of 0.001 ms (predicted, not measured)")
    assert f"latencies are predicted, not measured: {BOARD}, openvino, 8 thread(s)" in said.err
    config = json.loads((here / "run/config.json").read_text())
    assert (config["lut"], config["threads"]) == (str(table), 8)
    closest = next(c for c in json.loads((here / "run/candidates.json").read_text()) if c["p50_ms"] is not None)
    assert (closest["predicted"], closest["runtime"], closest["status"]) == (True, "openvino", "over budget")
    assert not (here.parent / "cache").exists(), "no prediction goes into the database"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--on", "ssh:pi"), "a device that measures and a table that predicts exclude each other; give --on or --lut"),
        (("--runtime", "onnxruntime"), "board.json is a table of openvino, not of onnxruntime"),
        (("--threads", "2"), "board.json is a table of 8 thread(s), not of 2"),
        (("--lut", "none.json"), "none.json"),
    ],
)
def test_fit_refuses(pumice: Any, table: Path, here: Path, more: tuple[str, ...], words: str) -> None:
    said = pumice("fit", "digits", "--max-latency", "2ms", "--lut", table, "--out", "run", *more)
    assert said.code == 2
    assert words in said.sentence
    assert not (here / "run").exists()
