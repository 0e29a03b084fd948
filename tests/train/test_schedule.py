"""Learning rates, pinned."""

from dataclasses import replace

import pytest

from pumice.errors import BadInput
from pumice.train.config import TrainConfig
from pumice.train.schedule import lr_at, mixup_at


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


def test_linear_and_polynomial() -> None:
    line = TrainConfig(epochs=10, lr=0.5, warmup_epochs=0, schedule="linear", final_lr=0.0)
    assert [lr_at(line, step, 10) for step in (0, 25, 50, 99)] == pytest.approx([0.5, 0.375, 0.25, 0.005])
    assert lr_at(replace(line, final_lr=0.1), 50, 10) == pytest.approx(0.275)
    square = replace(line, schedule="polynomial", decay_power=2.0)
    assert [lr_at(square, step, 10) for step in (0, 50, 90)] == pytest.approx([0.5, 0.125, 0.005])


def test_warm_up_from_a_given_start_and_a_fall_counted_from_the_run_s_start() -> None:
    config = TrainConfig(epochs=10, lr=0.4, warmup_epochs=1, warmup_start=0.25, schedule="linear", final_lr=0.0)
    assert [lr_at(config, step, 10) for step in (0, 4, 9, 10)] == pytest.approx([0.13, 0.25, 0.4, 0.4])
    assert lr_at(config, 55, 10) == pytest.approx(0.2)
    assert lr_at(replace(config, decay_after_warmup=False), 55, 10) == pytest.approx(0.18)
    stairs = replace(config, schedule="step", decay_epochs=2, decay_rate=0.5)
    assert [lr_at(stairs, step, 10) for step in (19, 20, 29, 30)] == pytest.approx([0.4, 0.4, 0.4, 0.2])
    stairs = replace(stairs, decay_after_warmup=False)
    assert [lr_at(stairs, step, 10) for step in (19, 20, 39, 40)] == pytest.approx([0.4, 0.2, 0.2, 0.1])


def test_exponential_is_the_staircase_without_stairs() -> None:
    config = TrainConfig(epochs=9, lr=1.0, warmup_epochs=0, schedule="exponential", decay_epochs=3, decay_rate=0.25)
    assert [lr_at(config, step, 10) for step in (0, 15, 30, 60)] == pytest.approx([1.0, 0.5, 0.25, 0.0625])
    assert lr_at(replace(config, final_lr=0.3), 60, 10) == pytest.approx(0.3)


def test_milestones_are_epochs_of_the_run() -> None:
    config = TrainConfig(epochs=8, lr=1.0, warmup_epochs=1, schedule="multistep", milestones=(4.5, 6), decay_rate=0.1)
    config = replace(config, final_lr=0.0)
    assert [lr_at(config, s, 10) for s in (44, 45, 59, 60, 79)] == pytest.approx([1.0, 0.1, 0.1, 0.01, 0.01])
    # A milestone that scaling has put on a step's border, but for rounding.
    config = replace(config, milestones=(0.1 + 0.2,), warmup_epochs=0)
    assert lr_at(config, 3, 10) == pytest.approx(0.1)


def test_cycles_of_espnet() -> None:
    config = TrainConfig(epochs=300, lr=0.5, warmup_epochs=0, schedule="cyclic", cycle_epochs=5, decay_rate=0.5)
    config = replace(config, milestones=(51, 101), final_lr=0.0)
    by_epoch = [lr_at(config, 7 * epoch, 7) for epoch in range(102)]
    assert by_epoch[:12] == pytest.approx([0.1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.5])
    # Epoch 51 begins a cycle; its values are halved.
    assert by_epoch[50:53] == pytest.approx([0.1, 0.25, 0.2])
    assert by_epoch[101] == pytest.approx(0.125)
    assert lr_at(config, 13, 7) == by_epoch[1]
    # A tenth of the epochs: the same values, each for a tenth of the time.
    short = replace(config, epochs=30, cycle_epochs=0.5, milestones=(5.1, 10.1))
    assert [lr_at(short, step, 10) for step in range(102)] == pytest.approx(by_epoch)


def test_mixup_rises_by_whole_epochs() -> None:
    config = TrainConfig(mixup=0.2, mixup_ramp_epochs=4)
    assert [mixup_at(config, epoch) for epoch in (0, 1, 3, 4, 9)] == pytest.approx([0, 0.05, 0.15, 0.2, 0.2])
    assert mixup_at(TrainConfig(mixup=0.2), 0) == 0.2


def test_hybrid_cycles_and_then_falls_on_a_line() -> None:
    config = TrainConfig(epochs=100, lr=0.045, schedule="hybrid", milestones=(61,), warmup_epochs=0, final_lr=0)
    rates = [lr_at(config, epoch * 3, 3) / 0.009 for epoch in range(100)]
    assert rates[:11] == pytest.approx([1, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1])
    assert rates[56:61] == pytest.approx([5, 4, 3, 2, 1])
    assert rates[61:] == pytest.approx([(100 - epoch) / 39 for epoch in range(61, 100)])
    with pytest.raises(BadInput, match="one epoch, from which the hybrid schedule's line falls"):
        replace(config, milestones=())
