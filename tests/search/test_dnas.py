"""DNAS: the supernet, its loss, the optimiser on a known optimum, resuming, and the networks that are drawn."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.cost.lut.additive import Additive
from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.models.convnet import ConvNet
from pumice.models.spaces.fbnet import FBNetSpace
from pumice.models.spaces.layered import Layered
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.cost import Cost
from pumice.search.costs import MAdds
from pumice.search.dnas import dnas
from pumice.search.problem import Problem
from pumice.search.supernet.additive import Summed, additive, least
from pumice.search.supernet.alternate import Record, alternate
from pumice.search.supernet.gates import Gates, gumbel, one_hot
from pumice.search.supernet.images import Feeding, two_parts
from pumice.search.supernet.mixed import Supernet
from pumice.search.supernet.relaxed import Relaxed, factor
from pumice.search.supernet.sampled import Sampled
from pumice.search.supernet.schedule import Schedule

TINY = MacroSpace(0.125)
CHOICES: list[Choice] = [(0,) * 8, (1, 2, 0, 1, 2, 0, 1, 2), (2,) * 8]


def few_digits(images: int = 80) -> Splits:
    splits = open_digits()
    return replace(splits, train=splits.train.subset(range(images)))


# --- the supernet


@pytest.mark.parametrize(
    ("space", "choices"),
    [
        (TINY, CHOICES),
        (FBNetSpace(0.25), [(3,) * 22, tuple(i % 9 for i in range(22)), (8,) * 22]),
    ],
    ids=["macro", "fbnet"],
)
@pytest.mark.parametrize("training", [True, False])
def test_one_hot_gates_are_the_plain_network(space: Layered, choices: list[Choice], training: bool) -> None:
    torch.manual_seed(0)
    net = Supernet(space, num_classes=10).train(training)
    nn.init.normal_(net.head.classifier.weight)  # the logits of a fresh head are nearly 0
    x, outputs = torch.randn(8, 3, 32, 32), []
    for choice in choices:
        with torch.no_grad():
            plain = net.plain(choice).train(training)
            expected = plain(x)
            outputs.append(net(x, one_hot(space, choice)))
        torch.testing.assert_close(outputs[-1], expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
    assert (outputs[0] - outputs[1]).abs().max() > 0.1 * outputs[0].abs().max()


def test_a_mixture_is_the_weighted_sum_of_its_candidates() -> None:
    net = Supernet(TINY).eval()
    layer, gates = net.blocks[2], torch.tensor([0.2, 0.3, 0.5])
    x = torch.randn(2, 8, 16, 16)
    with torch.no_grad():
        parts = [block(x) for block in layer.candidates]
        torch.testing.assert_close(layer(x, gates), 0.2 * parts[0] + 0.3 * parts[1] + 0.5 * parts[2])


class Broken(MacroSpace):
    """A layer whose candidates end in different widths."""

    def rows(self, layer):
        first, *others = super().rows(layer)
        return (first, *(replace(row, out_channels=row.out_channels + layer // 7) for row in others))


def test_candidates_of_different_widths_are_refused() -> None:
    with pytest.raises(BadInput, match=r"layer 8 end in 256 channels at stride 1 and 257 channels"):
        Supernet(Broken())


# --- costs and the loss


def test_multiply_adds_are_a_sum_over_the_layers() -> None:
    table = additive(MAdds(TINY), TINY, scale=1e3)
    net = Supernet(TINY, table).double()
    for choice in CHOICES:
        true = profile(ConvNet(TINY.spec(choice), num_classes=10), (3, 32, 32)).madds
        assert Summed(table, "").of(choice) * 1e3 == pytest.approx(true, rel=1e-12)
        cost = net.cost([gate.double() for gate in one_hot(TINY, choice)])
        assert cost is not None
        assert float(cost) * 1e3 == pytest.approx(true, rel=1e-6)
    assert least(table, TINY) * 1e3 == pytest.approx(MAdds(TINY).of(CHOICES[0]), rel=1e-12)


def test_a_cost_that_is_no_sum_is_refused() -> None:
    class Square(Cost):
        unit = "squares"
        asked = 0

        def of(self, choice: Choice) -> float:
            self.asked += 1
            return float(sum(choice)) ** 2 + 1

    class Once(Square):  # wrong within one half alone, and seldom
        def of(self, choice: Choice) -> float:
            return 1.0 + sum(choice) + (choice[:2] == (2, 2))

    square = Square()
    with pytest.raises(BadInput, match="is no sum over its positions"):
        additive(square, TINY)
    assert square.asked <= 10
    with pytest.raises(BadInput, match="is no sum over its positions"):
        additive(Once(), TINY)


def test_the_loss_at_known_values() -> None:
    # alpha * (log cost)^beta, not alpha * beta * log cost, and not log(cost^beta)
    assert float(factor(torch.tensor(np.e))) == pytest.approx(0.2, rel=1e-6)
    assert float(factor(torch.tensor(np.e**2))) == pytest.approx(0.2 * 2**0.6, rel=1e-6)
    assert float(factor(torch.tensor(20.0), 1.0, 0.6)) == pytest.approx(1.931532, rel=1e-5)


def test_gradient_of_the_cost_equals_finite_differences() -> None:
    rng = np.random.default_rng(0)
    net = Supernet(TINY, Additive(rng.uniform(1, 5, (8, 3)), 3.0)).double()
    theta = [torch.from_numpy(rng.normal(size=3)) for _ in range(8)]

    def loss(theta: list[Tensor]) -> Tensor:
        torch.manual_seed(5)
        cost = net.cost(gumbel(theta, 1.7))
        assert cost is not None
        return 1.3 * factor(cost)

    leaves = [t.clone().requires_grad_() for t in theta]
    gradients = torch.autograd.grad(loss(leaves), leaves)
    for layer, option in itertools.product(range(8), range(3)):
        step = [torch.zeros(3, dtype=torch.double) for _ in range(8)]
        step[layer][option] = 1e-5
        up, down = (loss([t + s * sign for t, s in zip(theta, step, strict=True)]) for sign in (1, -1))
        assert float(gradients[layer][option]) == pytest.approx(float(up - down) / 2e-5, rel=1e-5, abs=1e-9)
    assert max(float(g.abs().max()) for g in gradients) > 1e-3


def test_gumbel_gates_pick_an_option_as_often_as_its_probability() -> None:
    torch.manual_seed(0)
    theta = torch.tensor([1.0, 0.0, -1.0])
    picked = [int(gumbel([theta], 0.1)[0].argmax()) for _ in range(4000)]
    shares = np.bincount(picked, minlength=3) / 4000
    assert shares == pytest.approx(torch.softmax(theta, 0).tolist(), abs=0.025)  # three standard deviations
    assert float(gumbel([theta], 50.0)[0].max()) < 0.4  # hot: nearly even
    assert float(gumbel([theta], 5.0)[0].sum()) == pytest.approx(1, abs=1e-6)


# --- the optimiser on a known optimum


class Surrogate(Relaxed):
    """Cross-entropy as 3 minus the gains of what is taken; one weight, which nothing depends on."""

    def __init__(self, gains: np.ndarray, costs: np.ndarray | None) -> None:
        super().__init__(MacroSpace())
        self.gains = torch.from_numpy(gains).float()
        self.costs = None if costs is None else torch.from_numpy(costs).float()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        raise NotImplementedError

    def error(self, x: Tensor, labels: Tensor, gates: Gates) -> Tensor:
        return 3.0 - (torch.stack(list(gates)) * self.gains).sum() + self.weight.sum() ** 2

    def cost(self, gates: Gates) -> Tensor | None:
        return None if self.costs is None else 20.0 + (torch.stack(list(gates)) * self.costs).sum()


def nothing(epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
    return [(torch.zeros(1), torch.zeros(1))] * 20


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("with_cost", [False, True])
def test_the_optimiser_finds_a_known_optimum(seed: int, with_cost: bool) -> None:
    rng = np.random.default_rng(seed)
    gains = np.stack([rng.permutation([0.0, 0.08, 0.16]) for _ in range(8)])
    best = np.where(rng.permutation([True, False] * 4), 40.0, 1.0)[:, None]  # too dear in half of the layers
    costs = np.where(gains > 0.1, best, np.where(gains > 0, 1.0, 0.0)) if with_cost else None

    def loss(choice: tuple[int, ...]) -> float:
        error = 3 - sum(gains[i, o] for i, o in enumerate(choice))
        total = 0 if costs is None else 20 + sum(costs[i, o] for i, o in enumerate(choice))
        return error if costs is None else error * 0.2 * np.log(total) ** 0.6

    ranked = sorted(itertools.product(range(3), repeat=8), key=loss)
    schedule = Schedule(epochs=12, warmup=1, cooling=0.3, theta_lr=0.1)
    history = alternate(Surrogate(gains, costs), nothing, nothing, schedule, seed=seed)
    found = tuple(history[-1]["choice"])
    assert found == ranked[0]
    assert sum(o != b for o, b in zip(found, gains.argmax(1), strict=True)) == (4 if with_cost else 0)
    assert max(history[-1]["entropy"]) < max(history[0]["entropy"]) == pytest.approx(np.log(3), abs=1e-6)


def test_theta_rests_in_the_warm_up() -> None:
    gains = np.tile([0.0, 0.1, 0.2], (8, 1))
    history = alternate(Surrogate(gains, None), nothing, nothing, Schedule(epochs=4, warmup=3), seed=0)
    assert [record["theta"][0] == [0, 0, 0] for record in history] == [True, True, True, False]
    assert [record["ce_theta"] is None for record in history] == [True, True, True, False]


def test_a_pass_for_theta_leaves_the_weights_alone() -> None:
    net = Surrogate(np.tile([0.0, 0.1, 0.2], (8, 1)), None)
    nn.init.ones_(net.weight)
    alternate(net, nothing, nothing, Schedule(epochs=1, warmup=0, lr=1e-12), seed=0)
    assert float(net.weight.detach()) == pytest.approx(1, abs=1e-9)
    assert float(net.theta[0].detach().abs().max()) > 0.05


def test_a_loss_that_is_no_number_ends_the_search(tmp_path: Path) -> None:
    net = Surrogate(np.full((8, 3), np.nan), None)
    with pytest.raises(CheckFailed, match="no longer a number in epoch 0; lower its learning rate"):
        alternate(net, nothing, nothing, Schedule(), folder=tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(CheckFailed, match="too few images for one batch"):
        alternate(net, lambda epoch: [], nothing, Schedule())


def test_the_papers_schedule() -> None:
    schedule = Schedule()
    assert schedule.tau_at(1) / schedule.tau_at(0) == pytest.approx(0.956, abs=1e-3)
    assert schedule.tau_at(90) == pytest.approx(0.087, abs=1e-3)
    assert (schedule.lr_at(0), schedule.lr_at(45)) == pytest.approx((0.1, 0.05))
    short = schedule.shortened(30)
    assert (short.warmup, short.tau_at(30)) == (3, pytest.approx(schedule.tau_at(90)))


# --- whole searches


def search(folder: Path | None, told=None, **more) -> tuple[list[Record], Choice]:
    problem = Problem(TINY, Summed(Additive(np.tile([1.0, 2.0, 4.0], (8, 1)), 5.0), "ms"))
    settings = {
        "schedule": Schedule(epochs=3, warmup=1, theta_lr=0.05),
        "feeding": Feeding(Preprocess((16, 16), crop_pct=1.0), batch_size=16),
        "folder": folder,
        "told": told,
    }
    learnt = dnas(problem, few_digits(), **{**settings, **more})
    return [{**record, "seconds": 0} for record in learnt.history], learnt.choice


def test_a_killed_search_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    whole, choice = search(None)
    assert torch.equal(state, torch.get_rng_state())

    class Killed(Exception):
        pass

    def kill(record: Record) -> None:
        if record["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        search(tmp_path, told=kill)
    epochs: list[int] = []
    assert search(tmp_path, told=lambda record: epochs.append(record["epoch"])) == (whole, choice)
    assert epochs == [2]
    assert whole[-1]["theta"] != whole[1]["theta"] != whole[0]["theta"]
    assert search(tmp_path) == (whole, choice)  # a finished one changes nothing
    with pytest.raises(BadInput, match="is of a search with another seed; name another folder"):
        search(tmp_path, seed=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_search_on_a_gpu_draws_the_gates_of_the_cpu() -> None:
    (first, *_), choice = search(None, device="cuda", schedule=Schedule(epochs=1, warmup=0, theta_lr=0.05))
    (same, *_), _ = search(None, schedule=Schedule(epochs=1, warmup=0, theta_lr=0.05))
    assert first["cost"] == pytest.approx(same["cost"], rel=1e-3)
    assert len(choice) == 8


def test_a_search_without_a_cost_looks_at_the_error_alone() -> None:
    learnt = dnas(
        Problem(TINY),
        few_digits(),
        schedule=Schedule(epochs=1, warmup=0),
        feeding=Feeding(Preprocess((16, 16), crop_pct=1.0), batch_size=16, augment="none"),
    )
    assert learnt.history[0]["expected_cost"] is None
    assert learnt.history[0]["ce_theta"] > 0


def test_unsuited_problems_are_refused() -> None:
    class Other(Space):
        name = "other"
        positions = (Position("a", ("x", "y")),)

        def spec(self, choice: Choice) -> NetSpec:
            raise NotImplementedError

    with pytest.raises(BadInput, match="other is none"):
        dnas(Problem(Other()), few_digits())
    with pytest.raises(BadInput, match=r"least cost of macro is 0.13 times 100 ms.*a smaller unit than 13"):
        search(None, unit=100)
    with pytest.raises(BadInput, match="never trains theta"):
        Schedule(epochs=3, warmup=3)


def test_no_image_trains_both_weights_and_theta() -> None:
    images = open_digits().train.subset(range(200))
    feeding = Feeding(Preprocess((8, 8), crop_pct=1.0), batch_size=10, augment="none")
    parts = [
        {image.numpy().tobytes() for x, _ in batches(0) for image in x} for batches in two_parts(images, feeding, 0)
    ]
    assert not parts[0] & parts[1]
    assert len(parts[0]) == pytest.approx(4 * len(parts[1]), abs=10)


# --- drawn networks


def test_drawn_networks_follow_theta_and_keep_the_target() -> None:
    theta = [[0.0, 0.0, 5.0]] * 4 + [[5.0, 0.0, -5.0]] * 4
    cost = Summed(Additive(np.tile([1.0, 2.0, 4.0], (8, 1)), 0.0), "ms")
    free, kept = Sampled(Problem(TINY), theta, 0), Sampled(Problem(TINY, cost, 18.0), theta, 0)
    assert free.propose(0, []) == (2, 2, 2, 2, 0, 0, 0, 0)
    assert cost.of(free.propose(0, [])) == 20  # type: ignore[arg-type]
    trials = []
    for number in range(20):
        choice = kept.propose(number, trials)
        assert choice is not None
        assert cost.of(choice) <= 18
        assert choice == Sampled(Problem(TINY, cost, 18.0), theta, 0).propose(number, trials)
        trials.append(kept.problem.judged(number, choice, 0.5))
    assert len({trial.choice for trial in trials}) == 20
    likely = [option == (2 if i < 4 else 0) for trial in trials[:6] for i, option in enumerate(trial.choice)]
    assert np.mean(likely) > 0.7
    assert kept.propose(1, [], [trials[1].choice]) != trials[1].choice
    assert Sampled(Problem(TINY), [[9.0, 0, 0]] * 8, 0).propose(0, [], [(0,) * 8]) != (0,) * 8
