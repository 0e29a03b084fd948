"""`fit --task segment`: a file for a budget, judged by mIoU."""

import json
import time
from pathlib import Path

import pytest

from pumice.deploy.session import open_session
from pumice.errors import BadInput, CheckFailed
from pumice.loop.config import FitConfig
from pumice.loop.dense import width_for
from pumice.loop.fit import fit
from tests.cli import made

NET = "mobilenetv3_small_035"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.masks(tmp_path_factory.mktemp("fit") / "masks")


def test_a_file_for_a_budget(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out, began = tmp_path / "run", time.perf_counter()
    settings = {"models": (NET,), "runtime": "onnxruntime", "time_s": 10.0, "task_options": {"scale": [1, 1]}}
    result = fit(data, task="segment", max_latency_ms=500.0, out=out, say=said.append, **settings)
    assert result.model == f"lraspp:{NET}"
    assert result.bound_ms <= 500
    assert result.said.startswith("mIoU")
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["task"], metrics["finished"]) == ("segment", True)
    assert metrics["scores"]["miou"] == result.top1
    # 80 x 64 pixels: the input is a quarter wider than high, in steps of 32.
    assert result.input_size in ((3, 128, 160), (3, 192, 256), (3, 256, 320))
    with open_session(out / "model.onnx") as session:
        assert session.manifest is not None
        assert session.manifest.classes == ("ground", "red", "blue")
        assert session.manifest.decode["options"] == {"scale": [1, 1]}
    candidates = json.loads((out / "candidates.json").read_text())
    assert [c["status"] for c in candidates].count("shipped") == 1
    assert {tuple(c["input_size"]) for c in candidates} == {(3, 128, 160), (3, 192, 256), (3, 256, 320)}
    page = (out / "report.html").read_text()
    assert "mIoU" in page
    assert page.count('class="pair"') == 4
    assert [c["reason"] for c in candidates if c["status"] == "shipped"] == ["best mIoU within the budget"]
    assert f"training 1: {result.model}" in next(sentence for sentence in said if sentence.startswith("training"))
    assert time.perf_counter() - began < 200


def test_an_impossible_budget_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="nothing keeps this budget"):
        fit(data, task="segment", max_madds=1000, out=tmp_path / "run", models=(NET,), time_s=20.0)
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_what_does_not_go_together() -> None:
    with pytest.raises(BadInput, match="segment has no option 'scal'"):
        FitConfig("x", task="segment", task_options={"scal": 1})
    with pytest.raises(BadInput, match="are for task=classify"):
        FitConfig("x", task="detect", weights="a.pth")


def test_inputs_have_the_shape_of_what_is_looked_at(data: Path) -> None:
    from pumice.data.open_masks import open_masks

    samples = open_masks(data).train
    assert [width_for("segment", samples, h) for h in (128, 192, 256)] == [160, 256, 320]
    assert width_for("keypoints", samples, 256) == 192
    assert width_for("detect", samples, 320) == 320
