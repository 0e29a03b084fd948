"""NetAdapt's steps without networks: what is proposed, what is taken, where it leads."""

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pumice import errors
from pumice.cost.lut.additive import fit_additive
from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import cut
from pumice.graph.resized import Resized
from pumice.graph.trace import trace
from pumice.nn.shuffle import ChannelSplit
from pumice.search.netadapt.aim import goal_between
from pumice.search.netadapt.prices import MAdds
from pumice.search.netadapt.propose import Judged, Proposal, proposals, take
from pumice.search.netadapt.settings import Settings
from pumice.search.netadapt.widths import narrower, strongest

Widths = Mapping[str, int]
BENCH = Path(errors.__file__).parents[2] / "shared" / "reference" / "search" / "bench"


def priced(per_channel: Mapping[str, float]):
    def price(nets: Sequence[Widths]) -> list[float]:
        return [sum(per_channel[group] * width for group, width in net.items()) for net in nets]

    return price


def options(widths: Widths, step: int = 8) -> dict[str, Sequence[int]]:
    return {group: range((width - 1) // step * step, 0, -step) for group, width in widths.items()}


def test_each_group_is_proposed_at_its_largest_width_within_the_limit() -> None:
    widths = {"a": 64, "b": 200, "c": 24}
    price = priced({"a": 1.0, "b": 0.25, "c": 0.5})  # 64 + 50 + 12 = 126
    found = proposals(widths, options(widths), price, 113.0)
    # c alone could save 8 at most.  b needs more widths than are priced at once.
    assert found == [Proposal("a", 48, 110.0), Proposal("b", 144, 112.0)]
    assert proposals(widths, options(widths), price, 0.5) == []


def test_a_price_need_not_fall_with_every_channel() -> None:
    ms = {64: 10.0, 56: 11.0, 48: 8.0, 40: 9.0}
    found = proposals({"a": 64}, {"a": (56, 48, 40)}, lambda nets: [ms[net["a"]] for net in nets], 9.0)
    assert found == [Proposal("a", 48, 8.0)]


class Sides(nn.Module):
    """Two layers read one half each of what the first makes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.split = nn.Conv2d(3, 8, 1), ChannelSplit((4, 4))
        self.left, self.right, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.split(self.first(x))
        return self.last(torch.cat((self.left(left), self.right(right)), 1).mean((2, 3)))


def test_no_layer_is_left_without_channels() -> None:
    net = Sides()
    net.first.weight.data.copy_(torch.arange(8.0).view(-1, 1, 1, 1))  # the strongest filters are all on one side
    groups = channel_groups(trace(net, (3, 32, 32)))
    (group,) = (g for g in groups if g.name == "first")
    assert narrower(group, 1) == (7, 6, 5, 4, 3, 2, 1)
    assert not works(net, groups, {"first": (4, 5, 6, 7)})
    assert [strongest(group, net, width) for width in (5, 4, 2)] == [(3, 4, 5, 6, 7), (3, 5, 6, 7), (3, 7)]
    assert all(works(net, groups, {"first": strongest(group, net, width)}) for width in (6, 4, 2))
    with pytest.raises(BadInput, match="some layer would have none"):
        strongest(group, net, 1)
    sizes = Resized(net, (3, 32, 32), {"first": (4, 2, 1)}, lambda name, width: strongest(group, net, width))
    assert MAdds().of([{"first": width} for width in (8, 4, 2, 1)], sizes.at)[-1] == inf
    assert MAdds().of([{"first": 4}], sizes.at) == [32 * 32 * (3 * 4 + 4 * 4) + 80]
    # Whatever other groups leave there keeps a layer alive.
    (left,) = (g for g in groups if g.name == "left")
    assert strongest(left, net, 1) == (int(net.left.weight.flatten(1).norm(dim=1).argmax()),)


def works(net: nn.Module, groups: Sequence[Group], kept: Mapping[str, Sequence[int]]) -> bool:
    try:
        small = cut(net, groups, kept)
    except BadInput:
        return False
    return small.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_what_is_taken() -> None:
    cheap = Judged(Proposal("a", 8, 60.0), 0.70, 0.6, 1.0)  # loses 0.10 for 40
    dear = Judged(Proposal("b", 8, 95.0), 0.78, 0.6, 1.0)  # loses 0.02 for 5
    assert take([cheap, dear], 0.8, 100.0, "ratio") is cheap
    assert take([cheap, dear], 0.8, 100.0, "accuracy") is dear
    gaining = Judged(Proposal("c", 8, 99.0), 0.81, 0.6, 1.0)
    assert take([cheap, dear, gaining], 0.8, 100.0, "ratio") is gaining
    # What saves 40 ms and breaks guidelines worth 35 loses 0.10 for 5.
    breaking = Judged(Proposal("a", 8, 60.0, penalty=35.0), 0.70, 0.6, 1.0)
    assert take([breaking, dear], 0.8, 100.0, "ratio") is dear
    even = Judged(Proposal("d", 8, 90.0, penalty=10.0), 0.9, 0.6, 1.0)
    assert take([even, dear], 0.8, 100.0, "ratio") is dear


def search(
    widths: dict[str, int], smaller: Mapping[str, Sequence[int]], price, accuracy, goal: float, settings: Settings
) -> list[tuple[dict[str, int], float]]:
    """The nets of a search and what they cost, with an accuracy that is known."""
    path = [(widths, price([widths])[0])]
    first = path[0][1]
    while path[-1][1] > goal:
        now, cost = path[-1]
        left = {group: [w for w in smaller[group] if w < now[group]] for group in now}
        limit = max(goal, cost - settings.share(len(path) - 1) * first)
        offered = proposals(now, left, price, limit)
        judged = [Judged(p, accuracy({**now, p.group: p.width}), 0.0, 0.0) for p in offered]
        best = take(judged, accuracy(now), cost, settings.rule).proposal
        # By hand: every width of every group that keeps the limit, the largest of a group, the best by the rule.
        ranked = []
        for group in now:
            fitting = [w for w in left[group] if price([{**now, group: w}])[0] <= limit]
            if fitting:
                net = {**now, group: max(fitting)}
                lost, saved = accuracy(net) - accuracy(now), cost - price([net])[0]
                ranked.append((lost / saved if settings.rule == "ratio" else lost, net))
        assert {**now, best.group: best.width} == max(ranked, key=lambda one: one[0])[1]
        path.append(({**now, best.group: best.width}, best.cost))
    return path


def test_greedy_steps_reach_the_best_net_where_accuracy_and_cost_add_up() -> None:
    widths = {"a": 32, "b": 32, "c": 32}
    price = priced({"a": 1.0, "b": 1.0, "c": 1.0})

    def accuracy(net: Widths) -> float:  # the less is left of a group, the more the next channels matter
        return -sum(weight * (32 - net[g]) ** 2 for g, weight in (("a", 1.0), ("b", 2.1), ("c", 5.3)))

    path = search(widths, options(widths), price, accuracy, 56.0, Settings(step=8 / 96))
    every = [dict(zip(widths, net, strict=True)) for net in product((8, 16, 24, 32), repeat=3)]
    best = max((net for net in every if price([net])[0] <= 56.0), key=accuracy)
    assert path[-1] == (best, 56.0)


@pytest.mark.parametrize("form", ["v3", "original"])
def test_steps_take_off_what_they_should(form: str) -> None:
    settings = Settings(form=form)  # type: ignore[arg-type]
    widths = {f"g{i}": 128 + 16 * i for i in range(6)}
    price = priced({group: 1.0 + 0.3 * i for i, group in enumerate(widths)})
    goal = 0.55 * price([widths])[0]

    def accuracy(net: Widths) -> float:
        return -sum((1 - net[g] / widths[g]) ** 2 * (i + 1) for i, g in enumerate(widths))

    path = search(widths, options(widths), price, accuracy, goal, settings)
    costs = [cost for _, cost in path]
    steps = [a - b for a, b in pairwise(costs)]
    assert all(step >= settings.share(i) * costs[0] - 1e-9 for i, step in enumerate(steps[:-1]))
    assert costs[-1] <= goal < costs[-2]
    for before, after in pairwise(path):
        changed = [group for group in widths if before[0][group] != after[0][group]]
        assert len(changed) == 1
        assert after[0][changed[0]] % 8 == 0


@pytest.mark.skipif(not BENCH.is_dir(), reason="../shared is absent: it holds the public latencies")
def test_steps_through_a_public_table_of_latencies() -> None:
    """Layers of FBNet's space as groups, their candidates from the slowest to the quickest as widths."""
    with (BENCH / "fbnet_latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    choices = np.array([[int(c) for c in row["ops"]] for row in rows])
    ms = np.array([float(row["raspi4"]) for row in rows])
    table = fit_additive(choices, ms)
    order = np.argsort(table.terms, axis=1)
    layers = {f"layer {i}": len(terms) - 1 for i, terms in enumerate(table.terms)}

    def price(nets: Sequence[Widths]) -> list[float]:
        return table.predict(
            np.array([[order[i][net[layer]] for i, layer in enumerate(layers)] for net in nets])
        ).tolist()

    smaller = {layer: range(top - 1, -1, -1) for layer, top in layers.items()}
    slowest = price([layers])[0]
    assert slowest == pytest.approx(table.predict(order[:, -1]).item())

    def accuracy(net: Widths) -> float:
        return -sum((8 - net[layer]) ** 1.5 * (1 + i % 4) for i, layer in enumerate(layers))

    path = search(layers, smaller, price, accuracy, 0.6 * slowest, Settings(step=0.02))
    costs = [cost for _, cost in path]
    assert all(a - b >= 0.02 * slowest - 1e-9 for a, b in pairwise(costs[:-1]))
    assert costs[-1] <= 0.6 * slowest < costs[-2]


def test_settings_say_what_is_wrong_with_them() -> None:
    assert Settings().share(5) == 0.01
    original = Settings(form="original")
    assert [round(original.share(i), 6) for i in range(3)] == [0.025, 0.024, 0.02304]
    assert Settings.from_json(original.to_json()) == original
    for wrong, sentence in (
        ({"form": "v2"}, "choose v3 or original"),
        ({"holdout": 1.5}, "no share"),
        ({"step": 0.0}, "must lie above 0"),
        ({"tune_steps": -1}, "whole number from 0"),
        ({"stepp": 0.1}, "no setting 'stepp'"),
        ({"new_weights": "old"}, "cut or random"),
    ):
        with pytest.raises(BadInput, match=sentence):
            Settings.from_json(wrong)


def test_corrections_aim_between_what_was_measured() -> None:
    aim = 0.975 * 8.0
    assert goal_between([(100.0, 10.0)], 8.0) == pytest.approx(100 * aim / 10)
    assert goal_between([(100.0, 10.0), (60.0, 7.0)], 8.0) == pytest.approx(60 + 40 * (aim - 7) / 3)
    # A table that says two thirds where the clock says two fifths.
    found = goal_between([(0.49, 0.419), (0.34, 0.172)], 0.293)
    assert found == pytest.approx(0.34 + 0.15 * (0.975 * 0.293 - 0.172) / (0.419 - 0.172))
    assert goal_between([(100.0, 10.0), (60.0, 7.0), (80.0, 8.5)], 8.0) == pytest.approx(60 + 20 * (aim - 7) / 1.5)
    assert (
        goal_between([(100.0, 10.0), (60.0, 7.0), (50.0, 8.5)], 8.0) == 0.975 * 50.0
    )  # the clock contradicts the table
