"""MnasNet's search: a function of seed and trials, every choice judged once, repeats counted in the updates."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.cost import Listed
from pumice.search.mnasnet import Mnasnet, Update
from pumice.search.objective import Called, read_column
from pumice.search.problem import Problem
from pumice.search.reward import Accuracy, Reward, Weighted, piecewise
from pumice.search.searcher import run
from pumice.search.trial import Trial

BENCH = Path(__file__).parents[3] / "shared" / "reference" / "search" / "bench" / "nas_bench_macro.csv"
QUICK = {"batch": 8, "epochs": 2, "lr": 3e-3}


class Small(Space):
    """Three positions of three options."""

    name = "small"
    positions = tuple(Position(f"p{i}", ("a", "b", "c")) for i in range(3))

    def spec(self, choice: Choice) -> NetSpec:
        raise NotImplementedError


def accuracy(choice: Choice) -> float:
    """Best where every digit is 2; the first ones count most."""
    return 0.3 + 0.6 * sum(digit * (9 - i) for i, digit in enumerate(choice)) / (2 * sum(range(2, 10)))


def distance(one: Choice, other: Choice) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def costs(space: Space) -> Listed:
    return Listed({c: 1.0 + sum(c) for c in np.ndindex(*(len(p.options) for p in space.positions))}, "digits")


def problem(target: float | None = None, reward: Reward | None = None, space: Space | None = None) -> Problem:
    space = MacroSpace() if space is None else space
    return Problem(space, costs(space), target, reward or (piecewise(target) if target else Accuracy()))


def searched(searcher: Mnasnet, trials: int) -> list[Trial]:
    return list(run(searcher, Called(accuracy), trials))


@pytest.mark.parametrize("rule", ["ppo", "reinforce"])
def test_whoever_resumes_proposes_the_same(rule: str) -> None:
    def searcher() -> Mnasnet:
        return Mnasnet(problem(9.0), 3, rule=rule, **QUICK)  # type: ignore[arg-type]

    used = searcher()
    trials = searched(used, 70)
    for cut in (0, 8, 41, 69):
        assert searcher().propose(cut, trials[:cut]) == trials[cut].choice
        assert used.propose(cut, trials[:cut]) == trials[cut].choice, "a used searcher must start anew"
    assert used.records(trials) == searcher().records(trials)
    assert len({trial.choice for trial in trials}) == 70


def test_other_values_are_another_search() -> None:
    used = Mnasnet(problem(), 3, **QUICK)
    trials = searched(used, 60)
    others = [Trial(t.number, t.choice, 1 - t.accuracy, t.cost, 1 - t.value) for t in trials[:24]]
    expected = Mnasnet(problem(), 3, **QUICK).propose(24, others)
    assert used.propose(24, others) == expected != trials[24].choice


def test_seeds_differ() -> None:
    first = [Mnasnet(problem(), seed, **QUICK).propose(0, []) for seed in range(6)]
    assert len(set(first)) >= 5


def test_workers_in_any_order_make_the_batches_of_one() -> None:
    """Three workers, which finish in any order; a choice drawn beyond the batch changes no batch."""
    alone = Mnasnet(problem(), 1, **QUICK)
    expected = alone.records(searched(alone, 80))
    rng = np.random.default_rng(0)
    working: dict[int, Choice] = {}
    finished: dict[int, Trial] = {}
    together = Mnasnet(problem(), 1, **QUICK)
    for number in range(120):
        in_order = [finished[n] for n in sorted(finished)]
        choice = together.propose(number, in_order, list(working.values()))
        assert choice is not None
        assert choice not in working.values()
        assert choice not in {trial.choice for trial in in_order}
        working[number] = choice
        while len(working) == 3:
            done = int(rng.choice(list(working)))
            finished[done] = problem().judged(done, working[done], accuracy(working.pop(done)))
    found = together.records([finished[n] for n in sorted(finished)])
    shorter = min(len(expected), len(found))
    assert shorter >= 8
    assert [u.choices for u in found[:shorter]] == [u.choices for u in expected[:shorter]]
    assert [u.step for u in found[:shorter]] == [u.step for u in expected[:shorter]]


def test_a_pending_choice_is_not_proposed_and_a_lost_one_is_again() -> None:
    searcher = Mnasnet(problem(), 0, **QUICK)
    pending: list[Choice] = []
    for number in range(30):  # far beyond the first batch, none of which is judged
        choice = searcher.propose(number, [], pending)
        assert choice is not None
        assert choice not in pending
        pending.append(choice)
    assert searcher.propose(30, [], pending[1:]) == pending[0]


@pytest.mark.parametrize("rule", ["ppo", "reinforce"])
def test_a_small_space_is_judged_whole_and_then_nothing_is_left(rule: str) -> None:
    space = Small()
    searcher = Mnasnet(problem(space=space), 0, rule=rule, batch=4, lr=0.03, epochs=1, patience=8)  # type: ignore[arg-type]
    trials = searched(searcher, 100)
    assert sorted(trial.choice for trial in trials) == list(np.ndindex(3, 3, 3))
    assert searcher.propose(27, trials) is None


def test_a_choice_drawn_again_counts_again_and_costs_no_trial() -> None:
    searcher = Mnasnet(problem(space=Small()), 0, batch=10, lr=3e-4, epochs=1)
    trials = searched(searcher, 20)
    worth = {trial.choice: trial.value for trial in trials}
    updates = searcher.records(trials)
    assert all(u.rewards == tuple(worth[c] for c in u.choices) for u in updates)
    assert sum(u.news for u in updates) < sum(len(u.choices) for u in updates)
    seen: set[Choice] = set()
    for update in updates:
        assert update.news == len({*update.choices} - seen)
        seen |= {*update.choices}


def test_without_news_the_neighbour_of_the_likeliest_is_judged() -> None:
    """A rate so high that the controller soon draws one choice alone."""
    searcher = Mnasnet(problem(), 0, batch=10, lr=0.1, epochs=1, patience=20)
    trials = searched(searcher, 50)
    updates = searcher.records(trials)
    drawn = {choice for update in updates for choice in update.choices}
    guesses = [trial.choice for trial in trials if trial.choice not in drawn]
    assert len(guesses) >= 4
    for guess in guesses[:4]:
        assert any(len({*u.choices}) == 1 and distance(guess, u.choices[0]) == 1 for u in updates)
    news = [update.news > 0 for update in updates]
    assert 2 * len(guesses) <= news.count(False) <= 2 * (len(guesses) + 1) + sum(news), (
        "two batches without news, then a guess"
    )


def test_under_accuracy_alone_nothing_beyond_the_target_is_judged() -> None:
    searcher = Mnasnet(problem(6.0, Accuracy()), 0, **QUICK)
    trials = searched(searcher, 60)
    assert max(trial.cost or 0.0 for trial in trials) <= 6
    rewards = {c: r for u in searcher.records(trials) for c, r in zip(u.choices, u.rewards, strict=True)}
    assert {rewards[c] == 0 for c in rewards if 1 + sum(c) > 6} == {True}
    assert min(rewards[c] for c in rewards if 1 + sum(c) <= 6) > 0


def test_the_piecewise_reward_leaves_the_sampling_free() -> None:
    trials = searched(Mnasnet(problem(6.0), 0, **QUICK), 16)
    assert max(trial.cost or 0.0 for trial in trials) > 6


class Blind(Listed):
    """Costs whose least nobody knows."""

    least = None


def test_a_target_that_no_choice_keeps_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.search.problem.TRIES", 2000)
    blind = Problem(Small(), Blind(costs(Small()).costs, "digits"), 0.5)
    with pytest.raises(BadInput, match="the least that was met is 1: raise the target to that"):
        Mnasnet(blind, 0, **QUICK).propose(0, [])


def test_global_randomness_is_neither_used_nor_touched() -> None:
    def proposed() -> list[Choice]:
        return [trial.choice for trial in searched(Mnasnet(problem(), 0, **QUICK), 20)]

    states: list[Callable[[], object]] = [
        lambda: torch.get_rng_state().tolist(),
        lambda: np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate,
    ]
    before = [state() for state in states]
    first = proposed()
    assert [state() for state in states] == before
    torch.manual_seed(99)
    assert proposed() == first


def mean(updates: list[Update]) -> float:
    return float(np.mean([update.reward for update in updates]))


def test_it_learns() -> None:
    """Rewards rise and entropy falls; the records say so."""
    searcher = Mnasnet(problem(9.0), 0, **QUICK)
    updates = searcher.records(searched(searcher, 150))
    assert mean(updates[-5:]) > mean(updates[:5]) + 0.05
    assert updates[0].step.entropy == pytest.approx(8 * np.log(3), abs=0.1)
    assert updates[-1].step.entropy < 0.8 * updates[0].step.entropy
    assert mean(updates[1:]) - np.mean([u.step.baseline for u in updates[1:]]) == pytest.approx(
        np.mean([u.step.advantage for u in updates[1:]])
    )


@pytest.mark.parametrize(
    "settings", [{"rule": "a2c"}, {"batch": 0}, {"epochs": 0}, {"lr": 0.0}, {"patience": 0}], ids=str
)
def test_bad_settings(settings: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"unknown; choose ppo or reinforce|must be above 0"):
        Mnasnet(problem(), **settings)  # type: ignore[arg-type]


def test_rewards_are_the_papers() -> None:
    """Twice the latency buys five per cent of accuracy, by the paper's choice of w."""
    soft = Weighted(75.0)
    assert soft.of(0.5, 75.0) == 0.5
    assert soft.of(0.5 * 1.05, 150.0) == pytest.approx(soft.of(0.5, 75.0), rel=1e-3)
    assert Weighted(75.0, -0.15, -0.15).of(0.6, 37.5) == pytest.approx(0.6 * 2**0.15)
    assert [piecewise(50.0).of(0.8, cost) for cost in (10.0, 50.0, 100.0)] == pytest.approx([0.8, 0.8, 0.4])


@pytest.mark.skipif(not BENCH.is_file(), reason="the public table is not beside the repository")
@pytest.mark.parametrize("target", [20e6, 50e6, 90e6])
@pytest.mark.parametrize(("w", "best"), [(-0.07, "10101101"), (-0.15, "10100200")])
def test_the_target_of_the_soft_reward_does_not_change_the_best_net(target: float, w: float, best: str) -> None:
    runs = [read_column(BENCH, "arch", f"acc{i}", scale=0.01) for i in (1, 2, 3)]
    madds, reward = read_column(BENCH, "arch", "flops"), Weighted(target, w, w)
    worth = {c: reward.of(sum(r[c] for r in runs) / 3, madds[c]) for c in madds}
    assert max(worth, key=worth.__getitem__) == tuple(map(int, best))
