"""Costs put together from rows are those of whole networks; targets out of reach are named."""

import itertools
import re
import time
from dataclasses import replace
from hashlib import md5
from typing import Any

import numpy as np
import pytest
import torch

from pumice.cost.audit.run import graph_and_costs, violations
from pumice.cost.budget import parse_count
from pumice.cost.count import profile
from pumice.cost.lut.ask import blocks_of
from pumice.cost.lut.table import Lut
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.fbnet_blocks import IR, Skip
from pumice.models.heads import PoolLinear
from pumice.models.mbconv import MBConv
from pumice.models.rows import Conv, MaxPool
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.names import create_space
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search import costs as costs_module
from pumice.search.costs import MAdds, Measured, Params, Sum, Violations
from pumice.search.problem import Problem
from pumice.search.table_latency import TableLatency

ORIGIN: dict[str, Any] = {
    **{"machine": "A board, 4 cores (0f0f0f0f)", "machine_key": "0f0f0f0f", "runtime": "openvino", "threads": 2},
    **{"runtime_version": "2025.1", "built_at": "2026-11-25T00:00:00+00:00", "pumice": None},
}


class Any_(dict[str, float]):
    """A table that has every block; what it says is a function of the key."""

    def get(self, key: str, default: Any = None) -> float:
        return int(md5(key.encode()).hexdigest()[:4], 16) / 65536

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> float:
        return self.get(key)


class Rows(Space):
    """Three layers of one row each, and a recipe: gates, shuffles, identities, depthwise layers that come first."""

    name = "rows"
    image = (16, 16)
    num_classes = 4
    positions = (
        *(Position(f"layer {i}", ("e1", "e3", "g2", "skip")) for i in range(3)),
        Position("recipe lr", ("a", "b")),
    )

    def spec(self, choice: Choice) -> NetSpec:
        rows = [
            (
                IR(3, 8, stride, 1, act="RE"),
                IR(5, 8, stride, 3, se="hidden"),
                IR(3, 8, stride, 1, act="RE", groups=2, bias=True),
                Skip(8, stride),
            )
            for stride in (1, 2, 1)
        ]
        return NetSpec((Conv(3, 8, 2, "HS"), *(r[o] for r, o in zip(rows, choice, strict=False))), PoolLinear())


class Coupled(Space):
    """Width and kernel of one row are two positions, depth and image more: no position has a row to itself."""

    name = "coupled"
    image = (16, 16)
    num_classes = 4
    positions = (
        Position("width", ("8", "16")),
        Position("kernel", ("3", "5")),
        Position("depth", ("1", "2")),
        Position("image", ("16", "24")),
    )

    def spec(self, choice: Choice) -> NetSpec:
        row = MBConv((3, 5)[choice[1]], 1, 3, (8, 16)[choice[0]], False, "RE")
        return NetSpec((Conv(3, 8, 2, "RE"), *[row] * (1 + choice[2]), MaxPool(2, 2)), PoolLinear())

    def image_of(self, choice: Choice) -> tuple[int, int]:
        return ((16, 16), (24, 24))[choice[3]]


SPACES: tuple[Space, ...] = (create_space("macro", width=0.25), create_space("fbnet", width=0.35), Rows(), Coupled())


def choices(space: Space, count: int) -> list[Choice]:
    rng = np.random.default_rng(3)
    return [(0,) * len(space.positions), *(space.random(rng) for _ in range(count))]


def net_of(space: Space, choice: Choice, num_classes: int) -> ConvNet:
    return ConvNet(space.spec(choice), num_classes=num_classes).eval()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_sums_over_rows_are_counts_of_whole_networks(space: Space) -> None:
    madds, params, broken = (kind(space, 7) for kind in (MAdds, Params, Violations))
    before = torch.random.get_rng_state()
    for choice in choices(space, 2):
        size = (3, *space.image_of(choice))
        counted = profile(net_of(space, choice, 7), size)
        assert (madds.of(choice), params.of(choice)) == (counted.madds, counted.params)
        assert broken.of(choice) == violations(graph_and_costs(net_of(space, choice, 7), size)[0])
    torch.random.set_rng_state(before)
    MAdds(space).of(choices(space, 1)[1])
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers are drawn"


def test_only_rows_chosen_one_by_one_are_a_table() -> None:
    assert MAdds(Coupled()).terms is None
    assert MAdds(Coupled()).least is None
    terms = MAdds(Rows()).terms
    assert terms is not None
    assert terms[3] == (0, 0), "a recipe costs nothing"
    assert [len(t) for t in terms] == [4, 4, 4, 2]
    assert MAdds(create_space("fbnet")).terms is not None


@pytest.mark.parametrize("kind", [MAdds, Params, Violations])
def test_the_least_is_that_of_all_choices(kind: Any) -> None:
    cost = kind(Rows())
    everything = [cost.of(c) for c in itertools.product(range(4), range(4), range(4), range(2))]
    assert cost.least == min(everything) < max(everything)


def test_a_query_takes_microseconds() -> None:
    space = create_space("macro")
    cost, latency = MAdds(space), TableLatency(space, table())
    asked = choices(space, 2000)
    for one, limit_us in ((cost, 50), (latency, 200)):  # 2 and 12 on a quiet core
        assert one.least is not None
        began = time.process_time()
        for choice in asked:
            one.of(choice)
        assert (time.process_time() - began) / len(asked) < limit_us / 1e6


# ---- tables


def table(**given: Any) -> Lut:
    return Lut(**{**ORIGIN, "entries": Any_(), "regressions": {}, "scale": 1.25, "pass_ms": 0.5, **given})


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_table_is_asked_for_the_blocks_of_whole_networks(space: Space) -> None:
    lut = table()
    cost = TableLatency(space, lut, 7)
    for choice in choices(space, 3):
        whole = blocks_of(net_of(space, choice, 7), (3, *space.image_of(choice)))
        assert [b.key for b in cost.blocks(choice)] == [b.key for b in whole]
        assert cost.of(choice) == pytest.approx(lut.predict(whole).ms, rel=1e-9)
    again = TableLatency(space, lut, 7)
    backwards = [again.of(c) for c in reversed(choices(space, 3))]
    assert backwards[::-1] == [cost.of(c) for c in choices(space, 3)], "whatever was asked before"


def test_the_least_latency_knows_what_stands_beside_a_row() -> None:
    cost = TableLatency(Rows(), table())
    everything = [cost.of(c) for c in itertools.product(range(4), range(4), range(4), range(1))]
    assert cost.least == pytest.approx(min(everything), rel=1e-12)
    assert TableLatency(Coupled(), table()).least is None


def test_rows_that_a_runtime_would_fuse_are_taken_whole() -> None:
    class Acts(Rows):
        def spec(self, choice: Choice) -> NetSpec:
            first = Conv(3, 8, 2, "")
            return NetSpec((first, *map(Pointwise, choice), *super().spec(choice).rows[2:]), PoolLinear())

    space = Acts()
    cost = TableLatency(space, table())
    for choice in choices(space, 3):
        whole = blocks_of(net_of(space, choice, 4), (3, 16, 16))
        assert [b.key for b in cost.blocks(choice)] == [b.key for b in whole]
    assert cost.least is None


class Pointwise(Skip):
    def build(self, in_channels: int) -> torch.nn.Module:
        return torch.nn.Hardswish() if self.out_channels % 2 else torch.nn.ReLU()

    def width(self, in_channels: int) -> int:
        return in_channels


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runtime": "onnxruntime"}, "the runtime is openvino, not onnxruntime"),
        ({"threads": 1}, "the number of threads is 2, not 1"),
        ({"machine_key": "aaaa"}, "the device is 0f0f0f0f, not aaaa"),
    ],
)
def test_a_table_of_something_else_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as said:
        TableLatency(Rows(), table(), **given)
    assert words in str(said.value)


def test_a_table_that_knows_nothing_of_the_operators_is_refused() -> None:
    with pytest.raises(BadInput, match="which networks of rows have; measure some"):
        TableLatency(Rows(), table(entries={}))


# ---- sums, measurements, targets


def test_a_sum_of_costs() -> None:
    first, second = MAdds(Rows()), Violations(Rows())
    both = Sum((first, 1.0), (second, 1e5))
    assert both.unit == "multiply-adds"
    choice = (1, 2, 3, 0)
    assert both.of(choice) == first.of(choice) + 1e5 * second.of(choice) > first.of(choice)


def test_measurements_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    space = MacroSpace(width=0.25)
    figures = iter((3.0, 1.0, 2.0))
    asked: list[Any] = []

    def measured(net: ConvNet, size: Any, **settings: Any) -> Timing:
        asked.append((size, settings["runtime"], settings["threads"]))
        ms = next(figures)
        return replace(timing, p50_ms=ms, cpu_p50_ms=ms)

    timing = Timing(
        **{"name": "x", "runtime": "eager", "device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"},
        **{"input_size": (3, 32, 32), "repeats": 9, "passes_per_sample": 1, "p50_ms": 1.0, "p90_ms": 1.0},
        **{"cpu_p50_ms": 1.0, "ci95": (1.0, 1.0), "cpu_ci95": (1.0, 1.0), "busy": False, "machine": "here"},
    )  # type: ignore[arg-type]
    monkeypatch.setattr(costs_module, "benchmark", measured)
    cost = Measured(space, "eager", 10)
    choice = (0, 1, 2, 0, 0, 0, 1, 0)
    assert cost.of(choice) == 2.0, "the median of three series"
    assert asked == [((3, 32, 32), "eager", 1)] * 3
    assert Measured(space, "eager", 10).of(choice) == cost.of(choice) == 2.0
    with pytest.raises(StopIteration):
        Measured(space, "eager", 11).of(choice)


def test_a_runtime_measures_a_file() -> None:
    cost = Measured(MacroSpace(width=0.25), "eager", repeats=1, time_limit_s=0.2)
    assert 0 < cost.of((0,) * 8) < 1000


def test_a_target_out_of_reach_names_the_nearest() -> None:
    cost = MAdds(Rows())
    assert cost.least is not None
    Problem(Rows(), cost, cost.least)
    with pytest.raises(BadInput) as said:
        Problem(Rows(), cost, cost.least - 1)
    written = re.search(r"the least is (\S+): raise the target to that", str(said.value))
    assert written is not None
    Problem(Rows(), cost, parse_count(written[1]))
    assert "\n" not in str(said.value)
