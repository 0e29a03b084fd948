"""Every network has the parameters and multiply-adds that its paper or release has, to the last digit.

counts.csv: facts, counted in the releases and in torchvision, timm and pytorchcv.
"""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from pumice.cost import catalogue as writer
from pumice.cost.count import profile
from pumice.models import catalogue
from pumice.models.create import create_model
from pumice.models.families import family_of, variant, variants

HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "shared" / "reference" / "variants.csv"


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


FACTS = table(HERE / "counts.csv")
NAMES = [name for name in variants() if name in FACTS]


def tiers() -> list[Any]:
    """Every network; in the fast tier the smallest of each function of a family, whose others differ in settings."""
    smallest: dict[Any, str] = {}
    for name in sorted(NAMES, key=lambda n: int(FACTS[n]["madds"])):
        smallest.setdefault((family_of(name), variant(name).net), name)
    fast = {*smallest.values(), *EXTRA}
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in NAMES]


# Section 4 of the MicroNet paper's cost model, 2K multiplications an element, added up by hand from the tables.
EXTRA = {
    "micronet_m0": 605_248,
    "micronet_m1": 805_952,
    "micronet_m2": 2_405_312,
    "micronet_m3": 2_571_520,
    "micronet_44m": 5_193_216,
}


# Exact nets that are not the printed size, and why.
OFF = {
    "mobilenetv1_025": "printed as 0.5 M in the paper, as 0.47 M in its repository",
    "mobilenetv2_140": "the paper's 6.9 M is a misprint",
    "igcv1_resnet18_l4m32": "printed without the classifier",
    "igcv1_resnet18_l16m16": "the printed 11.3 M follows no convention",
    "fbnet_b": "the release replaced the paper's separable blocks",
    "fbnetv2_f0": "printed without the classifier",
}


def as_listed(name: str) -> dict[str, Any]:
    row = writer.describe(name)
    return catalogue.Entry(**{**row, "input_size": tuple(row["input_size"])}).to_json()


def on_meta(name: str, **arguments: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return create_model(name, **arguments)


def test_the_table_names_every_network() -> None:
    ours = {n for n in variants() if n.endswith(("_ours", "_mraspp", "_keypoints"))}
    assert set(FACTS) == set(variants()) - ours, "those nets were made here; no list of facts has them"
    assert list(variants()) == [e.name for e in catalogue.entries()]


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_has_the_facts(name: str) -> None:
    facts, entry = FACTS[name], catalogue.entry(name)
    assert (entry.params, entry.madds, entry.extra_madds) == (
        int(facts["params"]),
        int(facts["madds"]),
        EXTRA.get(name, 0),
    )
    assert (str(entry.num_classes), entry.status) == (facts["num_classes"], facts["status"])
    assert entry.input_size == (3, int(facts["height"]), int(facts["width"]))
    if "224" in entry.sizes and entry.input_size == (3, 224, 224):
        at_224 = {k: entry.sizes["224"][k] for k in ("madds", "extra_madds", "peak_activation_bytes")}
        assert at_224 == {k: getattr(entry, k) for k in at_224}


@pytest.mark.parametrize("name", tiers())
def test_counts_of_the_network(name: str) -> None:
    facts, model = FACTS[name], on_meta(name)
    found = profile(model, (3, int(facts["height"]), int(facts["width"])))
    assert (found.params, found.madds) == (int(facts["params"]), int(facts["madds"]))
    assert found.extra_madds == EXTRA.get(name, 0)
    assert sum(p.numel() for p in model.parameters()) == found.params, "the trace must see every parameter"
    entry = catalogue.entry(name)
    assert (entry.params, entry.madds, entry.extra_madds) == (found.params, found.madds, found.extra_madds)
    assert (entry.memory_access, entry.peak_activation_bytes) == (found.memory_access, found.peak_activation_bytes)
    assert entry.input_size == found.input_size


@pytest.mark.parametrize(
    "name", ["squeezenet1_0", "tv_shufflenetv2_050", "mobilenetv3_small_035", "efficientnet_lite0", "micronet_m0"]
)
def test_one_class_more_costs_what_the_catalogue_says(name: str) -> None:
    classes, size = 37, 160
    found, entry = profile(on_meta(name, num_classes=classes), (3, size, size)), catalogue.entry(name)
    row = entry.sizes[str(size)]
    assert found.params == entry.params - (1000 - classes) * entry.params_per_class
    assert found.madds == row["madds"] - (1000 - classes) * row["madds_per_class"]
    assert found.extra_madds == row["extra_madds"]


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenetv3_small_050"])
def test_the_catalogue_is_up_to_date(name: str) -> None:
    assert as_listed(name) == catalogue.entry(name).to_json()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_whole_catalogue_is_up_to_date(name: str) -> None:
    assert as_listed(name) == catalogue.entry(name).to_json()


def test_published_figures_are_those_of_the_table() -> None:
    printed = writer.published()
    for entry in catalogue.entries():
        published = variants()[entry.name].published
        assert entry.published == (printed[entry.family, published] if published else None)
        if entry.status == "exact" and abs(entry.deviation.get("params", 0)) > 0.05:
            # Printed sizes are rounded; a row of another net is off by far more.
            assert entry.name in OFF, (entry.name, entry.deviation)


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs ../shared/reference/variants.csv")
def test_facts_agree_with_the_reference() -> None:
    rows = table(REFERENCE)
    assert list(rows) == list(FACTS)
    for name, facts in FACTS.items():
        row = rows[name]
        sides = row["input"].split("x") * (1 if "x" in row["input"] else 2)
        assert [facts["height"], facts["width"]] == sides
        assert {k: facts[k] for k in ("num_classes", "params", "madds", "status")}.items() <= row.items(), name
        if name in NAMES:
            entry = catalogue.entry(name)
            assert (entry.family, entry.status) == (row["family"], row["status"])
            if "tv_" not in name:  # torchvision's layout is listed beside the paper's figures, a fact about the name
                assert (entry.published or {}).get("variant", "") == row["published_variant"], name
