"""Several runs in one page: what differs, seeds taken together, mistakes in common, runs that do not compare."""

import csv
import json
import re

import pytest

from pumice.report.comparison import runs_table, same_classes
from pumice.report.curves import runs_training_figure
from pumice.report.mistakes import compared
from pumice.report.page import write_page
from pumice.report.records import RunRecords
from pumice.report.settings import alike, command_line, differing, in_words
from pumice.train.config import TrainConfig

from .test_page import figures_of, page_without_plotly

PICTURE = "data:image/jpeg;base64,AAAA"


def trained(name="r", *, finished=True, top1=(0.5, 0.75), answers=(), classes=("a", "b"), **settings):
    """A training run of two epochs as its records say it."""
    from pumice.report.answers import Answer

    epochs = tuple(
        {"epoch": float(i + 1), "val_top1": t, "val_loss": 1 - t, "train_loss": 2 - t} for i, t in enumerate(top1)
    )
    rows = tuple(Answer(n, t, g, 0.1, p) for n, t, g, p in answers)
    pictures = tuple({**r._asdict(), "image": PICTURE} for r in rows if r.wrong)
    return RunRecords(
        name,
        config=TrainConfig(**settings).to_json(),
        metrics={"finished": True, "model": settings.get("model")} if finished else {},
        dataset={"classes": list(classes)},
        epochs=epochs,
        answers=rows,
        predictions=pictures,
    )


def cells(html):
    """Each row of a table as {title: text}."""
    titles = re.findall(r"<button[^>]*>([^<]*)</button>", html)
    rows = re.search(r"<tbody>(.*)</tbody>", html, re.DOTALL)[1].split("</tr>")[:-1]
    texts = [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows]
    return [dict(zip(titles, row, strict=True)) for row in texts]


def test_only_what_differs_has_a_column():
    runs = [
        ("a", trained(model="micronet_m0", lr=0.1, epochs=2)),
        ("b", trained(model="micronet_m0", lr=0.2, epochs=2, model_options={"width": 0.5}, rrc_scale=(0.5, 1))),
        ("c", trained(model="micronet_m1", lr=0.1, epochs=5, seed=3, finished=False)),
    ]
    assert differing([run for _, run in runs]) == [
        ("model_options.width", ["–", "0.5", "–"]),
        ("lr", ["0.1", "0.2", "0.1"]),
        ("rrc_scale", ["0.35, 1.0", "0.5, 1.0", "0.35, 1.0"]),
    ]
    rows = cells(runs_table(runs))
    assert [row["lr"] for row in rows] == ["0.1", "0.2", "0.1"]
    assert [row["epochs"] for row in rows] == ["2", "2", "2 of 5"]
    assert [row["seed"] for row in rows] == ["0", "0", "3"]
    assert [row["at epoch"] for row in rows] == ["2"] * 3
    assert [row["final val loss"] for row in rows] == ["0.250"] * 3
    assert not {"optimizer", "runtime", "within budget", "p50", "recipe", "model_options"} & rows[0].keys()


def test_a_setting_that_an_older_run_does_not_know_is_no_difference():
    new, old = trained(), trained()
    config = dict(old.config)
    del config["lr"]
    assert differing([new, RunRecords("old", config=config)]) == []


def test_the_best_epoch_is_the_one_that_training_keeps():
    losses = ((1, 2), (2, 1), (3, 3))
    tied = RunRecords("r", epochs=tuple({"epoch": e, "val_top1": 0.5, "val_loss": v} for e, v in losses))
    assert tied.best_epoch == 2


def test_seeds_are_one_line_in_a_band():
    runs = [
        ("s0", trained(top1=(0.2, 0.4), seed=0)),
        ("s1", trained(top1=(0.4, 0.9), seed=1)),
        ("s2", trained(top1=(0.6, 0.8, 0.9), seed=2)),
        ("other", trained(top1=(0.1, 0.2), lr=0.5)),
        ("killed", trained(top1=(0.3,), seed=4, finished=False)),
    ]
    assert [[n for n, _ in group] for group in alike(runs)] == [["s0", "s1", "s2"], ["other"], ["killed"]]
    figure = runs_training_figure(runs)
    top1 = [t for t in figure.data if t.yaxis == "y3"]
    by_name = {t.name: t for t in top1 if t.name}
    mean = by_name["s0, s1, s2 (mean of 3 seeds)"]
    assert list(mean.x) == [1, 2]  # where all three have something to say
    assert list(mean.y) == pytest.approx([0.4, 0.7])
    low, high = (t for t in top1 if t.name is None)
    assert (list(low.y), list(high.y)) == ([0.2, 0.4], [0.6, 0.9])
    assert high.fill == "tonexty"
    assert list(by_name["other"].y) == [0.1, 0.2]
    assert by_name["killed"].line.dash == "dash"
    assert len({t.line.color for t in by_name.values()}) == 3
    assert [t.name for t in figure.data if t.showlegend] == [mean.name, "other", "killed"]
    assert runs_training_figure([("r", RunRecords("r"))]) is None


def test_fits_that_chose_different_networks_are_not_taken_together():
    """Their settings differ in the seed alone all the same."""
    runs = [
        (name, RunRecords(name, config={"verb": "fit", "seed": seed}, metrics={"finished": True, "model": model}))
        for name, seed, model in (("a", 0, "micronet_m0"), ("b", 1, "micronet_m1"), ("c", 2, "micronet_m0"))
    ]
    assert [[n for n, _ in group] for group in alike(runs)] == [["a", "c"], ["b"]]


def sheet(html, title):
    """The captions of the pictures under a heading."""
    part = html.partition(f"<h3>{title}")[2].partition("<h3>")[0]
    return [re.sub(r"<[^>]*>", "", one) for one in re.findall(r"<figcaption>(.*?)</figcaption>", part)]


def test_mistakes_together_and_alone():
    one = trained(answers=[("1", "a", "b", 0.9), ("2", "a", "b", 0.6), ("3", "b", "b", 0.9), ("4", "a", "a", 0.9)])
    two = trained(answers=[("1", "a", "b", 0.7), ("2", "a", "a", 0.8), ("3", "b", "a", 0.9), ("5", "a", "b", 1.0)])
    three = trained(answers=[("3", "b", "a", 0.5), ("2", "a", "a", 0.7), ("1", "a", "b", 0.8), ("4", "a", "a", 0.9)])
    html = compared([("one", one), ("two", two), ("three", three)])
    assert "Validation images that all 3 runs judged: 3; wrong in all 3: 1." in html
    rows = cells(html)
    assert [list(row.values()) for row in rows] == [
        ["one", "2", "1", "1"],
        ["two", "2", "0", "0"],
        ["three", "2", "0", "0"],
    ]
    assert sheet(html, "All 3 get wrong (1)") == ["a → b90 / 70 / 80 %"]
    assert sheet(html, "Only one gets wrong (1)") == ["a → b / a / a60 / 80 / 70 %"]
    assert sheet(html, "Only one gets right (1)") == ["b → b / a / a90 / 90 / 50 %"]
    assert "Only two" not in html
    assert html.count(PICTURE) == 3


def test_the_surest_common_mistakes_come_first_and_those_without_a_picture_last():
    rows = [(str(i), "a", "b", 0.5 + i / 100) for i in range(40)]
    run = trained(answers=rows)
    seen = RunRecords("r", answers=run.answers, predictions=run.predictions[:10])
    html = compared([("one", seen), ("two", seen)])
    captions = sheet(html, "Both get wrong (24 of 40)")
    assert captions[0] == "a → b59 / 59 %"
    assert captions[9] == "a → b50 / 50 %"
    assert captions[10] == "a → b89 / 89 %39"  # and its name in place of the picture
    assert html.count(PICTURE) == 10


def test_runs_that_were_judged_on_other_images():
    one, two = trained(answers=[("1", "a", "b", 0.9)]), trained(answers=[("2", "a", "b", 0.9)])
    assert "judged on different images" in compared([("one", one), ("two", two)])
    assert "Fewer than two" in compared([("one", one), ("two", trained())])


def test_other_classes_and_killed_runs_do_not_break_the_page(make_run, tmp_path):
    names = ("k1", "k2", "k3", "k4")
    folders = [make_run(name, seed=i) for i, name in enumerate(("a", "b", "killed", "young"))]
    folders.append(make_run("cards", classes=names))
    for name in ("metrics.json", "predictions.json", "benchmark.json", "candidates.json", "rungs.json"):
        (folders[2] / name).unlink()
    for path in folders[3].iterdir():
        if path.name not in ("config.json", "environment.json"):
            path.unlink()
    lines = (folders[2] / "metrics.csv").read_text().splitlines(keepends=True)
    (folders[2] / "metrics.csv").write_text("".join(lines[:8]) + "8,3")
    text = page_without_plotly(write_page(folders, tmp_path / "page.html"))
    assert "cards has other classes; its confusion and mistakes are below." in text
    assert "killed is not finished: what is shown is from the first 8 epochs." in text
    assert "young is not finished: no epoch has ended yet." in text
    figures = figures_of(text)
    assert {"runs-confusion-0", "runs-confusion-1", "runs-confusion-2"} <= set(figures)  # a, b and what killed answered
    assert "runs-confusion-3" not in figures
    assert "run2-confusion" in figures
    shown = re.sub(r"<(script|style|code)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert "None" not in shown
    write_page([folders[3], folders[4]], tmp_path / "nothing-in-common.html")


def test_two_matrices_are_subtracted(make_run, tmp_path):
    runs = [make_run("a", seed=0), make_run("b", seed=1)]
    figure = figures_of(page_without_plotly(write_page(runs, tmp_path / "page.html")))["runs-confusion"]
    a, b = (json.loads((run / "metrics.json").read_text())["scores"]["confusion"] for run in runs)
    for i, j in ((0, 0), (0, 1), (3, 4), (9, 9)):
        less = a[i][j] / 60 - b[i][j] / 60
        assert figure["data"][0]["z"][i][j] == pytest.approx(abs(less) ** 0.5 * (1 if less > 0 else -1), abs=1e-12)
        assert f"a: {a[i][j]} " in figure["data"][0]["customdata"][i][j]
        assert f"b: {b[i][j]} " in figure["data"][0]["customdata"][i][j]


def test_most_classes_decide():
    runs = [(n, trained(classes=c)) for n, c in (("x", "ab"), ("y", "abc"), ("z", "abc"))] + [("w", RunRecords("w"))]
    peers, others = same_classes(runs)
    assert ([n for n, _ in peers], others) == (["y", "z"], ["x"])
    assert same_classes([("w", RunRecords("w"))]) == ([], [])


def test_a_configuration_in_words():
    config = TrainConfig(epochs=3, img_size=64, lr=0.1, optimizer="sgd", mixup=0.2, freeze=2, weights="w.pth", hflip=0)
    words = in_words(config.to_json())
    assert words.startswith(
        "Trained from w.pth, the last layer alone for 2 epochs. 3 epochs in batches of 64 at 64 pixels"
    )
    assert "SGD with a learning rate of 0.1, falling as a cosine to 1.0 % of it, after 3 epochs of warm-up" in words
    assert "crops of 35 to 100 % of the image, not mirrored, colour jitter 0.2, mixup 0.2." in words
    assert in_words({"data": "digits", "budget": {}}) == ""
    assert "None" not in in_words({"optimizer": "adamw", "epochs": 3})


def test_only_a_command_of_pumice_is_given_again():
    said = command_line({"command": ["pumice", "train", "my photos", "--set", "rrc_scale=[0.5,1]"]})
    assert said == "pumice train 'my photos' --set 'rrc_scale=[0.5,1]'"
    assert command_line({"command": ["script.py", "x"]}) is None
    assert command_line({"command": ["pumice"]}) is None
    assert command_line({}) is None


def test_precision_recall_and_support_are_beside_the_matrix(make_run, tmp_path):
    folder = make_run()
    text = page_without_plotly(write_page([folder], tmp_path / "page.html"))
    part = text.partition("<h3>By class</h3>")[2]
    rows = cells(part.partition("</table>")[0])
    record = json.loads((folder / "metrics.json").read_text())["scores"]["per_class"]
    assert [row["class"] for row in rows] == [one["name"] for one in record]
    for row, one in zip(rows, record, strict=True):
        want = f"{100 * one['recall']:.1f} %", f"{100 * one['precision']:.1f} %", "60", "240"
        assert (row["recall"], row["precision"], row["validated on"], row["trained on"]) == want
    curves = figures_of(text)["run0-training"]["data"]
    assert {t["name"] for t in curves} >= {"learning rate", "share of the time spent waiting for images"}


def test_the_worst_mistakes_of_one_run(make_run, tmp_path):
    folder = make_run()
    text = page_without_plotly(write_page([folder], tmp_path / "page.html"))
    rows = list(csv.DictReader((folder / "predictions.csv").open(encoding="utf-8")))
    wrong = sum(row["truth"] != row["prediction"] for row in rows)
    assert f"{wrong} of 600 validation images are wrong; these 16 it was surest of." in text
    first = json.loads((folder / "predictions.json").read_text())[0]
    said = f"{100 * first['p_pred']:.1f} %", f"truth {100 * first['p_truth']:.1f} %"
    assert f"<b>{first['truth']}</b> → <s>{first['prediction']}</s><span>{said[0]}</span><span>{said[1]}</span>" in text
    assert text.index("<h3>Some right answers</h3>") > text.index('class="shot wrong"')
