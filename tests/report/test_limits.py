"""What the card says that its figures do not promise, and how it says it of many classes."""

import json

import pytest

from pumice.report.limits import by_recall, limits, wilson
from pumice.report.page import write_page
from pumice.report.reading import read_run
from pumice.report.records import RunRecords
from pumice.report.tables import card, write_card

from .test_page import page_without_plotly


def test_the_interval_of_a_share():
    """Wilson's interval of 81 of 263, Newcombe (Statistics in Medicine 17, 1998), table I: 0.2553 to 0.3662."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1.0, 20)[1] == pytest.approx(1.0)


def test_weak_classes_and_those_of_few_images_are_named():
    recalls = {"ant": 0.9, "bee": 0.2, "cow": None, "dog": 0.5, "elk": 1.0}
    per_class = [{"name": n, "recall": r, "support": 10 if r is not None else 0} for n, r in recalls.items()]
    run = RunRecords(
        "r",
        metrics={"classes": list(recalls), "val": {"top1": 0.65, "count": 40, "per_class": per_class}},
        dataset={"images": {"train": {"ant": 50, "bee": 3, "cow": 19, "dog": 20}}},
    )
    said = limits(run)
    assert "between 49.5 % and 77.9 %" in said[0]
    assert said[1].startswith("It answers one of its 5 classes")
    assert said[2] == "It recognises least of: bee (20.0 % of 10), dog (50.0 % of 10)."
    assert said[3] == "It had fewer than 20 images to learn from of: bee (3), cow (19)."
    assert [one["name"] for one in by_recall(per_class)] == ["bee", "dog", "ant", "elk"]
    assert limits(RunRecords("young")) == []
    streamed = RunRecords("r", metrics=run.metrics, dataset={"images": {"train": dict.fromkeys(recalls, 0)}})
    assert len(limits(streamed)) == 3


def test_of_many_classes_the_worst_and_the_best(make_run):
    names = [f"class {i}" for i in range(30)]
    folder = make_run(classes=names)
    metrics = json.loads((folder / "metrics.json").read_text())
    for i, one in enumerate(metrics["scores"]["per_class"]):
        one["recall"] = i / 30
    (folder / "metrics.json").write_text(json.dumps(metrics))
    part = card(read_run(folder)).partition("## Accuracy by class")[2].partition("## Limits")[0]
    shown = [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| class ")]
    rows = [name for name in shown if name != "class"]
    assert rows == [*names[:10], *names[:-11:-1]]
    assert "Of 30 classes the 10 worst:" in part


def test_a_matrix_that_is_too_large_is_not_drawn(make_run, tmp_path):
    folder = make_run(classes=[f"c{i}" for i in range(151)])
    text = page_without_plotly(write_page([folder], tmp_path / "page.html"))
    assert "A matrix of 151 classes is too large to draw" in text
    assert 'id="run0-confusion"' not in text
    assert "<h3>By class</h3>" in text


def test_a_condensed_net_says_whose_figures_are_whose(make_run, tmp_path):
    folder = make_run()
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["condensed"] = {"params": 1, "val": {"top1": 0.875}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    said = "Parameters and multiply-adds are those of the condensed form, condensed.safetensors, whose top-1 is 87.5 %"
    assert said in card(read_run(folder))
    assert said in page_without_plotly(write_page([folder], tmp_path / "page.html"))


def test_a_card_says_how_to_make_the_run_again(make_run):
    from pumice.train.config import TrainConfig

    folder = make_run()
    (folder / "config.json").write_text(json.dumps(TrainConfig(data="my photos", epochs=7).to_json()))
    environment = {"command": ["pumice", "train", "my photos"], "git": {"commit": "ab12", "branch": "x", "dirty": True}}
    (folder / "environment.json").write_text(json.dumps(environment))
    text = write_card(folder).read_text(encoding="utf-8")
    assert "```console\n$ pumice train 'my photos'\n```" in text
    assert "7 epochs in batches of 64" in text
    assert f"SHA-256 of the images' names: {'ab' * 32}" in text
    assert "Started in a folder at commit ab12, with changes that were not committed." in text
    assert "$ pumice val model.onnx 'my photos'" in text
