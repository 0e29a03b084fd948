"""`pumice val`: a program in a run folder stands for the run, in eager as well."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pumice.deploy.export import export


def test_eager_runs_the_program_of_a_run(pumice: Any, digits_run: Path, here: Path) -> None:
    run = here / "run"
    shutil.copytree(digits_run, run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "val_fraction": 0.05}))
    weights = pumice("val", run, "--runtime", "eager", "--json").json
    export(digits_run, run / "model.pt2", check=False)  # of batch 1, whatever `val` takes at once
    said = pumice("val", run, "--runtime", "eager", "--json")
    assert said.code == 0, said.err
    assert said.json["runtime"] == "eager"
    assert said.json["count"] == weights["count"] > 50
    assert said.json["loss"] == pytest.approx(weights["loss"], rel=1e-3)
