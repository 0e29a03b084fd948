"""The script that proves the counts, on a few networks; and the page's arithmetic, from our own layer records."""

import importlib.util
from math import prod
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pumice.graph.trace import trace
from pumice.models.catalogue import entry
from pumice.models.create import create_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def counting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_counting", ROOT / "benchmarks" / "counting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["weightnet_shufflenetv2_050", "micronet_m0", "condensenet50_cifar", "igcv3_100"])
def test_torch_agrees(counting: ModuleType, name: str) -> None:
    found = entry(name)
    ours, theirs = counting.halved(name, found.input_size)
    assert ours == theirs == found.madds > 1e6


def test_disagreement_and_missing_reasons_are_counted(
    counting: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [entry("semnasnet_035")]
    assert counting.against_print(one) == 0
    monkeypatch.setattr(counting, "REASONS", {})
    assert counting.against_print(one) == 1
    monkeypatch.setattr(counting, "halved", lambda name, size: (1, 2.0))
    assert counting.against_torch(one) == 1
    monkeypatch.setattr(counting, "halved", lambda name, size: (1, "torch's counter fails: no"))
    assert counting.against_torch(one) == 0
    assert "semnasnet_035: torch's counter fails" in capsys.readouterr().out


def test_the_pages_arithmetic(counting: ModuleType) -> None:
    page = (ROOT / "docs" / "counting.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    cells = {row[0]: row[1:] for row in rows if len(row) == 5}
    for column, name in enumerate(counting.EXAMPLES):
        with torch.device("meta"):
            graph = trace(create_model(name), (3, 224, 224))
        norms = sum(prod(layer.output_shape) for layer in graph.layers if layer.op == "norm")
        m, n = (int(cells[key][column].replace(",", "")) for key in ("Pumice (M)", "N"))
        assert (m, n) == (graph.madds, norms)
        pooled = [int(x.replace(",", "")) for x in cells["G, g"][column].split(", ") if x] or [0, 0]
        fvcore = int(cells["fvcore = M + 2 N + G"][column].replace(",", ""))
        assert fvcore == m + 2 * n + pooled[0]
        thop = int(cells["thop"][column].replace(",", ""))
        missed = 105_979_552 if name.startswith("weightnet") else 0
        assert thop == m - missed + 4 * n + sum(pooled)
