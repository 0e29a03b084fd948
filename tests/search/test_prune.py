"""Pruning: what is asked for remains, the least important goes, and the cut network answers as the masked one."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pumice
from pumice.data.digits import open_digits
from pumice.errors import BadInput
from pumice.graph.channels import Group, Use, channel_groups
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.search.prune.choose import Chooser
from pumice.search.prune.counts import Counts
from pumice.search.prune.importance import scores
from pumice.search.prune.prune import prune
from pumice.search.prune.result import composed
from pumice.search.prune.target import Target, read_target
from pumice.search.prune.tune import Tuning
from pumice.search.prune.widths import Menu, menus, step_of
from pumice.train.config import TrainConfig

SIZE = (3, 32, 32)


class Chain(nn.Module):
    """A user's own: conv-norm-relu three times, the middle one grouped, then linear."""

    def __init__(self, width: int = 16, groups: int = 2) -> None:
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width)
        self.b, self.norm_b = nn.Conv2d(width, 2 * width, 3, 2, 1, groups=groups), nn.BatchNorm2d(2 * width)
        self.c, self.norm_c = nn.Conv2d(2 * width, 40, 1), nn.BatchNorm2d(40)
        self.last = nn.Linear(40, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_a(self.a(x)).relu()
        x = self.norm_b(self.b(x)).relu()
        x = self.norm_c(self.c(x)).relu()
        return self.last(x.mean((2, 3)))


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(0)
    net = Chain()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


def test_targets_are_read_as_people_write_them() -> None:
    assert read_target("50%", None) == Target(share=0.5)
    assert read_target(0.25, None) == Target(share=0.25)
    assert read_target(" 1.5M ", None) == Target(madds=1_500_000)
    assert read_target(20_000_000, None) == Target(madds=20_000_000)
    assert read_target(None, "3ms") == Target(latency_ms=3.0)
    assert read_target(None, 0.5) == Target(latency_ms=0.5)


@pytest.mark.parametrize(
    ("madds", "latency", "said"),
    [
        (None, None, "either"),
        ("50%", "3ms", "either"),
        ("50", None, "has no unit; write 50%"),
        ("150%", None, "less than 100%"),
        ("0%", None, "more than 0%"),
        (1.5, None, "less than 100%"),
        ("half", None, "write 60M or 60000000"),
        (None, "3", "no unit"),
        (None, -1.0, "above zero"),
    ],
)
def test_targets_that_cannot_work_are_refused(madds: object, latency: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_target(madds, latency)  # type: ignore[arg-type]


@pytest.mark.parametrize("ranking", ["uniform", "global"])
@pytest.mark.parametrize("share", [0.3, 0.62])
def test_what_is_asked_for_remains_and_hardly_less(chain: Chain, ranking: str, share: float) -> None:
    net, result = prune(chain, target_madds=share, input_size=SIZE, round_to=1, ranking=ranking)  # type: ignore[arg-type]
    whole = trace(chain, SIZE)
    assert result.madds_before == whole.madds
    assert result.madds_after == trace(net, SIZE).madds
    assert share - 0.05 < result.madds_after / whole.madds <= share
    assert result.max_rel_diff_masked < 1e-6
    assert result.params_after == sum(p.numel() for p in net.parameters())
    assert trace(chain, SIZE).madds == whole.madds  # which stays as it is
    with torch.no_grad():
        one, other = net(torch.randn(2, *SIZE))
    assert float((one - other).abs().max()) > 1e-2 * float(one.abs().max())


def test_the_masked_network_is_no_copy_of_the_cut_one(chain: Chain) -> None:
    from pumice.search.prune.cutter import Cut, Cutter

    cutter = Cutter(chain, SIZE, "l2", "uniform", 1)
    made = cutter.to_count(cutter.graph.madds // 2)
    assert cutter.difference(made)[1] < 1e-6
    other = {name: [*channels[1:], channels[0]] for name, channels in made.kept.items()}
    wrong = {name: sorted({0, *channels[1:]}) for name, channels in made.kept.items()}
    assert other != made.kept
    if all(len(wrong[name]) == len(made.kept[name]) for name in wrong):
        assert cutter.difference(Cut(made.net, wrong, made.madds))[1] > 1e-3


def test_arithmetic_counts_what_a_trace_counts(chain: Chain) -> None:
    for model in (chain, create_model("mobilenetv3_small_035", num_classes=10), create_model("shufflenetv2_050")):
        graph = trace(model, SIZE)
        groups = channel_groups(graph)
        counts = Counts(graph, groups)
        free = [g for g in groups if not g.frozen]
        chooser = Chooser(menus(model, groups, scores(model, free, "l1"), 1), counts, "uniform")
        choice = chooser.below(graph.madds // 2)
        from pumice.graph.cut import cut

        small = trace(cut(model, groups, chooser.kept(choice)), SIZE)
        assert counts.madds({}) == graph.madds
        assert chooser.madds(choice) == small.madds
        assert counts.params(chooser.kept(choice)) == small.params


def test_the_least_important_channels_go(chain: Chain) -> None:
    with torch.no_grad():
        chain.c.weight[7:] *= 0.01
        chain.last.weight[:, 7:] *= 0.01
        chain.norm_c.weight[7:] *= 0.01
    for importance in ("l1", "l2", "bn"):
        groups = channel_groups(trace(chain, SIZE))
        group = next(g for g in groups if g.name == "c")
        found = scores(chain, groups, importance)["c"]
        assert found.mean() == pytest.approx(1)
        assert set(np.argsort(-found)[:7]) == set(range(7)), importance
        _, result = prune(chain, target_madds=0.35, input_size=SIZE, round_to=1, importance=importance)  # type: ignore[arg-type]
        assert set(result.kept["c"]) <= set(range(group.channels))
        assert len(set(result.kept["c"]) & set(range(7))) == min(7, len(result.kept["c"]))


def test_taylor_is_the_square_of_weight_times_gradient() -> None:
    torch.manual_seed(0)
    net = create_model("mobilenetv2_035", num_classes=10)
    splits = open_digits()
    tuning = Tuning(splits, TrainConfig(data="digits", img_size=32), epochs=0)
    from pumice.models.described import describe, preprocess_of
    from pumice.train.net import fed

    describe(net, preprocess=fed(tuning.config, preprocess_of(net)))
    small = Tuning(
        type(splits)(splits.source, splits.train.subset(range(20)), splits.val.subset(range(4))), tuning.config
    )
    found = small.squares(net)
    from pumice.search.prune.tune import batches

    (images, labels), *more = batches(net, small.splits.train, 512, 0)
    assert not more
    net.eval()
    net.zero_grad()
    nn.functional.cross_entropy(net(images), labels).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None
        torch.testing.assert_close(found[name], (p.detach() * p.grad) ** 2, rtol=1e-4, atol=1e-12)


def group(cells: tuple[tuple[int, ...], ...]) -> Group:
    count = sum(map(len, cells))
    return Group("g", count, cells, (Use("w", 0, tuple(range(count)), True),))


def test_cells_lose_equally_and_widths_are_round() -> None:
    score = np.arange(32.0)
    menu = Menu(group((tuple(range(16)), tuple(range(16, 32)))), score, 8)
    assert menu.counts == (4, 8, 12, 16)  # of each cell: 8, 16, 24, 32 in all
    assert menu.kept(0) == [12, 13, 14, 15, 28, 29, 30, 31]
    assert menu.kept(3) == list(range(32))
    uneven = Menu(group((tuple(range(20)), tuple(range(20, 32)))), score, 1)
    assert uneven.counts == (*range(1, 13), 20)
    assert uneven.kept(11) == [*range(8, 20), *range(20, 32)]
    assert uneven.kept(12) == list(range(32))
    assert Menu(group((tuple(range(4)),)), score[:4], 1).counts == (1, 2, 3, 4)


def test_of_every_part_that_is_read_alone_a_channel_stays() -> None:
    score = np.arange(8.0)
    parts = frozenset({frozenset(range(4)), frozenset({4, 5}), frozenset({6, 7})})
    menu = Menu(group((tuple(range(8)),)), score, 1, parts)
    assert menu.counts == (3, 4, 5, 6, 7, 8)
    assert menu.kept(0) == [3, 5, 7]  # the best of each part
    assert menu.kept(1) == [3, 5, 6, 7]
    halves = Menu(group((tuple(range(4)), tuple(range(4, 8)))), score, 1, parts)
    assert halves.counts == (2, 3, 4)
    assert halves.kept(0) == [2, 3, 5, 7]


@pytest.mark.parametrize(
    ("cell", "cells", "round_to", "step"), [(64, 1, 8, 8), (16, 2, 8, 4), (12, 1, 8, 4), (3, 1, 8, 1), (9, 8, 8, 1)]
)
def test_a_width_is_round_where_there_is_room(cell: int, cells: int, round_to: int, step: int) -> None:
    assert step_of(cell, cells, round_to) == step


def test_round_widths_are_multiples(chain: Chain) -> None:
    net, _ = prune(chain, target_madds=0.5, input_size=SIZE, round_to=8)
    assert isinstance(net, Chain)
    assert [layer.out_channels % 8 for layer in (net.a, net.b, net.c)] == [0, 0, 0]


def test_what_the_structure_does_not_allow_is_said_with_the_nearest(chain: Chain) -> None:
    with pytest.raises(
        BadInput, match=r"the fewest that its structure allows are [\d,]+: give [\d.]+% or more"
    ) as refused:
        prune(chain, target_madds="2%", input_size=SIZE)
    share = str(refused.value).rsplit("give ", 1)[1].split("%")[0]
    _, result = prune(chain, target_madds=f"{share}%", input_size=SIZE)
    assert result.madds_after <= float(share) / 100 * result.madds_before


def test_a_network_without_free_channels_is_refused() -> None:
    with pytest.raises(BadInput, match="nothing of Linear can be pruned: output"):
        prune(nn.Linear(8, 4), target_madds="50%")


def test_options_that_cannot_work_are_refused(chain: Chain) -> None:
    for options, said in (
        ({"importance": "l3"}, "importance 'l3' is unknown"),
        ({"ranking": "none"}, "ranking 'none' is unknown"),
        ({"policy": "often"}, "policy 'often' is unknown"),
        ({"round_to": 0}, "round_to 0"),
        ({"importance": "taylor"}, "needs images"),
        ({"target_madds": 10**12}, "nothing to prune"),
    ):
        with pytest.raises(BadInput, match=said):
            prune(chain, **{"target_madds": "50%", "input_size": SIZE, **options})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no batch norms"):
        prune(create_model("squeezenet1_1"), target_madds="50%", input_size=(3, 64, 64), importance="bn")


def test_the_channels_of_two_cuts_are_told_by_the_first_network() -> None:
    assert composed({"a": [1, 3, 5]}, {"a": [0, 2], "b": [4]}) == {"a": [1, 5], "b": [4]}


def test_iterative_pruning_goes_on_from_what_it_tuned() -> None:
    torch.manual_seed(0)
    model = create_model("mobilenetv1_025", num_classes=10)
    splits = open_digits()
    few = type(splits)(splits.source, splits.train.subset(range(64)), splits.val.subset(range(32)))
    config = TrainConfig(data="digits", img_size=32, batch_size=32, epochs=2, lr=0.002, ema_decay=None)
    told: list[str] = []
    net, result = pumice.prune(
        model, target_madds="50%", input_size=SIZE, policy="iterative", tuning=Tuning(few, config), say=told.append
    )
    shares = [step.madds / result.madds_before for step in result.steps]
    assert shares == pytest.approx([0.5 ** (i / 4) for i in (1, 2, 3, 4)], abs=0.02)
    assert shares[-1] <= 0.5
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert len(told) == 4
    assert result.max_rel_diff_masked < 1e-5
    assert all(step.accuracy is not None for step in result.steps)
    widest = {name: max(channels) for name, channels in result.kept.items()}
    assert all(widest[name] < result.groups[name] for name in widest)
    last = net.get_submodule("head.classifier")
    assert isinstance(last, nn.Linear)
    assert last.in_features == len(next(v for v in result.kept.values() if len(v) == last.in_features))


def test_batch_norms_are_restated_as_evaluation_shows_images(chain: Chain) -> None:
    splits = open_digits()
    few = type(splits)(splits.source, splits.train.subset(range(64)), splits.val.subset(range(8)))
    tuning = Tuning(few, TrainConfig(data="digits", img_size=32))
    from pumice.models.described import describe, preprocess_of
    from pumice.train.net import fed

    describe(chain, preprocess=fed(tuning.config, preprocess_of(chain)))
    tuning.restate(chain)
    from pumice.search.prune.tune import batches

    (images, _), *_ = batches(chain, few.train, 64, 0)
    with torch.no_grad():
        made = chain.a(images)
    assert chain.norm_a.running_mean is not None
    torch.testing.assert_close(chain.norm_a.running_mean, made.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert not chain.norm_a.training
    assert chain.norm_a.momentum == 0.1
