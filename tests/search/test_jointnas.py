"""JointNAS: what its parts compute, and that a predictor finds what chance does not."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from pumice.cost.rank import kendall
from pumice.errors import BadInput
from pumice.models.spaces.fbnet_v3 import FBNetV3Space
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.cost import Cost
from pumice.search.jointnas.early_stop import stop_epoch
from pumice.search.jointnas.encoding import Encoding
from pumice.search.jointnas.evolve import evolve
from pumice.search.jointnas.mlp import MLP, Adam, huber
from pumice.search.jointnas.pool import sobol_pool
from pumice.search.jointnas.predictor import Predictor
from pumice.search.jointnas.searcher import JointNAS
from pumice.search.objective import Called
from pumice.search.problem import Problem
from pumice.search.searcher import Random, run


class Joint(Space):
    """Six layers and two positions of a recipe."""

    name = "joint"
    positions = (
        *(Position(f"layer {i}", ("skip", "k3", "k5", "k7")) for i in range(6)),
        Position("recipe lr", ("0.01", "0.02", "0.04", "0.08", "0.16")),
        Position("recipe optimizer", ("sgd", "adamw", "rmsprop")),
    )

    def spec(self, choice: Choice) -> NetSpec:
        raise NotImplementedError


class Weighed(Cost):
    """A cost that sees architectures alone."""

    unit = "units"

    def of(self, choice: Choice) -> float:
        return float(sum((i + 1) * option for i, option in enumerate(choice[:6])))


SPACE = Joint()


def accuracy(choice: Choice) -> float:
    """Grows with the cost, less and less; each optimiser has its own best rate."""
    rate = abs(choice[6] - (1, 2, 3)[choice[7]])
    return 0.6 + 0.2 * float(np.sqrt(Weighed().of(choice) / 63)) + 0.02 * (choice[2] == 1) - 0.03 * rate


def drawn(count: int, seed: int) -> list[Choice]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(SPACE.random(rng) for _ in range(count)))


def tau(predictor: Predictor, labels: int, seed: int) -> float:
    seen, unseen = drawn(labels, 1 + seed), drawn(200, 100 + seed)
    predictor.fit(seen, [accuracy(choice) for choice in seen])
    return kendall(predictor.predict(unseen).tolist(), [accuracy(choice) for choice in unseen])


def test_encoding_of_words_numbers_and_recipes() -> None:
    encoding = Encoding(SPACE)
    nets = encoding.nets([(0, 1, 2, 3, 0, 0, 3, 2), (3, 3, 3, 3, 3, 3, 0, 0)])
    assert nets.shape == (2, 24)
    assert nets[0].reshape(6, 4).argmax(1).tolist() == [0, 1, 2, 3, 0, 0]
    assert nets.sum(1).tolist() == [6, 6]
    assert encoding.recipes([(0, 1, 2, 3, 0, 0, 3, 2)]).tolist() == [[0, 0, 0, 1, 0, 0, 0, 1]]
    assert Encoding(MacroSpace()).recipes([(0,) * 8]).shape == (1, 0)
    wide = FBNetV3Space()
    drop_rate = [position.name for position in wide.positions].index("recipe drop_rate")
    choices = np.zeros((3, len(wide.positions)), int)
    choices[:, drop_rate] = (0, 13, 39)  # of forty numbers, one value
    differ = np.ptp(recipes := Encoding(wide).recipes([tuple(c) for c in choices.tolist()]), axis=0) > 0
    np.testing.assert_allclose(recipes[:, differ], [[0], [13 / 39], [1]], atol=1e-6)


def test_gradients_and_steps_are_those_of_torch() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = MLP((5, 7, 6, 2), rng), nn.Sequential()
    for i in range(0, len(ours.parameters), 2):
        layer = nn.Linear(*ours.parameters[i].shape)
        layer.weight.data, layer.bias.data = (torch.tensor(p.T.copy()) for p in ours.parameters[i : i + 2])
        theirs.extend([layer, nn.SiLU()] if i + 2 < len(ours.parameters) else [layer])
    x, wanted = (rng.standard_normal((9, n)).astype(np.float32) * 2 for n in (5, 2))
    read = torch.tensor(x, requires_grad=True)
    adam, steps = Adam(ours.parameters, 0.01, 5), torch.optim.Adam(theirs.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(steps, 5)
    for _ in range(5):
        steps.zero_grad()
        read.grad = None
        nn.functional.huber_loss(theirs(read), torch.tensor(wanted)).backward()
        passed = ours.forward(x)
        gradients, by_input = ours.backward(passed, huber(passed[-1], wanted))
        assert read.grad is not None
        np.testing.assert_allclose(by_input, read.grad.numpy(), atol=1e-5)
        for mine, parameter in zip(gradients, theirs.parameters(), strict=True):
            assert parameter.grad is not None
            np.testing.assert_allclose(mine.T, parameter.grad.numpy(), atol=1e-5)
        adam.step(gradients)
        steps.step()
        schedule.step()
        for mine, parameter in zip(ours.parameters, theirs.parameters(), strict=True):
            np.testing.assert_allclose(mine.T, parameter.detach().numpy(), atol=1e-4)  # steps of about 0.01


def test_the_predictor_ranks_what_it_has_not_seen() -> None:
    assert np.mean([tau(Predictor(SPACE, (Weighed(),), seed), 150, seed) for seed in range(2)]) > 0.6
    predictor, choices = Predictor(SPACE, (Weighed(),), 0), drawn(100, 1)
    mixed = np.random.default_rng(0).permutation([accuracy(choice) for choice in choices])
    predictor.fit(choices, mixed.tolist())
    unseen = drawn(200, 2)
    assert abs(kendall(predictor.predict(unseen).tolist(), [accuracy(c) for c in unseen])) < 0.3


def test_statistics_stand_in_for_labels() -> None:
    """Where accuracy follows the cost, few labels go further with it."""
    taught, plain = (
        np.mean([tau(Predictor(SPACE, (Weighed(),), seed, pretrained=known), 16, seed) for seed in range(3)])
        for known in (True, False)
    )
    assert taught > plain + 0.03, (taught, plain)


def test_a_pool_keeps_the_target_and_leaves_nothing_out() -> None:
    problem = Problem(SPACE, Weighed(), 20.0)
    pool = sobol_pool(problem, 300, seed=3)
    assert len(set(pool)) == 300
    assert max(map(Weighed().of, pool)) <= 20
    assert pool == sobol_pool(problem, 300, seed=3) != sobol_pool(problem, 300, seed=4)
    few = Problem(SPACE, Weighed(), 1.0)
    kept = {(a, 0, 0, 0, 0, 0, *recipe) for a in (0, 1) for recipe in itertools.product(range(5), range(3))}
    assert set(sobol_pool(few, 2000, seed=0)) <= kept
    with pytest.raises(BadInput, match="raise the target"):
        sobol_pool(Problem(SPACE, Weighed(), -1.0), 10, seed=0)


def test_the_evolutionary_stage_finds_the_best_score_within_the_target() -> None:
    """A space of 10^20, of which it sees some 2,500 choices; the optimum is known."""
    space = FBNetV3Space()
    sizes = [len(position.options) for position in space.positions]

    class First(Cost):
        unit = "units"

        def of(self, choice: Choice) -> float:
            return float(choice[0] + choice[1])

    problem = Problem(space, First(), 5.0)
    rng = np.random.default_rng(0)

    def score(choices: list[Choice]) -> np.ndarray:
        return np.array([sum(option / (size - 1) for option, size in zip(c, sizes, strict=True)) for c in choices])

    first = [problem.random(rng) for _ in range(100)]
    found = evolve(problem, score, first, rng)
    assert len(set(found)) == 100
    assert all(problem.feasible(choice) for choice in found)
    scores = score(found)
    assert (np.diff(scores) <= 0).all()
    reachable = len(sizes) - 2 + max(a / (sizes[0] - 1) + (5 - a) / (sizes[1] - 1) for a in range(1, 6))
    assert score(first).max() < 0.75 * reachable
    assert scores[0] > 0.95 * reachable


def test_the_search_leaves_random_search_behind() -> None:
    """Within a target that one choice in seven keeps; equal trials."""
    problem = Problem(SPACE, Weighed(), 20.0)
    ours = [[*run(JointNAS(problem, seed), Called(accuracy), 60)] for seed in range(2)]
    by_chance = [[*run(Random(problem, seed), Called(accuracy), 60)] for seed in range(2)]
    best = max(accuracy(c) for c in itertools.product(*map(range, (4, 4, 4, 4, 4, 4, 5, 3))) if Weighed().of(c) <= 20)
    short, theirs = (np.mean([best - max(t.accuracy for t in trials) for trials in runs]) for runs in (ours, by_chance))
    assert short < 0.25 * theirs
    assert all(trial.cost is not None and trial.cost <= 20 for trials in ours for trial in trials)
    searcher = JointNAS(problem, 0)
    assert [trial.choice for trial in ours[0][:12]] == searcher.first_batch()
    rounds = searcher.records(ours[0])
    assert [r.first for r in rounds] == [12, 24, 36, 48]
    assert all(-1 <= r.before <= 1 for r in rounds)
    assert np.mean([r.after for r in rounds]) > np.mean([r.before for r in rounds])


def test_from_when_on_a_ranking_holds() -> None:
    final = [0.1, 0.2, 0.3, 0.4, 0.5]
    curves = list(map(list, zip([0.5, 0.4, 0.3, 0.2, 0.1], [0.2, 0.1, 0.3, 0.5, 0.4], final, final, strict=True)))
    assert stop_epoch(curves) == 3
    assert stop_epoch(curves, threshold=0.75) == 2  # rho is 1 - 6 * 4 / 120 = 0.8
    assert stop_epoch([[0.2, 0.1], [0.1, 0.2]]) == 2
    with pytest.raises(BadInput, match="all whole"):
        stop_epoch([[0.1, 0.2], [0.1]])


@pytest.mark.parametrize("settings", [{"batch": 1}, {"rounds": 0}, {"pool": 0}])
def test_impossible_settings(settings: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="or more"):
        JointNAS(Problem(SPACE), 0, **settings)
