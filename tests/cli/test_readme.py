"""The commands and the Python lines of the README, as they stand there but with less patience."""

import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"<!-- tested: [^>]*-->\n```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
SHORTER = {"--time 5s": "--time 1s", "--epochs 2": "--epochs 1", "time_limit_s=2": "time_limit_s=0.2"}


def shortened(block: str) -> str:
    for usual, shorter in SHORTER.items():
        block = block.replace(usual, shorter)
    return block


def test_there_are_blocks_of_both_kinds():
    assert [kind for kind, _ in BLOCKS] == ["console", "python"]
    assert all(any(usual in block for _, block in BLOCKS) for usual in SHORTER)


def test_commands_run(pumice, here):
    lines = [line for line in shortened(BLOCKS[0][1]).splitlines() if line.startswith("$ pumice ")]
    assert len(lines) >= 9
    for line in lines:
        said = pumice(*shlex.split(line, comments=True)[2:])
        assert said.code == 0, f"{line}\n{said.err}"
        assert said.out.strip(), line
    assert (here / "runs/digits/report.html").stat().st_size > 10**6


def test_python_runs(here):
    exec(compile(shortened(BLOCKS[1][1]), str(README), "exec"), {})
    assert (here / "m0.onnx").exists()


@pytest.mark.parametrize(
    "target", re.findall(r"^\$ make (\w+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
)
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (README.parent / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
