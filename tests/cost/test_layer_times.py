"""Times of nodes laid beside the layers of a profile, and the record of all: invented times, known sums."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.cost import layer_times
from pumice.cost.ceilings import Ceilings, Level
from pumice.cost.count import Profile, profile
from pumice.cost.layer_times import LayerTimes, by_layer, measure_layers
from pumice.cost.node_times import Between, NodeTimes
from pumice.cost.record import record
from pumice.cost.roofline import floor_ms, floors
from pumice.cost.timing import Timing
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.nn.shuffle import ChannelShuffle

SIZE = (4, 8, 8)
CEILINGS = Ceilings(1, 1e9, 0.0, (Level("memory", None, 1e9, 0.0),))


class Net(nn.Module):
    """A folded norm, a kept one, a shuffle, a pool and a linear layer whose weight is transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.folds = nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.stays = nn.BatchNorm2d(4)
        self.shuffle, self.fc = ChannelShuffle(2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.stays(torch.relu(self.folds(self.conv(x)))))
        return self.fc(self.shuffle(y).mean((2, 3)))


def timing(runtime: str, ms: float = 100.0) -> Timing:
    return Timing(
        name="net",
        runtime=runtime,
        device="cpu",
        threads=1,
        batch=1,
        dtype="float32",
        input_size=SIZE,
        repeats=30,
        passes_per_sample=1,
        p50_ms=ms,
        p90_ms=ms,
        cpu_p50_ms=ms,
        ci95=(ms, ms),
        cpu_ci95=(ms, ms),
        busy=False,
    )


def fake(net: nn.Module, runtime: str = "onnxruntime") -> NodeTimes:
    """Node i takes 2^i ms, so that every sum tells its parts."""
    graph = trace(folded(net, SIZE), SIZE)
    between = (
        Between("ReorderInput", None, 0, 0.25),
        Between("ReorderInput", 1, 2, 0.125),
        Between("Sleep", 1, 2, 0.5),
    )
    return NodeTimes(runtime, 1, graph, tuple(2.0**i for i in range(len(graph.nodes))), between)


@pytest.fixture
def net() -> nn.Module:
    return Net().eval()


@pytest.fixture
def cost(net: nn.Module) -> Profile:
    return profile(net, SIZE)


def test_each_layer_gets_the_time_of_its_node(net: nn.Module, cost: Profile) -> None:
    times = fake(net)
    ops = [node.op.split(".")[1] for node in times.graph.nodes]
    assert ops == [
        *("convolution", "relu", "native_batch_norm", "relu"),
        *("view", "transpose", "clone", "_unsafe_view", "mean", "t", "addmm"),
    ]
    found = by_layer(cost.layers, times, timing("onnxruntime"))
    assert [layer.function for layer in cost.layers] == [
        *("convolution", "native_batch_norm", "relu", "native_batch_norm", "relu"),
        *("clone", "mean", "addmm"),
    ]
    # The folded norm has none; the copy has the time of the reshapes and the transpose around it.
    assert found.layer_ms == (1.0, None, 2.0, 4.0, 8.0, 16.0 + 32.0 + 64.0 + 128.0, 256.0, 1024.0)
    assert found.other_ms == {"ReorderInput": 0.375, "Sleep": 0.5, "views": 512.0}
    assert found.breakdown == {
        "convolution": 1.0 + 1024.0,
        "element-wise": 2.0 + 4.0 + 8.0,
        "data": 512.0 + 0.375,
        "shuffle": 16.0 + 32.0 + 64.0 + 128.0,
        "other": 256.0 + 0.5,
    }
    assert found.sum_ms == pytest.approx(times.total_ms)
    assert sum(ms for ms in found.layer_ms if ms) + sum(found.other_ms.values()) == pytest.approx(times.total_ms)


def test_an_unfolded_graph_fits_too(net: nn.Module, cost: Profile) -> None:
    graph = trace(net, SIZE)
    found = by_layer(cost.layers, NodeTimes("eager", 1, graph, (1.0,) * len(graph.nodes)), timing("eager"))
    assert None not in found.layer_ms
    assert found.sum_ms == len(graph.nodes)


def test_times_of_another_net_are_refused(net: nn.Module) -> None:
    other = profile(nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2)), SIZE)
    with pytest.raises(AssertionError, match="was counted and not timed"):
        by_layer(other.layers, fake(net), timing("onnxruntime"))


def test_the_record(net: nn.Module, cost: Profile) -> None:
    found = by_layer(cost.layers, fake(net), timing("onnxruntime"))
    value = json.loads(json.dumps(record(cost, CEILINGS, [found])))
    assert set(cost.to_json()) < set(value)
    assert value["madds"] == cost.madds
    assert value["floor_ms"] == pytest.approx(floor_ms(cost.layers, CEILINGS))
    least = floors(cost.layers, CEILINGS)
    assert [layer["floor_ms"] for layer in value["layers"]] == [floor.ms if floor else None for floor in least]
    assert [layer["bound"] for layer in value["layers"]] == [floor.bound if floor else None for floor in least]
    one = value["measured"]["onnxruntime"]
    assert one["net_ms"] == 100.0
    assert one["over_floor"] == pytest.approx(100.0 / value["floor_ms"])
    assert one["sum_ms"] == found.sum_ms
    assert one["layers"][1] is None
    first = value["layers"][0]["floor_ms"]
    assert one["layers"][0] == pytest.approx({"ms": 1.0, "share": 1 / found.sum_ms, "over_floor": 1.0 / first})
    assert one["layers"][2]["over_floor"] is None
    shares = sum(layer["share"] for layer in one["layers"] if layer)
    assert shares + sum(found.other_ms.values()) / found.sum_ms == pytest.approx(1.0)


def test_the_record_without_ceilings(net: nn.Module, cost: Profile) -> None:
    value = record(cost, None, [by_layer(cost.layers, fake(net), timing("eager"))])
    assert value["floor_ms"] is None
    assert value["ceilings"] is None
    assert {layer["bound"] for layer in value["layers"]} == {None}
    assert value["measured"]["onnxruntime"]["over_floor"] is None
    assert record(cost)["measured"] == {}


def test_measuring_asks_for_every_runtime(net: nn.Module, cost: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    asked: list[Any] = []

    def time_sessions(sessions: Any, names: list[str], *, time_limit_s: float) -> list[Timing]:
        assert names == ["Net", "Net"]
        asked.append([(one.runtime, one.input_size, one.threads) for one in sessions] + [time_limit_s])
        return [timing(one.runtime) for one in sessions]

    def node_times(model: nn.Module, size: Any, runtime: str, *, threads: int) -> NodeTimes:
        asked.append((runtime, size, threads))
        return fake(model, runtime)

    monkeypatch.setattr(layer_times, "time_sessions", time_sessions)
    monkeypatch.setattr(layer_times, "node_times", node_times)
    found = measure_layers(net, cost, ["eager", "onnxruntime"], threads=1, time_limit_s=2.0)
    assert [one.runtime for one in found] == ["eager", "onnxruntime"]
    assert all(isinstance(one, LayerTimes) for one in found)
    each = [("eager", SIZE, 1), ("onnxruntime", SIZE, 1)]
    assert asked == [[*each, 2.0], *each]


@pytest.mark.parametrize(
    ("runtime", "size", "message"),
    [("nonesuch", SIZE, "no runtime 'nonesuch'"), ("eager", (4,), "takes 4; give an input of rank 3")],
)
def test_what_cannot_be_measured(runtime: str, size: tuple[int, ...], message: str) -> None:
    model = nn.Linear(4, 3) if len(size) == 1 else nn.Conv2d(4, 3, 1)
    with pytest.raises(BadInput, match=message):
        measure_layers(model, profile(model, size), [runtime])


def test_a_runtime_that_is_not_installed(net: nn.Module, cost: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.deploy.session.installed", lambda name: name != "openvino")
    with pytest.raises(BadInput, match="openvino is not installed; run `pip install"):
        measure_layers(net, cost, ["eager", "openvino"])
