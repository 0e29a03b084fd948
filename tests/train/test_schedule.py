"""Learning rates, pinned."""

import pytest

from pumice.train.config import TrainConfig
from pumice.train.schedule import lr_at


def test_cosine_with_warm_up() -> None:
    config = TrainConfig(epochs=12, lr=0.8, warmup_epochs=2, final_lr=0.01)
    rates = [lr_at(config, step, 10) for step in range(120)]
    assert rates[0] == pytest.approx(0.8 / 20)
    assert rates[9] == pytest.approx(0.4)
    assert rates[19] == rates[20] == pytest.approx(0.8)
    assert rates[70] == pytest.approx(0.8 * (0.01 + 0.99 / 2))  # half way from step 20 to 120
    assert rates[45] == pytest.approx(0.8 * (0.01 + 0.99 * (1 + 0.5**0.5) / 2))  # a quarter: cos 45 degrees
    assert lr_at(config, 120, 10) == pytest.approx(0.008)
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_step_multiplies_every_few_epochs() -> None:
    config = TrainConfig(epochs=12, lr=1.0, warmup_epochs=1, schedule="step", decay_epochs=2.4, decay_rate=0.97)
    assert lr_at(config, 4, 10) == pytest.approx(0.5)
    assert lr_at(config, 33, 10) == pytest.approx(1.0)
    assert lr_at(config, 34, 10) == pytest.approx(0.97)
    assert lr_at(config, 58, 10) == pytest.approx(0.97**2)


def test_constant() -> None:
    config = TrainConfig(epochs=3, lr=0.5, warmup_epochs=0, schedule="constant")
    assert {lr_at(config, step, 7) for step in range(21)} == {0.5}


def test_a_long_warm_up_is_cut_to_a_third_of_the_run() -> None:
    config = TrainConfig(epochs=3, lr=0.9, warmup_epochs=100)
    assert lr_at(config, 9, 10) == pytest.approx(0.9)
    assert lr_at(config, 29, 10) < 0.05


def test_a_run_of_one_step_has_a_rate() -> None:
    assert lr_at(TrainConfig(epochs=1, lr=0.3), 0, 1) == pytest.approx(0.3)
