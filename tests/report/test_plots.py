from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pumice.report.confusion import confusion_figure
from pumice.report.curves import rungs_figure, training_figure
from pumice.report.layers import kind, layers_figure
from pumice.report.plots import candidates_figure, pareto, runs_figure
from pumice.report.reading import read_run
from pumice.report.records import RunRecords


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0, 1)), min_size=1, max_size=30))
def test_pareto_is_what_nothing_beats(points):
    front = pareto(points)
    for cost, accuracy in points:
        beaten = any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points)
        assert beaten or (cost, accuracy) in front
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(front))


def points(figure, name):
    return [(x, y) for t in figure.data if t.name == name for x, y in zip(t.x, t.y, strict=True)]


def test_candidates_stand_where_their_figures_say(make_run):
    run = read_run(make_run(candidates=40))
    figure = candidates_figure(run)
    drawn = [
        p
        for name in ("stopped after rung 1", "stopped after rung 2", "trained to the last rung")
        for p in points(figure, name)
    ]
    trained = [(c["p50_ms"], c["val_top1"]) for c in run.candidates if c["status"] == "trained"]
    assert sorted(drawn) == sorted(trained)
    assert points(figure, "ships") == [(run.shipped["p50_ms"], run.shipped["val_top1"])]
    over = [c["p50_ms"] for c in run.candidates if c["status"] == "over budget"]
    assert sorted(x for x, _ in points(figure, "over budget")) == sorted(over)
    line = figure.layout.shapes[0]
    assert line.x0 == line.x1 == run.budget["max_latency_ms"]
    assert "budget 3.00 ms" in [a.text for a in figure.layout.annotations]
    assert any(run.shipped["model"] in a.text for a in figure.layout.annotations)


def test_without_latency_candidates_stand_by_multiply_adds():
    candidates = tuple(
        {"model": f"m{i}", "madds": 1e6 * i, "val_top1": 0.5 + i / 100, "status": "trained"} for i in (1, 2)
    )
    figure = candidates_figure(RunRecords("r", candidates=candidates, config={"budget": {"max_madds": 5e6}}))
    assert points(figure, "trained") == [(1e6, 0.51), (2e6, 0.52)]
    assert figure.layout.shapes[0].x0 == 5e6
    assert candidates_figure(RunRecords("r", candidates=({"model": "m"},))) is None


def test_curves(make_run):
    run = read_run(make_run())
    figure = rungs_figure(run)
    assert len(figure.data) == len(run.curves)
    assert {t.name for t in figure.data} == {"rung 1", "rung 2", "rung 3", "ships"}
    assert sum(t.showlegend for t in figure.data) == 4
    assert all("<b>" in t.text[0] for t in figure.data)
    final = training_figure(run)
    losses = next(t for t in final.data if t.name == "training loss")
    assert list(losses.y) == [e["train_loss"] for e in run.epochs]
    assert training_figure(RunRecords("r")) is None
    assert rungs_figure(RunRecords("r")) is None


def test_layers_in_order_with_their_share(make_run):
    run = read_run(make_run())
    figure = layers_figure(run.profile)
    counted = [one for one in run.profile["layers"] if one["madds"]]
    bars = sorted((y, x) for t in figure.data if t.type == "bar" for y, x in zip(t.y, t.x, strict=True))
    total = sum(one["madds"] for one in counted)
    assert [y for y, _ in bars] == list(range(len(counted)))
    assert [x for _, x in bars] == pytest.approx([one["madds"] / total for one in counted], rel=1e-12)
    assert list(figure.layout.yaxis.ticktext)[1] == counted[1]["name"]


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ({"op": "conv", "kernel": [1, 1], "groups": 1, "input_shapes": [[1, 8, 4, 4]]}, "pointwise convolution"),
        ({"op": "conv", "kernel": [1, 1], "groups": 4, "input_shapes": [[1, 8, 4, 4]]}, "pointwise convolution"),
        ({"op": "conv", "kernel": [3, 1], "groups": 8, "input_shapes": [[1, 8, 4, 4]]}, "depthwise convolution"),
        ({"op": "conv", "kernel": [3, 3], "groups": 1, "input_shapes": [[1, 8, 4, 4]]}, "convolution"),
        ({"op": "linear"}, "linear"),
        ({"op": "extra"}, "other"),
    ],
)
def test_kinds_of_layers(layer, name):
    assert kind(layer) == name


@pytest.mark.parametrize("size", [2, 10, 40, 100])
def test_confusion_of_any_size(size):
    rng = np.random.default_rng(0)
    matrix = (rng.integers(0, 3, (size, size)) + 20 * np.eye(size, dtype=int)).tolist()
    matrix[0] = [0] * size  # a class without images
    figure = confusion_figure(matrix, [f"name {i}" for i in range(size)])
    z = np.array(figure.data[0].z)
    shares = np.array(matrix) / np.maximum(np.array(matrix).sum(1, keepdims=True), 1)
    assert np.diagonal(z) == pytest.approx(np.diagonal(shares))
    assert z[1, 0] == pytest.approx(-np.sqrt(shares[1, 0]))
    assert f"{matrix[1][0]} of {sum(matrix[1])}" in figure.data[0].customdata[1][0]
    assert figure.layout.height <= 1400


def test_several_runs(make_run):
    runs = [(name, read_run(make_run(name, seed=i))) for i, name in enumerate(("a", "b"))]
    figure = runs_figure(runs)
    for name, run in runs:
        assert points(figure, name)[-1] == (run.benchmark["p50_ms"], run.top1)
    assert runs_figure([("empty", RunRecords("empty"))]) is None
