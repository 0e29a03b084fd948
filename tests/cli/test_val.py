"""`pumice val`: a program in a run folder stands for the run, in eager as well."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pumice.deploy.export import export


def test_eager_runs_the_program_of_a_run(pumice: Any, digits_run: Path, here: Path) -> None:
    shutil.copytree(digits_run, here / "run")
    export(digits_run, here / "run" / "model.pt2", check=False)  # of batch 1, whatever `val` takes at once
    recorded = json.loads((digits_run / "metrics.json").read_text())["val"]
    for asked in ((), ("--runtime", "eager")):
        said = pumice("val", "run", *asked, "--json")
        assert said.code == 0, said.err
        assert said.json["runtime"] == "eager"
        assert said.json["top1"] == pytest.approx(recorded["top1"], abs=2e-3)
