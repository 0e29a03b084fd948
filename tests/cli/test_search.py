"""`pumice search` on a table: begun, killed, resumed, joined, refused, shown."""

import csv
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SPACE = ["--space", "macro"]


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> Path:
    """Accuracies, percent, of two seeds, and multiply-adds of all 6,561 networks; made up."""
    path = tmp_path_factory.mktemp("table") / "nets.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("arch", "acc1", "acc2", "flops"))
        for digits in itertools.product(range(3), repeat=8):
            worth = sum((i + 1) * d for i, d in enumerate(digits)) / 72
            lines.writerow(("".join(map(str, digits)), 80 + 10 * worth, 82 + 10 * worth, 1e6 * (1 + sum(digits))))
    return path


def trials_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as file:
        kept = ("number", "choice", "accuracy", "cost", "value", "failed")
        return [{k: row[k] for k in kept} for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def whole(table, tmp_path_factory) -> Path:
    """A search of 10 trials that nothing interrupted."""
    out = tmp_path_factory.mktemp("searches") / "whole"
    args = ["search", "random", *SPACE, "--table", table, "--target-madds", "10M", "--trials", "10", "--out", out]
    subprocess.run([sys.executable, "-m", "pumice", *map(str, args)], check=True, capture_output=True)
    return out


def test_a_search_from_table_to_network_file(pumice, table, here):
    said = pumice("search", "random", *SPACE, "--table", table, "--target-madds", "10M", "--trials", "6", "--json")
    assert said.code == 0
    found = said.json
    out = here / found["out"]
    assert (found["out"], found["trials"], found["finished"], found["unit"]) == (
        "runs/search-1",
        6,
        True,
        "multiply-adds",
    )
    assert said.err.count("\n") == 6
    assert said.err.startswith("trial 0: accuracy 0.8")
    lines = trials_of(out)
    assert [int(one["number"]) for one in lines] == list(range(6))
    assert len({one["choice"] for one in lines}) == 6
    for one in lines:
        digits = [int(d) for d in one["choice"].split(".")]
        assert float(one["cost"]) == 1e6 * (1 + sum(digits)) <= 1e7
        worth = sum((i + 1) * d for i, d in enumerate(digits)) / 72
        assert float(one["accuracy"]) == float(one["value"]) == pytest.approx(0.81 + 0.1 * worth, abs=1e-12)
    best = max(lines, key=lambda one: float(one["accuracy"]))
    assert found["best"]["number"] == int(best["number"])
    front = json.loads((out / "pareto.json").read_text())
    assert [one["number"] for one in front] == [one["number"] for one in found["pareto"]]
    for one in lines:
        beaten = [t for t in front if t["accuracy"] >= float(one["accuracy"]) and t["cost"] <= float(one["cost"])]
        assert beaten, "a trial is on the front or beaten by it"
    network = json.loads((out / "best.json").read_text())
    assert network["model"] == "space:macro"
    assert network["options"]["choice"] == [int(d) for d in best["choice"].split(".")]
    profile = pumice("profile", out / "best.json", "--json")
    assert profile.code == 0
    again = pumice("search", "--resume", found["out"], "--json")
    assert again.json == found
    assert again.err == "", "a finished search has nothing to do"


def test_a_search_that_is_killed_equals_one_that_is_not(pumice, whole, table, tmp_path):
    out = tmp_path / "killed"
    args = ["search", "random", *SPACE, "--table", table, "--target-madds", "10M", "--trials", "10", "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "pumice", *map(str, args)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.startswith("trial 3:"):
            process.kill()
            break
    process.wait()
    process.stderr.close()
    process.stdout.close()
    said = pumice("search", "--resume", out)
    assert said.code == 0
    assert trials_of(out) == trials_of(whole)
    assert json.loads((out / "best.json").read_text()) == json.loads((whole / "best.json").read_text())


def test_ctrl_c_leaves_a_search_that_goes_on(pumice, whole, table, tmp_path):
    out = tmp_path / "interrupted"
    args = ["search", "random", *SPACE, "--table", table, "--target-madds", "10M", "--trials", "10", "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "pumice", *map(str, args)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's background jobs ignore
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("trial 0:"):
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    process.stderr.close()
    process.stdout.close()
    kept = trials_of(out)
    assert 1 <= len(kept) < 10
    assert (
        said[-1] == f"pumice: interrupted after {len(kept)} of 10 trials; go on with `pumice search --resume {out}`\n"
    )
    assert pumice("search", "--resume", out, "--json").json["trials"] == 10
    assert trials_of(out) == trials_of(whole)
    assert pumice("search", "--resume", out, "--trials", "11", "--json").json["trials"] == 11
    assert trials_of(out)[:10] == trials_of(whole)


def test_workers_and_who_joins(pumice, table, tmp_path):
    out = tmp_path / "shared"
    begin = ["search", "random", *SPACE, "--table", table, "--trials", "8"]
    said = pumice(*begin, "--workers", "2", "--name", "one", "--out", out)
    assert said.code == 0
    lines = trials_of(out)
    assert [int(one["number"]) for one in lines] == list(range(8))
    assert len({one["choice"] for one in lines}) == 8
    joined = pumice(*begin, "--name", "one", "--storage", out / "study.db", "--out", tmp_path / "joined", "--json")
    assert joined.code == 0
    assert trials_of(tmp_path / "joined") == lines
    other = ["--name", "one", "--storage", out / "study.db", "--out", tmp_path / "other", "--seed", "1"]
    refused = pumice(*begin, *other)
    assert refused.code == 2
    assert refused.sentence.endswith(
        "study.db has seed 0, not 1; join it with the same settings, or choose another --name"
    )
    assert not (tmp_path / "other").exists()


ON_TABLE = ("random", *SPACE, "--table", "TABLE")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("randm", *SPACE), "there is no method 'randm'; did you mean 'random'?"),
        (("random", "--space", "makro", "--data", "digits"), "no search space is called 'makro'; did you mean"),
        (("random",), "nothing to search; write `pumice search METHOD --space NAME --data DATA`"),
        (("random", *SPACE), "give --data, images to train on, or --table"),
        ((*ON_TABLE, "--data", "digits"), "give either --data"),
        ((*ON_TABLE, "--epochs", "2"), "--epochs and --img-size are of trainings on images; give --data"),
        ((*ON_TABLE, "--set", "optim.lr=1"), "--set optim.lr=1 is about trainings on images; give --data"),
        (("random", *SPACE, "--table", "none.csv"), "cannot read none.csv: No such file"),
        ((*ON_TABLE, "--target-madds", "10"), "at or below 10 multiply-adds; the least is 1M"),
        ((*ON_TABLE, "--target-madds", "1M", "--target-params", "1M"), "a search has one target"),
        ((*ON_TABLE, "--target-latency", "5"), "--target-latency 5 has no unit"),
        ((*ON_TABLE, "--reward", "soft"), "the soft reward weighs cost against a target"),
        ((*ON_TABLE, "--reward", "hard"), "reward='hard' is not piecewise or soft or accuracy or none"),
        ((*ON_TABLE, "--set", "method.population=3"), "random has no setting 'population'; it has none"),
        (
            ("evolution", *ON_TABLE[1:], "--set", "method.populaton=3"),
            "'populaton'; did you mean 'population'?; it has",
        ),
        (("evolution", *ON_TABLE[1:], "--set", "method.population=x"), "population='x' is not a whole number"),
        ((*ON_TABLE, "--set", "population=3"), "write SECTION.NAME=VALUE with space, method"),
        ((*ON_TABLE, "--set", "table.accuracy=top9"), "has no column 'top9'"),
        (
            ("random", "--space", "fbnet", *ON_TABLE[3:]),
            "not about this space: a choice of fbnet has 22 numbers, not 8",
        ),
        ((*ON_TABLE, "--storage", "mysql://a:b@c/d"), "mysql://a@c/d is neither sqlite:///FILE"),
        ((*ON_TABLE, "--storage", "postgresql://a:b@127.0.0.1:1/d"), "postgresql://a@127.0.0.1:1/d cannot be used"),
        (("--resume", "nowhere"), "nowhere holds no search"),
        (("random", "--resume", "nowhere"), "a search is resumed as it was begun"),
        ((*ON_TABLE, "--lut", "a.json", "--runtime", "openvino"), "give one of the two"),
        (("dnas", *ON_TABLE[1:]), "dnas trains a supernet on images; give --data"),
        ((*ON_TABLE, "--model", "mobilenetv2_100"), "--model is of netadapt and scaling"),
        (("netadapt", "--data", "digits", "--target-madds", "50%"), "give --model RUN_OR_NAME and --data DATA"),
        (("scaling", "--data", "digits"), "give --model NAME and --data DATA"),
        (("scaling", *SPACE), "scaling takes --model, --data, --phi"),
        (("scaling", "--model", "mobilenetv2_100", "--data", "digits", "--phi", "x"), "write 1,2,3"),
        (("scaling", "--model", "mobilenetv2_10", "--data", "digits"), "no network is called 'mobilenetv2_10'"),
        (("netadapt", *SPACE), "netadapt takes --model, --data"),
    ],
)
def test_what_is_refused_leaves_nothing(pumice, table, here, args, words):
    said = pumice(
        "search", *(table if one == "TABLE" else one for one in args), *([] if "--resume" in args else ["--out", "new"])
    )
    assert said.code == 2, said
    assert said.out == ""
    assert words in said.sentence
    assert "b@" not in said.sentence, "no password"
    assert not list(here.iterdir())


def test_a_time_limit_ends_before_the_trials_do(pumice, table, tmp_path):
    begin = ["search", "random", *SPACE, "--table", table, "--trials", "500", "--time", "1s", "--json"]
    said = pumice(*begin, "--out", tmp_path / "short")
    assert (said.code, said.json["finished"]) == (0, False)
    assert 0 < said.json["trials"] < 500
    assert len(trials_of(tmp_path / "short")) == said.json["trials"]


def test_folders_that_hold_something(pumice, table, whole, here):
    begin = ["search", "random", *SPACE, "--table", table, "--trials", "1", "--out"]
    said = pumice(*begin, whole)
    assert f"holds another run; go on with `pumice search --resume {whole}`" in said.sentence
    (here / "full").mkdir()
    (here / "full" / "a.txt").write_text("mine")
    assert pumice(*begin, "full").sentence.endswith("full is not empty; choose another --out")
    assert (here / "full" / "a.txt").read_text() == "mine"


def test_a_table_of_other_columns(pumice, table, tmp_path):
    text = table.read_text().replace("arch,acc1,acc2,flops", "cells,seed1,seed2,cycles")
    (tmp_path / "other.csv").write_text(text)
    begin = ["search", "random", *SPACE, "--table", tmp_path / "other.csv", "--trials", "2", "--json", "--out"]
    said = pumice(*begin, tmp_path / "a")
    assert (
        "has no column of choices called choice or arch or architecture; name it with --set table.choice=NAME"
        in said.sentence
    )
    named = ["--set", "table.choice=cells", "--set", "table.accuracy=seed1", "--set", "table.cost=cycles"]
    found = pumice(*begin, tmp_path / "a", *named, "--target-madds", "9M").json["best"]
    assert found["cost"] == 1e6 * (1 + sum(found["choice"]))
    worth = sum((i + 1) * d for i, d in enumerate(found["choice"])) / 72
    assert found["accuracy"] == pytest.approx(0.8 + 0.1 * worth, abs=1e-12)
    (tmp_path / "part.csv").write_text("".join(text.splitlines(keepends=True)[:100]))
    said = pumice(*begin[:5], tmp_path / "part.csv", *begin[6:], tmp_path / "b", *named)
    assert "knows 99 of the 6561 choices of macro; it must know all" in said.sentence


def test_the_page_of_a_search(pumice, whole, tmp_path):
    said = pumice("report", whole, "--out", tmp_path / "page.html")
    assert said.code == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>random in the space macro" in text
    for one in trials_of(whole):
        assert f'data-v="{one["choice"]}"' in text
    assert "10 networks of 6,561" in text


def test_the_configuration_is_there_before_torch(table, tmp_path):
    code = """
import sys, pumice.search.study.run as run
from pathlib import Path
from pumice.errors import BadInput
def build(config):
    assert Path(sys.argv[-1], "config.json").is_file()
    print(sorted({"torch", "optuna", "sqlalchemy", "lightning"} & set(sys.modules)))
    raise BadInput("enough")
run.build = build
from pumice.cli.main import main
sys.argv = ["pumice", "search", "random", "--space", "macro", "--table", sys.argv[2], "--out", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "new", table], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_search_that_trains(pumice, here):
    """Half a minute: two short trainings, the better one trained again, its network file as good as a name."""
    begin = ["search", "random", *SPACE, "--data", "digits", "--img-size", "16", "--epochs", "1", "--trials", "2"]
    begin += ["--set", "proxy.images=200", "--set", "optim.lr=0.01", "--retrain", "1", "--retrain-epochs", "1"]
    found = pumice(*begin, "--out", "new", "--json").json
    assert [one["trial"] for one in found["retrained"]] == [found["best"]["number"]]
    config = json.loads((here / "new" / "config.json").read_text())
    assert config["training"]["lr"] == 0.01
    run = Path(found["retrained"][0]["out"])
    assert json.loads((run / "config.json").read_text())["model_options"]["choice"] == found["best"]["choice"]
    assert pumice("val", run, "--json").json["top1"] == pytest.approx(found["retrained"][0]["top1"], abs=1e-6)
    assert pumice("search", "--resume", "new", "--json").json == found


@pytest.mark.slow
def test_dnas_draws_what_a_table_judges(pumice, table, here):
    """A supernet of two epochs; what it draws are ordinary trials."""
    begin = ["search", "dnas", *SPACE, "--data", "digits", "--img-size", "16", "--table", table, "--trials", "3"]
    begin += ["--set", "method.epochs=2", "--set", "method.warmup=1", "--set", "method.batch_size=256"]
    found = pumice(*begin, "--target-madds", "12M", "--out", "new", "--json").json
    assert (found["trials"], found["finished"]) == (3, True)
    assert len(json.loads((here / "new" / "supernet" / "supernet.json").read_text())) >= 2
