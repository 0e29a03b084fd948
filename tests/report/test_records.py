import json
from pathlib import Path

import pytest

from pumice.errors import BadInput
from pumice.report.reading import read_run
from pumice.report.records import RunRecords, candidate_bound


def test_reads_what_a_fit_wrote(make_run):
    run = read_run(make_run())
    shipped = next(c for c in run.candidates if c["status"] == "shipped")
    assert (run.model, run.runtime, run.name) == (shipped["model"], shipped["runtime"], "caltech")
    assert run.input_size == tuple(shipped["input_size"])
    assert len(run.candidates) == 20
    assert len(run.epochs) == 30
    assert {curve.rung for curve in run.curves} == {0, 1, 2}
    assert run.within_budget is True
    assert run.classes[1] == "barn owl"


def test_every_file_may_be_missing(make_run, tmp_path):
    whole = make_run()
    for kept in whole.iterdir():
        folder = tmp_path / f"only-{kept.name}"
        folder.mkdir()
        (folder / kept.name).write_bytes(kept.read_bytes())
        run = read_run(folder)
        assert run.within_budget in (True, False, None)
        assert isinstance(run.limits, tuple)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "is not JSON"),
        ("config.json", "[]", "one JSON object"),
        ("candidates.json", "{}", "array of objects"),
        ("candidates.json", "[1]", "array of objects"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=said) as error:
        read_run(tmp_path)
    assert name in str(error.value)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(BadInput, match="no run folder"):
        read_run(tmp_path / "absent")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        read_run(tmp_path)


def test_a_row_cut_short_by_a_kill(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,lr,val_top1\n1,0.1,0.5\n2,nan,\n3,0.0")
    assert read_run(tmp_path).epochs == ({"epoch": 1, "lr": 0.1, "val_top1": 0.5}, {"epoch": 2}, {"epoch": 3, "lr": 0})


@pytest.mark.parametrize(("busy", "bound", "clock"), [(False, 2.2, "wall"), (True, 1.9, "cpu")])
def test_the_bound_follows_the_design(busy, bound, clock):
    timing = {"busy": busy, "ci95": [2.0, 2.2], "cpu_ci95": [1.8, 1.9]}
    run = RunRecords("r", benchmark=timing, config={"budget": {"max_latency_ms": 2.0}})
    assert run.bound == (bound, clock)
    assert run.within_budget is busy


def test_budget_edges():
    run = RunRecords("r", config={"budget": {"max_params": 100, "max_madds": None, "runtime": "openvino"}})
    assert run.budget == {"max_params": 100}
    assert run.within_budget is False, "not measured is not within"
    exact = RunRecords("r", config=run.config, profile={"params": 100})
    assert exact.within_budget is True
    over = RunRecords("r", config=run.config, profile={"params": 101})
    assert over.within_budget is False
    refused = RunRecords("r", config=run.config, profile={"params": 1}, metrics={"within_budget": False})
    assert refused.within_budget is False, "a recorded no stays a no"
    assert RunRecords("r").within_budget is None


def test_bound_of_a_candidate_as_number_or_pair():
    assert candidate_bound({"bound_ms": 1.5}) == 1.5
    assert candidate_bound({"bound_ms": [1.5, "cpu"]}) == 1.5
    assert candidate_bound({"bound_ms": None}) is None


def test_sizes_of_files_in_the_folder(make_run):
    folder: Path = make_run()
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["file"], metrics["file_bytes"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert read_run(folder).file is None
    (folder / "model.onnx").write_bytes(b"x" * 1234)
    assert (read_run(folder).file, read_run(folder).file_bytes) == ("model.onnx", 1234)
