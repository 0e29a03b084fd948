"""What is measured for `--tune` comes into the code."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pumice.cli.main import app
from pumice.deploy.export import export
from pumice.errors import BadInput
from pumice.native import tune
from pumice.native.candidates import convolutions
from pumice.native.emit.choice import Choice
from pumice.native.ir import Program
from tests.deploy.conftest import manifest, small_net


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_a_tuned_file_has_the_choices_and_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def tuned(program: Program, seconds: float) -> dict[int, Choice]:
        asked.append(seconds)
        return {i: several[0] for i, several in convolutions(program).items()}

    monkeypatch.setattr(tune, "tuned", tuned)
    code = []
    for name, seconds in (("usual", 0.0), ("tuned", 3.0)):
        made = export(small_net(), tmp_path / name, format="c", manifest=manifest(), check=seconds > 0, tune_s=seconds)
        code.append((tmp_path / name / "model.c").read_text())
    assert asked == [3.0]
    assert made.checked["native"] < 1e-4
    assert code[0] != code[1]


def test_other_formats_are_not_tuned(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="onnx cannot be tuned; leave tuning out, or choose native or c"):
        export(small_net(), tmp_path / "net.onnx", manifest=manifest(), tune_s=3.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("format", "time"), [("native", "60"), ("native", "-1s"), ("package", "60s")])
def test_bad_times_and_formats_on_the_command_line(tmp_path: Path, format: str, time: str) -> None:
    command = ["export", "micronet_m0", "--out", str(tmp_path / "net"), "--format", format, "--tune", time]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code != 0
    assert "--tune" in str(ran.exception) + ran.output
    assert not list(tmp_path.iterdir())
