"""A table filled from made-up times: what is looked up, what is inferred, how whole networks correct it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from pumice.cost.lut.ask import extended, with_samples
from pumice.cost.lut.blocks import blocks
from pumice.cost.lut.build import PROBES, chosen, jobs, measure, sample
from pumice.cost.lut.probes import probe
from pumice.cost.lut.table import KEPT_APART, UNKNOWN_MS, Lut, Origin, Sample, around_operators, corrected, make_table
from pumice.deploy.op_times import OpTime
from pumice.errors import BadInput
from pumice.graph.trace import trace

ORIGIN = Origin("a machine (0123abcd)", "0123abcd", "onnxruntime", "1.0", 1, "2026-01-01T00:00:00+00:00", "0.1.0")


def law(block):
    """ms of a block on a made-up machine."""
    moved = sum(math.prod(shape) for shape in block.inputs) + math.prod(block.output) + block.weights
    return 0.002 + block.madds / 2e7 + moved / 5e6


def made_up(seed, overhead_ms=0.1, slower=1.1):
    model, size = probe(seed)
    found = blocks(trace(model, size))
    ms = tuple(map(law, found))
    return Sample(f"probe {seed}", found, ms, (1,) * len(found), slower * sum(ms) + overhead_ms)


@pytest.fixture(scope="module")
def samples():
    return [made_up(seed) for seed in range(50)]


@pytest.fixture(scope="module")
def table(samples):
    return make_table(samples, ORIGIN)


def test_blocks_are_looked_up(table, samples):
    first = samples[0].charged(table.run_ms)
    for block, ms in zip(samples[0].blocks, first, strict=True):
        # A median over the networks that hold the block.
        assert table.entries[block.key] == pytest.approx(ms, rel=0.15)
    prediction = table.predict(samples[0].blocks)
    assert prediction.known == 1.0
    assert prediction.sum_ms == pytest.approx(sum(first), rel=0.02)


def test_every_fifth_network_stays_out(table, samples):
    apart = samples[KEPT_APART - 1]
    assert any(block.key not in table.entries for block in apart.blocks)


def test_new_networks_are_predicted(table):
    new = [made_up(seed) for seed in range(100, 120)]
    off = [table.predict(s.blocks).ms / s.total_ms - 1 for s in new]
    assert np.mean(np.abs(off)) < 0.08
    inside = [p.low_ms <= s.total_ms <= p.high_ms for s in new for p in [table.predict(s.blocks)]]
    assert sum(inside) >= 16
    assert 0.03 < np.mean([table.predict(s.blocks).known for s in new]) < 0.95


def test_the_correction_is_learned(table, samples):
    assert table.scale == pytest.approx(1.0, rel=0.08)
    assert 0.0 < table.spread < 0.15
    slower = [replace(s, total_ms=1.3 * table.predict(s.blocks).ms + 0.2) for s in samples[-10:]]
    again = corrected(table, slower)
    assert again.scale == pytest.approx(1.3 * table.scale, rel=0.05)
    assert again.pass_ms == pytest.approx(1.3 * table.pass_ms + 0.2, rel=0.3)
    assert again.spread < 0.02


def test_queries_are_fast_once_asked(table, samples):
    keys = [block.key for block in samples[0].blocks]
    assert all(table.ms(key) is not None for key in keys)
    assert table.ms("no such block") is None


def test_round_trip(table, samples, tmp_path):
    table.save(tmp_path / "lut.json")
    again = Lut.load(tmp_path / "lut.json")
    new = made_up(200)
    assert again.predict(new.blocks).ms == pytest.approx(table.predict(new.blocks).ms, rel=1e-3)
    assert again.machine == ORIGIN.machine
    assert Sample.from_json(json.loads(json.dumps(samples[0].to_json()))) == samples[0]


def test_unknown_work_is_named():
    empty = Lut(**ORIGIN.__dict__, entries={}, regressions={})
    found = made_up(0).blocks
    prediction = empty.predict(found)
    assert prediction.sum_ms == pytest.approx(UNKNOWN_MS * len(found))
    assert "conv 1x1" in prediction.unknown
    assert prediction.known == 0.0


def test_bad_tables(table, tmp_path):
    file = tmp_path / "lut.json"
    with pytest.raises(BadInput, match="no file"):
        Lut.load(file)
    file.write_text("{}")
    with pytest.raises(BadInput, match="is no lookup table"):
        Lut.load(file)
    table.save(file)
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({**whole, "pumice_lut": 99}))
    with pytest.raises(BadInput, match="another version"):
        Lut.load(file)
    file.write_text(json.dumps({k: v for k, v in whole.items() if k != "entries"}))
    with pytest.raises(BadInput, match="damaged"):
        Lut.load(file)
    with pytest.raises(BadInput, match="at least 10 networks, not 3"):
        make_table([made_up(seed) for seed in range(3)], ORIGIN)
    with pytest.raises(BadInput, match="without work"):
        table.predict(())


def test_a_pass_is_charged_to_blocks():
    graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1)), (3, 18, 18))
    ops = [
        OpTime("n1_nchwc", "Conv", 1.0),
        OpTime("n2_nchwc", "MaxPool", 2.0),
        OpTime("ReorderOutput", "ReorderOutput", 0.5),
        OpTime("ReorderInput", "ReorderInput", 0.25),
        OpTime("n3_nchwc", "Conv", 4.0),
    ]
    found = sample("net", graph, ops, 8.5, "onnxruntime")
    assert (found.block_ms, found.runs) == ((1.0, 2.5, 4.25), (1, 1, 1))
    # 0.75 ms beyond the operators, in proportion, or as if a quarter were around each operator.
    assert found.charged(0.0) == pytest.approx([1.0 * 8.5 / 7.75, 2.5 * 8.5 / 7.75, 4.25 * 8.5 / 7.75])
    assert found.charged(0.25) == pytest.approx([1.25, 2.75, 4.5])


def test_work_around_operators_is_told_from_their_time(samples):
    """A pass of 1.08 times the operators' time and 3 us around each: in short networks that is most of it."""

    def passed(s):
        ms = np.array(s.block_ms) / 40
        return replace(s, block_ms=tuple(ms), total_ms=1.08 * ms.sum() + 0.003 * sum(s.runs))

    found = around_operators([passed(s) for s in samples[:30]])
    assert found == pytest.approx(0.003 / 1.08, abs=0.0005)


def test_networks_that_fill_a_table():
    names = [entry.name for entry in chosen()]
    assert len(names) == len(set(names)) > 80
    assert len({entry.family for entry in chosen()[:20]}) >= 19
    planned = [name for name, _ in jobs()]
    assert planned[: PROBES + 1] == [*(f"probe {i}" for i in range(PROBES)), names[0]]
    assert set(names) <= set(planned)


def test_a_runtime_without_profiler():
    with pytest.raises(BadInput, match="eager does not tell the time of single operators"):
        measure(iter(()), "eager", 1)


def test_extension(table, monkeypatch):
    new = made_up(300)
    missing = [block for block in new.blocks if block.key not in table.entries]
    assert missing
    wider = with_samples(table, [new])
    assert wider.predict(new.blocks).known == 1.0
    assert wider.entries[samples_key(table)] == table.entries[samples_key(table)]
    with pytest.raises(BadInput, match="extend it there"):
        extended(replace(table, machine_key="other"), [])


def samples_key(table):
    return next(iter(table.entries))
