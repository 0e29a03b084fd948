"""`pumice lut build` and `pumice lut predict`."""

import json
import math
from itertools import islice

import pytest

from pumice.cost.lut import build
from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.probes import probe
from pumice.cost.lut.table import Origin, Sample, make_table
from pumice.graph.trace import trace

ORIGIN = Origin("a board (0123abcd)", "0123abcd", "onnxruntime", "1.0", 1, "2026-01-01T00:00:00+00:00", "0.1.0")


def made_up(seed):
    model, size = probe(seed)
    found = blocks(trace(model, size))
    ms = tuple(0.002 + block.madds / 2e7 + math.prod(block.output) / 5e6 for block in found)
    return Sample(f"probe {seed}", found, ms, (1,) * len(found), sum(ms) + 0.1)


@pytest.fixture(scope="module")
def samples():
    return [made_up(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def table(samples, tmp_path_factory):
    file = tmp_path_factory.mktemp("tables") / "board.json"
    make_table(samples, ORIGIN).save(file)
    return file


def test_help(pumice):
    assert "build" in pumice("lut", "--help").out
    assert pumice("lut", "--help").code == 0
    for verb in ("build", "predict"):
        said = pumice("lut", verb, "--help")
        assert said.code == 0
        assert "--json" in said.out


def test_predict(pumice, table):
    said = pumice("lut", "predict", "shufflenetv2_050", "micronet_m0", "--lut", table, "--input", "3x96x96", "--json")
    first, second = said.json
    assert (said.code, first["name"], first["input_size"]) == (0, "shufflenetv2_050", [3, 96, 96])
    assert first["predicted"] is True
    assert first["machine"] == ORIGIN.machine
    assert 0 < first["low_ms"] < first["ms"] < first["high_ms"]
    assert first["ms"] != second["ms"]
    said = pumice("lut", "predict", "shufflenetv2_050", "--lut", table)
    assert "Predicted, not measured: a board (0123abcd); onnxruntime 1.0, 1 thread(s), 2026-01-01" in said.out


def test_build(pumice, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "measure", lambda *given: samples)
    said = pumice("lut", "build", "--runtime", "onnxruntime", "--out", tmp_path / "new.json", "--json")
    assert said.code == 0
    assert said.json["networks"] == 12
    assert said.json["entries"] > 100
    assert json.loads((tmp_path / "new.json").read_text())["runtime"] == "onnxruntime"
    said = pumice("lut", "build", "--runtime", "onnxruntime", "--out", tmp_path / "new.json")
    assert "12 networks" in said.out


def test_build_from_one_network(pumice, samples, tmp_path, monkeypatch):
    planned = []

    def measure(jobs, *given):
        planned.extend(islice(jobs, 3))
        return samples

    monkeypatch.setattr(build, "measure", measure)
    options = ("--runtime", "onnxruntime", "--out", tmp_path / "new.json", "--input", "3x64x64")
    assert pumice("lut", "build", "--network", "micronet_m0", *options).code == 0
    assert [name for name, _ in planned] == ["micronet_m0", "micronet_m0 cut 0", "micronet_m0 cut 1"]
    assert planned[0][1]()[1] == (3, 64, 64)
    said = pumice("lut", "build", *options)
    assert (said.code, said.sentence) == (2, "--input is the size of --network; give both, or neither")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("predict", "micronet_m0", "--lut", "absent.json"), "no file absent.json"),
        (("build", "--runtime", "onnxrutnime", "--out", "x.json"), "no runtime 'onnxrutnime'; did you mean"),
        (("build", "--runtime", "onnxruntime", "--out", "x.json", "--time", "9"), "--time 9 has no unit"),
        (("build", "--runtime", "onnxruntime", "--out", "x.json", "--on", "telnet:x"), "no device 'telnet:x'"),
        (("build", "--runtime", "onnxruntime", "--out", "x.json", "--threads", "99"), "99 threads cannot run"),
        (("build", "--runtime", "onnxruntime", "--out", "."), ". is a folder; name a file"),
        (("guess",), "guess"),
        ((), "missing command"),
    ],
)
def test_refusals(pumice, words, sentence):
    said = pumice("lut", *words)
    assert said.code == 2
    assert sentence in said.sentence


def test_extending_the_table_of_another_machine(pumice, table):
    said = pumice("lut", "predict", "micronet_m0", "--lut", table, "--extend")
    assert said.code == 2
    assert "extend it there" in said.sentence


@pytest.mark.slow
def test_a_real_table(pumice, tmp_path):
    file = tmp_path / "here.json"
    said = pumice("lut", "build", "--runtime", "onnxruntime", "--out", file, "--time", "90s", "--json")
    assert said.code == 0
    (before,) = pumice("lut", "predict", "mobilenetv3_small_100", "--lut", file, "--json").json
    (after,) = pumice("lut", "predict", "mobilenetv3_small_100", "--lut", file, "--extend", "--json").json
    assert before["known"] < after["known"] == pytest.approx(1.0)
    (timing,) = pumice("benchmark", "mobilenetv3_small_100", "--runtime", "onnxruntime", "--json").json
    assert after["ms"] == pytest.approx(timing["figure_ms"], rel=0.35)
