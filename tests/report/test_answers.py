"""predictions.csv, read from any folder, scored as training scores, and matched between runs."""

import numpy as np
import pytest

from pumice.report.answers import Answer, judged_by_all, read_answers, scores_of
from pumice.report.reading import read_run
from pumice.tasks.classify import score


def test_a_file_that_a_kill_or_an_editor_has_spoilt(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "name,truth,prediction,p_truth,p_pred\n"
        '"a, ""b"".jpg",ant,bee,0.1,0.8\n'
        "c.jpg,ant,bee,x,0.8\n"  # no number
        "d.jpg,ant,bee,0.1,1.8\n"  # no probability
        "e.jpg,ant,bee,nan,0.8\n"
        "f.jpg,ant,ant,0.7,0.7\n"
        "g.jpg,an"
    )
    assert read_answers(path) == (Answer('a, "b".jpg', "ant", "bee", 0.1, 0.8), Answer("f.jpg", "ant", "ant", 0.7, 0.7))
    path.write_text("something,else\n1,2\n")
    assert read_answers(path) == ()


def test_scores_are_those_of_training():
    """Against `pumice.tasks.classify.score` on the same logits, a class without images among them."""
    rng = np.random.default_rng(0)
    classes, labels = ("a", "b", "c", "d"), rng.integers(0, 3, 300)
    logits = rng.normal(0, 1, (300, 4)) + 2 * np.eye(4)[labels]
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    said = chances.argmax(1)
    rows = [
        Answer(str(i), classes[t], classes[g], chances[i, t], chances[i, g])
        for i, (t, g) in enumerate(zip(labels, said, strict=True))
    ]
    want, got = score(logits, labels, classes).to_json(), scores_of(rows, classes)
    assert got.keys() == want.keys() - {"top5"}
    assert (got["confusion"], got["per_class"], got["count"]) == (want["confusion"], want["per_class"], 300)
    for key in ("top1", "balanced_accuracy", "loss"):
        assert got[key] == pytest.approx(want[key], rel=1e-12)
    assert scores_of(rows, ("a", "b")) == scores_of((), classes) == {}


def test_an_unfinished_run_is_scored_by_its_answers(make_run):
    folder = make_run()
    finished = read_run(folder)
    (folder / "metrics.json").unlink()
    young = read_run(folder)
    assert not young.finished
    assert finished.finished
    assert young.classes == finished.classes
    assert young.scores["confusion"] == finished.scores["confusion"]
    assert young.top1 == pytest.approx(finished.top1)
    assert young.images == {"train": 2400, "val": 600, "skipped": 2}


def test_runs_are_matched_by_name_and_truth():
    def run(*rows):
        return [Answer(name, truth, "x", 0.1, 0.5) for name, truth in rows]

    one, two = run(("1", "x"), ("2", "x"), ("3", "y")), run(("3", "y"), ("2", "z"), ("1", "x"), ("4", "x"))
    assert [tuple(a.name for a in row) for row in judged_by_all([one, two])] == [("1", "1"), ("3", "3")]
    assert judged_by_all([one, run(("9", "x"))]) == []
