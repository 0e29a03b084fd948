"""Every recipe trains: see `benchmarks/recipes.py`."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import recipes
import torch

from pumice.recipes.names import RECIPES


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_recipe_has_a_case() -> None:
    assert set(recipes.CASES) == set(RECIPES)
    assert all(recipes.config_of(name).recipe == name for name in RECIPES)


@pytest.mark.slow
def test_micronet_learns_in_three_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(recipes.CASES["micronet"], epochs=3)
    monkeypatch.setitem(recipes.CASES, "micronet", case)
    got = recipes.run("micronet")
    assert got.falls, got
    assert got.last < 1.0  # a net that ignores its input stays above ln 10 = 2.303
    assert got.top1 > 0.25  # running statistics lag behind three epochs


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_loss_falls_as_it_must(name: str) -> None:
    got = recipes.run(name)
    assert got.falls, got
