"""Networks of search spaces and network files, for every verb."""

import json
from pathlib import Path
from typing import Any

import pytest

from pumice.models.checkpoint import read_manifest
from pumice.models.spaces.names import create_space
from pumice.search.found import write_found
from pumice.search.trial import Trial

CHOICE = (1, 0, 2, 0, 1, 0, 0, 2)
TEXT = "1.0.2.0.1.0.0.2"


@pytest.fixture
def file(here: Path) -> Path:
    """What a search would write."""
    trial = Trial(7, CHOICE, 0.8125, 3.5e6, 0.8)
    return write_found(
        "best.json",
        create_space("macro", width=0.25),
        trial,
        method="random",
        unit="multiply-adds",
        num_classes=10,
        target=4e6,
    )


def test_info_describes_a_space(pumice: Any) -> None:
    said = pumice("info", "space:macro", "--json").json
    assert (said["size"], said["input_size"], said["options"]) == (6561, [3, 32, 32], {"width": 1.0})
    assert said["positions"][7] == {"name": "layer 8", "options": ["identity", "k3_e3", "k5_e6"]}
    people = pumice("info", "space:fbnet", "--set", "model.width=0.5").out
    assert "layer 22" in people
    assert "22 positions, 9.8e+20 networks" in people
    assert "width=0.5" in people
    assert "no search space is called 'fb'" in pumice("info", "space:fb").sentence


def test_one_network_by_its_choice(pumice: Any) -> None:
    given = ("--set", f"model.choice={TEXT}", "--set", "model.width=0.25", "--json")
    said = pumice("info", "space:macro", *given).json
    assert said["published"] is None
    assert said["options"] == {"choice": list(CHOICE), "width": 0.25}
    counted = pumice("profile", "space:macro", *given).json
    assert (counted["madds"], counted["params"]) == (said["madds"], said["params"])
    audited = pumice("audit", "space:macro", *given).json
    assert audited["madds"] == said["madds"]
    for verb in ("profile", "audit", "benchmark"):
        assert "give one as choice=0.0.0..." in pumice(verb, "space:macro").sentence


def test_a_file_is_a_name(pumice: Any, file: Path) -> None:
    said = pumice("info", file, "--json").json
    assert said["search"] == json.loads(file.read_text())["search"]
    assert (said["search"]["accuracy"], said["search"]["target"]) == (0.8125, 4e6)
    assert said["search"]["words"]["layer 3"] == "k5_e6"
    people = pumice("info", file).out
    assert "top-1 81.2 % as the search measured it, 3.5 M multiply-adds, by random, trial 7" in people
    assert "published" not in people
    assert pumice("profile", file, "--json").json["madds"] == said["madds"]
    (timing,) = pumice("benchmark", file, "--time", "0.3s", "--json").json
    assert (timing["name"], timing["input_size"]) == ("best.json", [3, 32, 32])
    assert "no file gone.json" in pumice("info", "gone.json").sentence
    assert "no file gone.json" in pumice("train", "digits", "--model", "gone.json").sentence


def test_a_file_trains_and_exports(pumice: Any, file: Path) -> None:
    run = ("--epochs", 1, "--batch-size", 256, "--set", "optim.lr=0.01", "--json")
    said = pumice("train", "digits", "--model", file, "--out", "run", *run)
    assert said.code == 0, said.err
    config = json.loads(Path("run/config.json").read_text())
    assert (config["model"], config["img_size"]) == ("space:macro", 32)
    assert config["model_options"] == {"choice": list(CHOICE), "width": 0.25}
    manifest = read_manifest("run/best.safetensors")
    assert manifest is not None
    assert manifest.model.options == config["model_options"]
    Path("run/best.safetensors").rename("best.safetensors")
    exported = pumice("export", file, "--out", "best.onnx", "--json")
    assert exported.code == 0, exported.err
    assert pumice("verify", "best.onnx", "--against", file, "--json").json["ok"]
    again = pumice("val", "best.onnx", "digits", "--json").json
    assert again["top1"] == pytest.approx(said.json["val"]["top1"], abs=0.01)
    assert pumice("val", file, "digits", "--json").json["top1"] == pytest.approx(again["top1"], abs=0.01)


def test_list_shows_what_searches_found(pumice: Any, file: Path) -> None:
    trial = Trial(2, (0,) * 8, 0.7, 1e6, 0.7)
    write_found("runs/search/small.json", create_space("macro", width=0.25), trial, method="evolution", num_classes=10)
    Path("runs/search/config.json").write_text('{"model": "fbnet_a", "epochs": 3}')
    Path("runs/search/broken.json").write_text("{")
    small, large = sorted(pumice("list", "--from", ".", "--json").json, key=lambda row: row["madds"])
    assert (small["name"], large["name"]) == ("runs/search/small.json", "best.json")
    assert (large["search"]["accuracy"], large["model"], large["search"]["trial"]) == (0.8125, "space:macro", 7)
    assert large["madds"] == pumice("profile", "best.json", "--json").json["madds"]
    people = pumice("list", "--from", "runs/search/*.json").out
    assert "70.0 %" in people
    assert "evolution" in people
    limit = f"{large['madds'] - 1}"
    assert [r["name"] for r in pumice("list", "--from", ".", "--max-madds", limit, "--json").json] == [small["name"]]
    assert len(pumice("list", "--from", ".", "--pareto", "--json").json) == 2
    assert [row["name"] for row in pumice("list", "small", "--from", ".", "--json").json] == [small["name"]]
    write_found(
        "worse.json", create_space("macro"), Trial(3, (2,) * 8, 0.6, None, 0.6), method="random", num_classes=10
    )
    assert len(pumice("list", "--from", ".", "--pareto", "--json").json) == 2
    assert "no network file is in nowhere" in pumice("list", "--from", "nowhere").sentence
    assert "--from shows what searches found" in pumice("list", "--from", ".", "--runtime", "eager").sentence
