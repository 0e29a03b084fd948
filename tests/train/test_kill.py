"""Real processes, killed for good: `benchmarks/kill.py` with few kills."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.slow  # a minute of CPU: two starts from nothing, and about four runs
@pytest.mark.parametrize("case", ["dropout", "condense"])
def test_killed_runs_end_as_if_nobody_had(case: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--case", case, "--kills", "3", "--seed", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|")]
    assert (cells[0], cells[1], cells[-1]) == (case, "3", "0")
