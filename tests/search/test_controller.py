"""The controller is the distribution that it says, and learns in the direction of the rewards."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from pumice.search.controller import Controller, entropy, taken
from pumice.search.policy import PPO, Policy, Reinforce

SIZES = (3, 2, 4)
ALL = torch.tensor(list(product(*map(range, SIZES))))


def opinionated(seed: int = 0) -> Controller:
    """A controller whose softmaxes are far from uniform and depend on the tokens before."""
    controller = Controller(SIZES, seed, units=16)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter *= 12
    return controller


def test_probabilities_of_all_choices_sum_to_one() -> None:
    controller = opinionated()
    p = controller.log_prob(ALL).exp()
    assert float(p.sum().detach()) == pytest.approx(1, abs=1e-12)
    assert float(p.max().detach()) > 3 / len(ALL)
    for t, size in enumerate(SIZES):
        at = controller.log_probs(ALL)[:, t].exp()
        assert torch.allclose(at.sum(dim=1), torch.ones(len(ALL), dtype=torch.float64))
        assert bool((at[:, size:] == 0).all())


def test_a_token_depends_on_those_before_it_alone() -> None:
    log_probs = opinionated().log_probs(torch.tensor([[0, 0, 0], [0, 0, 3], [0, 1, 0], [2, 0, 0]]))
    assert torch.equal(log_probs[0], log_probs[1])
    assert torch.equal(log_probs[0, :2], log_probs[2, :2])
    assert not torch.allclose(log_probs[0, 2], log_probs[2, 2])
    assert torch.equal(log_probs[0, 0], log_probs[3, 0])
    assert not torch.allclose(log_probs[0, 1], log_probs[3, 1])


def test_samples_come_as_often_as_their_probability_says() -> None:
    controller, n = opinionated(1), 20_000
    drawn = controller.sample(np.random.default_rng(0).random((n, len(SIZES))))
    p = controller.log_prob(ALL).exp().detach().numpy()
    counts = np.array([drawn.count(tuple(choice)) for choice in ALL.tolist()])
    off = np.abs(counts - n * p) / np.sqrt(n * p * (1 - p))
    assert off.max() < 4


def test_a_draw_picks_the_token_whose_share_it_falls_into() -> None:
    controller = opinionated()
    assert controller.sample(np.zeros((1, 3))) == [(0, 0, 0)]
    assert controller.sample(np.full((1, 3), np.nextafter(1, 0))) == [(2, 1, 3)]
    first = controller.log_probs(ALL)[0, 0].exp().tolist()
    assert [controller.sample(np.array([[u, 0, 0]]))[0][0] for u in (first[0] - 1e-9, first[0] + 1e-9)] == [0, 1]


def test_the_likeliest_choice_takes_the_best_token_after_the_best() -> None:
    controller = opinionated(3)
    choice: list[int] = []
    for t in range(3):
        options = torch.tensor([[*choice, o, *[0] * (2 - t)] for o in range(SIZES[t])])
        log_probs = controller.log_probs(options)
        choice.append(int(torch.stack([log_probs[o, t, o] for o in range(SIZES[t])]).argmax()))
    assert controller.likeliest() == tuple(choice)


def test_weights_are_uniform_and_of_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = Controller((3,) * 8, 1), Controller((3,) * 8, 1), Controller((3,) * 8, 2)
    assert torch.equal(before, torch.get_rng_state())
    flat = torch.cat([p.detach().flatten() for p in one.parameters()])
    assert 0.0999 < float(flat.abs().max()) <= 0.1
    assert float(flat.std()) == pytest.approx(0.2 / math.sqrt(12), rel=0.01)
    assert torch.equal(flat, torch.cat([p.detach().flatten() for p in same.parameters()]))
    assert not torch.equal(flat, torch.cat([p.detach().flatten() for p in other.parameters()]))


def test_entropy_of_the_uniform_controller_is_the_logarithm_of_the_choices() -> None:
    controller = Controller(SIZES)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.zero_()
    assert float(entropy(controller.log_probs(ALL))) == pytest.approx(math.log(len(ALL)), abs=1e-12)
    controller = opinionated()
    p, log_probs = controller.log_prob(ALL).detach().exp(), controller.log_probs(ALL).detach()
    along = torch.stack([entropy(log_probs[i : i + 1]) for i in range(len(ALL))])
    assert float((p * along).sum()) == pytest.approx(-float((p * p.log()).sum()), abs=1e-12)


def gradient(controller: Controller, of: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(of, list(controller.parameters())))


def moved(policy: Policy, before: list[Tensor]) -> list[Tensor]:
    return [new.detach() - old for new, old in zip(policy.controller.parameters(), before, strict=True)]


def weights(policy: Policy) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in policy.controller.parameters()]


def close(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.allclose(x, y, rtol=1e-8, atol=1e-14) for x, y in zip(a, b, strict=True))


def test_reinforce_steps_along_the_mean_of_grad_log_p_times_reward() -> None:
    tokens, rewards = ALL[[0, 5, 5, 17]], torch.tensor([0.1, 0.7, 0.7, 0.3], dtype=torch.float64)
    policy = Reinforce(opinionated())
    policy.optimizer = torch.optim.SGD(policy.controller.parameters(), lr=1.0)  # type: ignore[assignment]
    each = [gradient(policy.controller, policy.controller.log_prob(t[None])[0]) for t in tokens]
    expected = [sum(r * g for r, g in zip(rewards, gs, strict=True)) / 4 for gs in zip(*each, strict=True)]
    before = weights(policy)
    policy.learn(tokens, rewards)
    assert close(moved(policy, before), expected)  # type: ignore[arg-type]


def test_ppo_begins_along_the_advantage_and_the_entropy() -> None:
    tokens, rewards = ALL[[0, 5, 9, 17]], torch.tensor([0.1, 0.7, 0.4, 0.4], dtype=torch.float64)
    policy = PPO(opinionated(), epochs=1, entropy_weight=0.5)
    policy.optimizer = torch.optim.SGD(policy.controller.parameters(), lr=1.0)  # type: ignore[assignment]
    advantage = torch.tensor([-0.3, 0.3, 0, 0], dtype=torch.float64) / math.sqrt(0.18 / 4)
    log_probs = policy.controller.log_probs(tokens)
    expected = gradient(policy.controller, (taken(log_probs, tokens) * advantage).mean() + 0.5 * entropy(log_probs))
    before = weights(policy)
    policy.learn(tokens, rewards)
    assert close(moved(policy, before), expected)


@pytest.mark.parametrize(
    ("ratio", "reward", "moves"), [(1.3, 1.0, False), (0.7, 1.0, True), (1.3, -1.0, True), (0.7, -1.0, False)]
)
def test_ppo_stops_where_the_clip_says(ratio: float, reward: float, moves: bool) -> None:
    policy = PPO(opinionated(), epochs=1, entropy_weight=0.0)
    before = weights(policy)
    old = policy.controller.log_prob(ALL[:4]).detach() - math.log(ratio)
    policy._ascend(ALL[:4], torch.full((4,), reward, dtype=torch.float64), 0.0, old)
    assert any(bool((change != 0).any()) for change in moved(policy, before)) == moves


def test_ppo_learns_the_same_from_accuracy_in_percent() -> None:
    rewards = torch.rand(24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fraction, percent = PPO(opinionated()), PPO(opinionated())
    for _ in range(3):
        fraction.learn(ALL, rewards)
        percent.learn(ALL, 100 * rewards)
    assert close(weights(fraction), weights(percent))


def test_the_baseline_is_a_moving_average() -> None:
    policy = PPO(opinionated(), epochs=1)
    steps = [policy.learn(ALL[:2], torch.full((2,), r, dtype=torch.float64)) for r in (0.5, 0.9, 0.9)]
    assert [step.baseline for step in steps] == pytest.approx([0.5, 0.5, 0.52])
    assert [step.advantage for step in steps] == pytest.approx([0.0, 0.4, 0.38])


@pytest.mark.parametrize(("rule", "batches"), [(PPO, 30), (Reinforce, 120)])
def test_the_good_arm_becomes_likelier_unless_rewards_are_shuffled(rule: type[Policy], batches: int) -> None:
    """Arm 2 of 3 pays, at each of four positions."""

    def probability(shuffled: bool) -> float:
        rng = np.random.default_rng(0)
        policy = rule(Controller((3,) * 4, 0, units=32), lr=3e-3)
        for _ in range(batches):
            tokens = torch.tensor(policy.controller.sample(rng.random((20, 4))))
            rewards = (tokens == 2).double().mean(dim=1)
            policy.learn(tokens, rewards[torch.from_numpy(rng.permutation(20))] if shuffled else rewards)
        uniform = torch.tensor(policy.controller.sample(rng.random((500, 4))))
        return float((uniform == 2).double().mean())

    assert probability(shuffled=False) > 0.9
    assert probability(shuffled=True) < 0.6
