"""Every recipe's numbers: pinned here, and compared with the reference facts where those are at hand.

A fact's pattern names its groups by field, or by one of `DERIVED`: what the publication counts in other units.
"""

import re
from pathlib import Path

import pytest

from pumice.recipes.names import DENSE_RECIPES, RECIPES, published_recipe
from tests.recipes.facts import DERIVED, Fact
from tests.recipes.facts_dense import DENSE
from tests.recipes.facts_micronet import MICRONET
from tests.recipes.facts_rmsprop import RMSPROP
from tests.recipes.facts_sgd import SGD

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "families"
FACTS = (*DENSE, *MICRONET, *RMSPROP, *SGD)
IDS = [f"{fact.recipe}-{fact.model}" for fact in FACTS]


def test_every_recipe_has_its_facts() -> None:
    assert {fact.recipe for fact in FACTS} == {*RECIPES, *DENSE_RECIPES}


@pytest.mark.parametrize("fact", FACTS, ids=IDS)
def test_a_recipe_says_what_was_published(fact: Fact) -> None:
    config = published_recipe(fact.recipe, "photos", fact.model)
    assert (config.recipe, config.data, config.model) == (fact.recipe, "photos", fact.model)
    for name, value in fact.pins.items():
        if name == "images":
            continue
        of_task = name.startswith("task.")
        found = config.task_options[name.removeprefix("task.")] if of_task else getattr(config, name)
        assert found == value, name
    usual = 50_000 if fact.recipe.endswith("_cifar") else 1_281_167
    assert config.published["images"] == fact.pins.get("images", usual)
    assert {k: config.published[k] for k in ("batch_size", "epochs", "lr")} == {
        "batch_size": config.batch_size,
        "epochs": config.epochs,
        "lr": config.lr,
    }


@pytest.mark.parametrize(
    "fact", [f for f in FACTS if f.file], ids=[i for i, f in zip(IDS, FACTS, strict=True) if f.file]
)
def test_the_reference_says_the_same(fact: Fact) -> None:
    file = REFERENCE / fact.file
    if not file.is_file():
        pytest.skip("the reference facts are not at hand")
    text = file.read_text(encoding="utf-8")
    for pattern in fact.patterns:
        found = re.search(pattern, text)
        assert found is not None, pattern
        for name, printed in found.groupdict().items():
            if name == "milestones":
                assert fact.pins[name] == tuple(float(epoch) for epoch in printed.strip(" ,").split(","))
                continue
            number = float(printed.replace(",", "").replace("k", "e3"))
            member, convert = DERIVED.get(name, (name, lambda value, _: value))
            assert fact.pins[member] == pytest.approx(convert(number, fact.pins), rel=1e-9), name
