"""The trace: dataflow, multiply-adds by hand, and a model that is left as it was."""

import copy
import random
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.ops import KINDS, UnknownOp
from pumice.graph.records import Ref
from pumice.graph.trace import trace


class Net(nn.Module):
    """A module around a function of (module, image), with the children given by name."""

    def __init__(self, function: Any, **children: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def madds(function: Any, input_size: tuple[int, ...], **children: nn.Module) -> int:
    return trace(Net(function, **children), input_size).madds


@pytest.mark.parametrize(
    ("conv", "expected"),
    [
        (nn.Conv2d(8, 16, 3, stride=2, padding=1), 7 * 7 * 16 * 8 * 9),
        (nn.Conv2d(8, 16, (1, 5), padding=(0, 2), groups=4), 14 * 14 * 16 * 2 * 5),
        (nn.Conv2d(8, 8, 5, padding=4, dilation=2, groups=8, bias=False), 14 * 14 * 8 * 25),
        (nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1), 14 * 14 * 8 * 6 * 16),
        (nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1, groups=2), 14 * 14 * 8 * 3 * 9),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)), 80),
        (nn.BatchNorm2d(8), 0),
        (nn.PReLU(8), 0),
        (nn.MaxPool2d(3, 2, ceil_mode=True), 0),
    ],
)
def test_multiply_adds_by_hand(conv: nn.Module, expected: int) -> None:
    graph = trace(conv, (8, 14, 14))
    assert graph.madds == expected
    assert graph.params == sum(p.numel() for p in conv.parameters())


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: torch.bmm(x.flatten(2).transpose(1, 2), x.flatten(2)), 6 * 20 * 20),
        (lambda m, x: x @ x.transpose(-1, -2), 6 * 4 * 4 * 5),
        (lambda m, x: torch.einsum("nchw,nchv->nwv", x, x), 5 * 5 * 24),
        (lambda m, x: F.linear(x, torch.ones(7, 5)), 6 * 4 * 5 * 7),
        (lambda m, x: torch.mv(x[0, 0], x[0, 0, 0]), 20),
        (lambda m, x: torch.dot(x[0, 0, 0], x[0, 0, 1]), 5),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x), 6 * (4 * 4 * 5 * 2)),
        (lambda m, x: F.conv2d(x, torch.ones(3, 6, 1, 1)), 6 * 3 * 20),
        (lambda m, x: (x * x).sum(), 0),
    ],
)
def test_functional_products_by_hand(function: Any, expected: int) -> None:
    assert madds(function, (6, 4, 5)) == expected


def test_attention_is_counted_operator_by_operator() -> None:
    net = Net(lambda m, x: m.attention(x, x, x)[0], attention=nn.MultiheadAttention(8, 2, batch_first=True))
    assert trace(net, (5, 8)).madds == 5 * 8 * 24 + 2 * (5 * 4 * 5 * 2) + 5 * 8 * 8
    assert torch.backends.mha.get_fastpath_enabled()


def test_squeeze_and_excitation_by_hand() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.project(x)
        return y * m.excite(F.relu(m.squeeze(y.mean((2, 3), keepdim=True)))).sigmoid()

    graph = trace(
        Net(forward, project=nn.Conv2d(3, 16, 1), squeeze=nn.Conv2d(16, 4, 1), excite=nn.Conv2d(4, 16, 1)), (3, 8, 8)
    )
    assert graph.madds == 64 * 48 + 64 + 64
    assert [layer.op for layer in graph.layers] == [
        *("conv", "reduce", "conv", "activation", "conv", "activation", "elementwise")
    ]


def test_generated_kernels_count_by_their_shape_and_are_no_parameters() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        weight = m.generate(x.mean((2, 3))).view(6, 2, 3, 3)
        return F.conv2d(x, weight, padding=1, groups=2)

    graph = trace(Net(forward, generate=nn.Linear(4, 108)), (4, 10, 10))
    layer = next(layer for layer in graph.layers if layer.op == "conv")
    assert layer.madds == 100 * 108
    assert layer.params == 0
    assert layer.name == ""
    assert layer.input_shapes == ((1, 4, 10, 10), (6, 2, 3, 3))
    assert graph.madds == 100 * 108 + 4 * 108


def test_layer_records_carry_the_settings() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), (2, 1), (1, 2), 1, 2), nn.BatchNorm2d(8), nn.Hardswish(), nn.AvgPool2d(2)
    )
    conv, norm, act, pool = trace(net, (4, 12, 12)).layers
    assert (conv.name, conv.op, conv.kernel, conv.stride, conv.padding) == ("0", "conv", (3, 5), (2, 1), (1, 2))
    assert (conv.dilation, conv.groups, conv.params) == ((1, 1), 2, 8 * 2 * 15 + 8)
    assert (conv.input_shapes, conv.output_shape) == (((1, 4, 12, 12),), (1, 8, 6, 12))
    assert (norm.op, norm.params, act.function, act.name) == ("norm", 16, "hardswish", "2")
    assert (pool.op, pool.kernel, pool.stride) == ("pool", (2, 2), (2, 2))


def test_unused_parameters_do_not_count_and_shared_ones_count_once() -> None:
    conv = nn.Conv2d(4, 4, 1, bias=False)
    net = Net(lambda m, x: m.a(m.b(m.a(x))), a=conv, b=nn.Conv2d(4, 4, 1, bias=False), spare=nn.Linear(9, 9))
    net.b.weight = conv.weight
    graph = trace(net, (4, 5, 5))
    assert graph.params == 16
    assert graph.parameters == ("a.weight",)
    assert [layer.params for layer in graph.layers] == [16, 0, 0]
    assert [layer.name for layer in graph.layers] == ["a", "b", "a"]
    assert graph.madds == 3 * 25 * 16


def test_an_unknown_operator_is_named_with_its_module() -> None:
    net = nn.Sequential(nn.ReLU(), Net(lambda m, x: torch.fft.rfft2(x).abs()))
    with pytest.raises(UnknownOp, match=r"aten::_fft_r2c in module '1' \(Net\)"):
        trace(net, (3, 8, 8))


def test_a_declared_operator_becomes_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "aten::_fft_r2c", "elementwise")
    assert trace(Net(lambda m, x: torch.fft.rfft2(x).abs()), (3, 8, 8)).layers[0].function == "fft_r2c"


class Shuffle(nn.Module):
    channel_rule = "freeze"

    def forward(self, x: Tensor) -> Tensor:
        return x.view(1, 2, 2, 4, 4).transpose(1, 2).reshape(1, 4, 4, 4)

    def extra_madds(self, input_shape: tuple[int, ...]) -> int:
        return 10 * input_shape[1]


def test_leaf_modules_mark_their_nodes_and_declare_extra_terms() -> None:
    shuffle = Shuffle()
    graph = trace(nn.Sequential(shuffle, nn.Conv2d(4, 4, 1), shuffle), (4, 4, 4))
    assert (graph.madds, graph.extra_madds) == (16 * 16, 80)
    extras = [layer for layer in graph.layers if layer.op == "extra"]
    assert [(layer.name, layer.extra_madds, layer.madds) for layer in extras] == [("0", 40, 0)] * 2
    assert [layer.op for layer in graph.layers] == ["move", "extra", "conv", "move", "extra"]
    leaves = {node.leaf for node in graph.nodes}
    assert {(leaf.path, leaf.rule, leaf.call) for leaf in leaves if leaf} == {("0", "freeze", 1), ("0", "freeze", 2)}
    assert next(node for node in graph.nodes if node.kind == "conv").leaf is None


def test_a_wrong_channel_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shuffle, "channel_rule", "shuffle")
    with pytest.raises(BadInput, match="channel_rule of Shuffle is 'shuffle'"):
        trace(Shuffle(), (4, 4, 4))


def test_dataflow_joins_producers_and_consumers() -> None:
    net = Net(
        lambda m, x: (lambda y: m.relu(y) + y.flatten(1).view_as(y))(m.conv(x)), conv=nn.Conv2d(3, 4, 1), relu=nn.ReLU()
    )
    graph = trace(net, (3, 5, 5))
    conv, relu, flat, back, add = graph.nodes
    assert [node.kind for node in graph.nodes] == ["conv", "activation", "view", "view", "elementwise"]
    assert [node.index for node in graph.consumers(conv.outputs[0])] == [relu.index, flat.index]
    assert graph.producer(add.inputs[0]) == relu
    assert graph.producer(add.inputs[1]) == back
    assert graph.values[back.outputs[0]].storage == graph.values[conv.outputs[0]].storage
    assert graph.outputs == add.outputs
    assert graph.producer(graph.inputs[0]) is None
    assert conv.arguments["stride"] == (1, 1)
    assert isinstance(conv.arguments["weight"], Ref)
    assert graph.values[conv.inputs[1]].name == "conv.weight"
    assert conv.path == "conv"


def test_a_partial_write_reaches_later_readers_of_the_whole() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = x * 2
        y[:, :2] = m.conv(y[:, :2])
        return y + 1

    graph = trace(Net(forward, conv=nn.Conv2d(2, 2, 1)), (4, 5, 5))
    copy_node = next(node for node in graph.nodes if node.op.startswith("aten.copy_"))
    assert graph.producer(graph.nodes[-1].inputs[0]) == copy_node
    assert graph.nodes[0].outputs[0] in copy_node.inputs


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda m, x: (x + 1, [x * 2]), [(1, 3, 8, 8)] * 2),
        (lambda m, x: {"out": x.mean((2, 3)), "aux": x.amax(1)}, [(1, 3), (1, 8, 8)]),
        (lambda m, x: x + torch.arange(8) + torch.tensor([1.0]), [(1, 3, 8, 8)]),
        (
            lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear") if x.dtype == torch.float64 else x,
            [(1, 3, 16, 16)],
        ),
    ],
)
def test_outputs_constants_and_dtypes(function: Any, shapes: list[tuple[int, ...]]) -> None:
    net = Net(function, unused=nn.Linear(2, 2)).double()
    graph = trace(net, (3, 8, 8))
    assert [graph.values[i].shape for i in graph.outputs] == shapes


def test_constants_of_a_forward_keep_their_numbers() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        repeats = int(torch.arange(4).sum())
        padded = torch.zeros(1, 4, 6, 6)
        padded[:, :2] = m.conv(x)
        return padded.cpu().repeat(1, repeats, 1, 1) * torch.tensor(2.0)

    graph = trace(Net(forward, conv=nn.Conv2d(3, 2, 1)), (3, 6, 6))
    assert graph.values[graph.outputs[0]].shape == (1, 24, 6, 6)
    assert graph.values[graph.outputs[0]].from_input
    write = next(node for node in graph.nodes if node.op.startswith("aten.copy_"))
    zeros = next(node for node in graph.nodes if node.op.startswith("aten.zeros"))
    assert {graph.values[i].storage for i in write.outputs} == {graph.values[zeros.outputs[0]].storage}
    repeat = next(node for node in graph.nodes if node.op.startswith("aten.repeat"))
    assert graph.producer(repeat.inputs[0]) == write


def test_numbers_that_stand_still_are_not_believed() -> None:
    # `box` is real, but what is written into it has no numbers; believing its zeros would take the wrong branch.
    def forward(m: Any, x: Tensor) -> Tensor:
        box = torch.zeros(1)
        box[0] = x.amax()
        return m.conv(x) if box.item() > 0 else x

    assert trace(Net(forward, conv=nn.Conv2d(3, 2, 1)), (3, 6, 6)).madds == 36 * 6


def test_a_net_that_asks_for_numbers_runs_for_real() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        keep = m.conv(x).abs().sum().item()
        return m.conv(x) if keep > 0 else x

    graph = trace(Net(forward, conv=nn.Conv2d(3, 3, 1)), (3, 6, 6))
    assert graph.madds == 2 * 36 * 9
    assert [node.path for node in graph.nodes if node.kind == "conv"] == ["conv", "conv"]
    assert graph.params == 12


def test_inference_mode_is_seen_through() -> None:
    @torch.inference_mode()
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.fc(F.batch_norm(m.conv(x), torch.zeros(4), torch.ones(4)).mean((2, 3)))

    assert madds(forward, (3, 6, 6), conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 5)) == 16 * 108 + 20


def test_a_compiled_net_is_traced_as_itself() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    assert trace(torch.compile(net), (3, 8, 8)) == trace(net, (3, 8, 8))


def test_nets_on_the_meta_device() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert trace(net, (3, 8, 8)).madds == 36 * 108
    assert net[0].weight.is_meta


class Careless(nn.Module):
    """Keeps what it sees, counts its calls, and updates a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("steps", torch.zeros(1))
        self.cache: Tensor | None = None
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)) + torch.rand(1)
        self.cache = y
        self.seen.append(y)
        self.steps += 1
        self.late = nn.Linear(3, 3)
        return F.dropout(y, 0.5, self.training)


@pytest.mark.parametrize("size", [(3, 8, 8), (4, 8, 8)], ids=["runs", "raises"])
def test_the_model_is_left_exactly_as_it_was(size: tuple[int, ...]) -> None:
    net = Careless().train()
    net.norm.eval()
    calls: list[str] = []
    net.conv.register_forward_hook(lambda *_: calls.append("hook"))
    tensors = {name: (id(t), t.clone()) for name, t in net.state_dict(keep_vars=True).items()}
    modes = {name: module.training for name, module in net.named_modules()}
    hooks = {name: dict(module._forward_hooks) for name, module in net.named_modules()}
    names = set(net.__dict__)
    random_states = torch.get_rng_state(), random.getstate()
    try:
        trace(net, size)
    except BadInput:
        assert size[0] == 4
    assert {name: id(t) for name, t in net.state_dict(keep_vars=True).items()} == {
        n: i for n, (i, _) in tensors.items()
    }
    assert all(torch.equal(t, tensors[name][1]) for name, t in net.state_dict().items())
    assert {name: module.training for name, module in net.named_modules()} == modes
    assert {name: dict(module._forward_hooks) for name, module in net.named_modules()} == hooks
    assert set(net.__dict__) == names
    assert net.cache is None
    assert net.seen == []
    assert not hasattr(net, "late")
    assert torch.equal(torch.get_rng_state(), random_states[0])
    assert random.getstate() == random_states[1]
    assert all(type(p) is nn.Parameter and p.requires_grad for p in net.parameters())
    assert net(torch.rand(1, 3, 8, 8)).shape == (1, 4, 6, 6)
    copy.deepcopy(net.conv)


@pytest.mark.parametrize(
    ("net", "size", "words"),
    [
        (nn.Conv2d(3, 4, 3), (1, 8, 8), "Conv2d does not run on a 1x8x8 input"),
        (nn.Conv2d(3, 4, 7), (3, 5, 5), "Conv2d does not run on a 3x5x5 input|Conv2d on a 3x5x5 input"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(9)), (3, 8, 8), "Sequential .*3x8x8 input"),
        (nn.Conv2d(3, 4, 3), (3, 0, 8), "3x0x8 is impossible"),
        (nn.LazyConv2d(4, 3), (3, 8, 8), "lazy layers"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_bad_input_is_one_sentence(net: nn.Module, size: tuple[int, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        trace(net, size)
    assert "\n" not in str(caught.value)


def test_modules_of_other_threads_are_not_seen() -> None:
    inner, image = nn.Conv2d(3, 3, 1), torch.rand(1, 3, 2, 2)

    def forward(m: Any, x: Tensor) -> Tensor:
        thread = threading.Thread(target=inner, args=(image,))
        thread.start()
        thread.join()
        return m.conv(x)

    graph = trace(Net(forward, conv=nn.Conv2d(3, 4, 1)), (3, 4, 4))
    assert [node.path for node in graph.nodes] == ["conv"]
