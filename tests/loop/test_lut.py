"""`fit --lut TABLE` takes every latency from the table of another device, and never says that it was measured."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.cost.budget import Budget
from pumice.cost.lut.table import UNKNOWN_MS, Lut
from pumice.data.open import open_data
from pumice.errors import BadInput
from pumice.loop import begin, fit, screen, ship
from pumice.loop.candidates import promising
from pumice.loop.config import FitConfig
from pumice.loop.where import own_threads, table
from pumice.models.create import create_model

from .test_candidates import candidate

BOARD = "A board, 4 cores (0f0f0f0f)"
NET = "mobilenetv3_small_035"


def save(file: Path, runtime: str = "onnxruntime", **given: Any) -> str:
    """A table of two threads, where every block takes UNKNOWN_MS."""
    Lut(
        **{"machine": BOARD, "machine_key": "0f0f0f0f", "runtime": runtime, "runtime_version": "1.22.0", "threads": 2},
        **{"built_at": "2026-11-25T00:00:00+00:00", "pumice": None, "entries": {}, "regressions": {}, **given},
    ).save(file)
    return str(file)


@pytest.fixture
def lut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nothing is timed, exported to be timed, or kept."""
    for module, name in ((screen, "time_items"), (screen, "export_to_measure"), (screen, "store"), (screen, "lookup")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("measured here"))
    monkeypatch.setattr(ship, "measure_file", lambda *_: pytest.fail("measured here"))
    return save(tmp_path / "board.json")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Noise of two classes, enough to verify a file on."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "photos"


def network(name: str) -> Any:
    """As `fit` builds them, of two classes."""
    return create_model(name, num_classes=2)


def test_candidates_are_predicted(lut: str) -> None:
    wanted = [candidate(NET, 96), candidate(NET, 128), candidate("squeezenet1_1", 96)]
    screen.screen(wanted, FitConfig("digits", threads=2, lut=lut), network, time.perf_counter() + 100)
    assert [c.status for c in wanted] == ["predicted"] * 3
    small, larger, other = (timing.p50_ms for c in wanted for timing in c.timings)
    assert small == larger != other, "here a block's time does not depend on its size"
    assert small / UNKNOWN_MS == pytest.approx(round(small / UNKNOWN_MS))
    for c in wanted:
        said = c.to_json()
        assert said["predicted"] is True
        assert said["bound_ms"] == c.timings[0].ci95[1] > said["p50_ms"]
    assert promising(wanted, 0.1, Budget())[0].model == "squeezenet1_1"


def test_those_over_budget_go(lut: str) -> None:
    wanted = [candidate(NET, 96), candidate(NET, 128)]
    config = FitConfig("digits", Budget(max_latency_ms=0.01), threads=2, lut=lut)
    screen.screen(wanted, config, network, time.perf_counter() + 100)
    assert [c.status for c in wanted] == ["over budget"] * 2
    assert not promising(wanted, 0.1, config.budget)


def test_no_time_left(lut: str) -> None:
    (only,) = wanted = [candidate(NET, 96)]
    screen.screen(wanted, FitConfig("digits", threads=2, lut=lut), network, time.perf_counter() - 1)
    assert (only.status, only.reason, only.timings) == ("not measured", "no time left to predict it", [])


def test_a_file_ships_as_predicted(lut: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained net, whose file is verified here by any runtime, as if the table's were missing."""
    runtime = "openvino"
    monkeypatch.setattr(ship, "installed", lambda name: name != runtime)
    assert [ship.runtime_here(candidate(runtime=name)) for name in ("onnxruntime", runtime)] == ["onnxruntime", "auto"]
    out = tmp_path / "run"
    out.mkdir()
    config = FitConfig(
        str(photos), Budget(max_latency_ms=9.0), threads=2, lut=save(tmp_path / "pi.json", runtime, spread=0.1)
    )
    (out / "config.json").write_text(json.dumps(config.to_json()))
    one, splits = candidate(NET, 96, runtime), open_data(str(photos), seed=0)
    said: list[str] = []
    net = network(NET).eval()
    ship.at_size(net, 96)
    assert ship.try_out(net, one, config, splits, out)
    assert not (out / "trial.onnx").exists()
    result = fit._ship(net, one, [one], [], config, splits, out, time.perf_counter(), said.append)
    assert result is not None
    assert result.to_json()["predicted"] is True
    assert result.bound_ms == one.timings[-1].ci95[1]
    assert (result.runtime, one.status) == (runtime, "shipped")
    timing = json.loads((out / "benchmark.json").read_text())
    assert (timing["predicted"], timing["repeats"], timing["machine"]) == (True, 0, BOARD)
    assert json.loads((out / "candidates.json").read_text())[0]["predicted"] is True
    assert json.loads((out / "verify.json").read_text())["ok"]
    assert json.loads((out / "config.json").read_text())["lut"] == config.lut
    manifest = json.loads((out / "metrics.json").read_text())["manifest"]
    assert manifest["budget"]["predicted_for"] == BOARD
    for page in (said[-1], (out / "model.md").read_text(), (out / "report.html").read_text()):
        assert "predicted, not measured" in page


def test_the_runtime_is_the_table_s(lut: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = FitConfig("digits", threads=2, lut=lut)
    assert begin.runtimes_for(config) == ("onnxruntime",)
    board = save(tmp_path / "vino.json", "openvino")
    monkeypatch.setattr("pumice.deploy.session.installed", lambda name: name == "onnxruntime")
    assert begin.runtimes_for(FitConfig("digits", threads=2, lut=board)) == ("openvino",), "it need not be here"
    with pytest.raises(BadInput, match=r"vino\.json is a table of openvino, not of onnxruntime"):
        begin.runtimes_for(FitConfig("digits", runtime="onnxruntime", threads=2, lut=board))
    with pytest.raises(BadInput, match=r"board\.json is a table of 2 thread\(s\), not of 1"):
        begin.runtimes_for(FitConfig("digits", lut=lut))
    with pytest.raises(BadInput, match="fit cannot ship for runtime 'eager'"):
        begin.runtimes_for(FitConfig("digits", threads=2, lut=save(tmp_path / "torch.json", "eager")))
    with pytest.raises(BadInput, match=r"no file .*missing\.json"):
        begin.runtimes_for(FitConfig("digits", lut=str(tmp_path / "missing.json")))


def test_threads_are_the_table_s_unless_others_are_asked_for(lut: str) -> None:
    assert [own_threads(None, None), own_threads(None, lut), own_threads(3, lut)] == [1, 2, 3]


def test_a_table_that_was_written_again_is_read_again(lut: str) -> None:
    config = FitConfig("digits", threads=2, lut=lut)
    before = table(config)
    assert before is not None
    assert table(config) is before, "what it inferred is remembered"
    save(Path(lut), pass_ms=1.0)
    after = table(config)
    assert after is not None
    assert after.pass_ms == 1.0


def test_a_device_and_a_table_exclude_each_other(lut: str) -> None:
    with pytest.raises(BadInput, match="exclude each other; give --on or --lut"):
        FitConfig("digits", on="ssh:pi", lut=lut)
    assert FitConfig.from_json(FitConfig("digits", lut=lut).to_json()).lut == lut
