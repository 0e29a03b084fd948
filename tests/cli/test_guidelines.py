"""`pumice guidelines`: two nets measured for a moment, the page, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pumice.cost.guidelines.experiment import Column


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each experiment's first column alone, of two cases on a small map, so that a test takes a second."""
    from pumice.cost.guidelines import measure

    real = measure.experiment

    def cut(name: str) -> Any:
        one = real(name)

        def columns(widths: Any) -> tuple[Column, ...]:
            first = one.columns(widths)[0]
            kept = {case.label for case in first.cases[:2]}
            claims = tuple(claim for claim in first.claims if {claim.fast, claim.slow} == kept)
            sizes = tuple((c, min(h, 64), min(w, 64)) for c, h, w in first.input_sizes[:2])
            return (Column(first.title, first.cases[:2], sizes, claims),)

        return replace(one, columns=columns)

    monkeypatch.setattr(measure, "experiment", cut)


@pytest.mark.usefixtures("small")
def test_the_four_guidelines_by_default(pumice: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = pumice("guidelines", "--runtime", "onnxruntime", "--time", "1s", "--page", page, "--json")
    assert said.code == 0
    record = said.json
    assert [one["name"] for one in record["experiments"]] == ["g1", "g2", "g3", "g4"]
    words = {"holds", "does not hold", "within the spread", "holds in part"}
    for one in record["experiments"]:
        assert [verdict["runtime"] for verdict in one["verdicts"]] == ["onnxruntime"]
        assert one["verdicts"][0]["verdict"] in words
        for case in one["columns"][0]["cases"]:
            low, high = case["measured"]["onnxruntime"]["ci95"]
            assert 0 < low <= case["measured"]["onnxruntime"]["p50_ms"] <= high
    assert "Do the papers" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("small")
def test_tables_for_people(pumice: Any) -> None:
    said = pumice("guidelines", "tail", "--runtime", "eager", "--time", "1s")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("tail: The efficient last stage.")
    assert any(line.startswith("efficient saves ") and line.endswith("30 M and 7 ms on a phone.") for line in lines)
    assert any(" in eager (of 1 comparisons: " in line for line in lines)
    assert "1 thread(s), batch 1, float32, cpu; widths are those of the paper's phone; " in said.out
    assert "measuring" not in said.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("g5",), "there is no experiment 'g5'; choose g1, g2, g3, g4, units, h-swish"),
        (("g1,h-swich",), "there is no experiment 'h-swich'; did you mean 'h-swish'?"),
        (("--time", "5"), "--time 5 has no unit"),
        (("--widths", "phone"), "--widths 'phone' are unknown; choose arm, gpu or aligned"),
        (("--device", "gpu"), "--device 'gpu' is unknown"),
        (("--runtime", "onnxruntim"), "no runtime 'onnxruntim'; did you mean 'onnxruntime'?"),
        (("--threads", "10000"), "10000 threads cannot run at once"),
    ],
)
def test_what_is_not_there(pumice: Any, args: tuple[str, ...], words: str) -> None:
    said = pumice("guidelines", *args)
    assert said.code == 2
    assert said.out == ""
    assert words in said.sentence


def test_a_runtime_that_is_not_installed(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.deploy.session.find_spec", lambda name: None)
    said = pumice("guidelines", "g1", "--runtime", "openvino")
    assert said.code == 2
    assert "runtime openvino is not installed" in said.sentence
