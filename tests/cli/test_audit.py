"""`pumice audit`: findings for people and machines, and edits measured on request."""

import re
from typing import Any

import pytest


def test_findings_for_machines(pumice: Any) -> None:
    said = pumice("audit", "shufflenetv1_g8_050", "--input", "3x96x96", "--json")
    assert said.code == 0
    value = said.json
    assert (value["name"], value["input_size"], value["unit"]) == ("shufflenetv1_g8_050", [3, 96, 96], "elements")
    edits = [finding for finding in value["findings"] if finding["edit"]]
    assert {finding["guideline"] for finding in edits} == {"G2", "G4"}
    assert all(finding["edit"]["madds_after"] <= value["madds"] for finding in edits)
    assert all(not finding["measured"] for finding in value["findings"])


def test_findings_for_people(pumice: Any) -> None:
    said = pumice("audit", "mobilenetv3_small_050", "--input", "3x64x64")
    assert said.code == 0
    assert "hardswish by ReLU" in said.out
    assert "(then retrain)" in said.out
    assert "nothing was run" in said.out


def test_edits_measured(pumice: Any) -> None:
    pytest.importorskip("onnxruntime")
    said = pumice(
        "audit", "mobilenetv3_small_050", "--input", "3x64x64", "--measure", "--top", "1", "--time", "2s", "--json"
    )
    assert said.code == 0
    value = said.json
    assert (value["unit"], value["runtime"]) == ("ms", "onnxruntime")
    (gain,) = value["findings"][0]["measured"]
    assert gain["runtime"] == "onnxruntime"
    assert gain["gain_ms"] == pytest.approx(gain["before_ms"] - gain["after_ms"])
    assert gain["faster"] == (gain["gain_ci95_ms"][0] > 0)
    assert not value["findings"][1]["measured"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("mobilenetv2_10",), "no network is called"),
        (("mobilenetv2_100", "--runtime", "caffe"), "caffe"),
        (("mobilenetv2_100", "--input", "3x224"), "--input '3x224' is no shape"),
        (("mobilenetv2_100", "--measure", "--time", "12"), "--time"),
    ],
)
def test_what_is_not_there(pumice: Any, args: tuple[str, ...], words: str) -> None:

    said = pumice("audit", *args)
    assert said.code == 2
    assert re.search(words, said.sentence)
