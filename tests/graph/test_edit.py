"""Edited graphs: consistent, counted anew, refused where shapes do not fit, and equal to the network when unedited."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.edit import Bypass, Swap, Widen, apply
from pumice.graph.records import Graph, Ref
from pumice.graph.trace import trace
from pumice.models.create import create_model

SIZE = (3, 16, 16)


class Net(nn.Module):
    """n0 conv, n1 hardswish, n2 depthwise, n3 batch norm, n4 conv; then mean, view, t, addmm."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.act = nn.Conv2d(3, 8, 1), nn.Hardswish(inplace=True)
        self.b, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.c, self.fc = nn.Conv2d(8, 4, 1, bias=False), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(self.norm(self.b(self.act(self.a(x)))))
        return self.fc(x.mean((2, 3), keepdim=True).flatten(1))


def run(graph: Graph, tensors: dict[str, Tensor], image: Tensor) -> Tensor:
    """The graph executed, an interpreter of its own."""
    known = {graph.inputs[0]: image}

    def decode(argument: Any) -> Any:
        if isinstance(argument, Ref):
            value = graph.values[argument.value]
            return known[value.id] if value.id in known else tensors[value.name]
        if isinstance(argument, str) and argument.startswith("torch."):
            return getattr(torch, argument.removeprefix("torch."))
        return [decode(item) for item in argument] if isinstance(argument, tuple) else argument

    for node in graph.nodes:
        package, name, overload = node.op.split(".")
        results = getattr(getattr(getattr(torch.ops, package), name), overload)(
            **{key: decode(value) for key, value in node.arguments.items()}
        )
        made = results if isinstance(results, tuple | list) else (results,)
        known.update(zip(node.outputs, made, strict=False))
    return known[graph.outputs[0]]


@pytest.fixture
def graph() -> Graph:
    found = trace(Net(), SIZE)
    kinds = ["conv", "activation", "conv", "norm", "conv", "reduce", "view", "view", "matmul"]
    assert [node.kind for node in found.nodes] == kinds
    return found


@pytest.mark.parametrize("name", ["shufflenetv2_050", "ghostnet_050", "micronet_m0"])
def test_nothing_changed_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    # One pass in training mode gives the norms statistics with which signals neither die nor burst.
    model(torch.randn(8, 3, 64, 64))
    model.eval()
    graph = trace(model, (3, 64, 64))
    again = apply(graph, ()).graph
    assert (again.madds, again.extra_madds, again.params) == (graph.madds, graph.extra_madds, graph.params)
    assert [layer.memory_access for layer in again.layers] == [layer.memory_access for layer in graph.layers]
    images = torch.randn(2, 1, 3, 64, 64)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        answers = [model(image) for image in images]
        assert not torch.allclose(*answers, rtol=1e-3)
        for image, answer in zip(images, answers, strict=True):
            torch.testing.assert_close(run(again, tensors, image), answer, rtol=1e-5, atol=1e-6)


def test_bypass_and_swap_compute_what_they_say(graph: Graph) -> None:
    model, image = Net().eval(), torch.randn(1, *SIZE)
    graph = trace(model, SIZE)
    act = graph.nodes[1]
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for module, change in (
            (nn.Identity(), Bypass(act.outputs[0], act.inputs[0])),
            (nn.ReLU(), Swap(act.index, "aten.relu.default", act.inputs[0])),
        ):
            usual = model(image)
            model.act = module
            edited = apply(graph, [change])
            torch.testing.assert_close(run(edited.graph, tensors, image), model(image), rtol=1e-5, atol=1e-6)
            assert not torch.allclose(model(image), usual, rtol=1e-3)
            assert edited.graph.madds == graph.madds
            assert not edited.reshaped
            model.act = nn.Hardswish()


def test_width_runs_through_depthwise_norm_and_linear(graph: Graph) -> None:
    edited = apply(graph, [Widen(0, 12, 1), Widen(4, 6, 1)])
    # conv 3 -> 12, depthwise 12, conv 12 -> 6 on 256 pixels; linear 6 -> 5
    assert edited.graph.madds == 256 * (3 * 12 + 9 * 12 + 12 * 6) + 6 * 5
    assert edited.reshaped["b.weight"] == (12, 1, 3, 3)
    assert edited.reshaped["norm.running_var"] == (12,)
    assert edited.reshaped["fc.weight"] == (5, 6)
    assert "fc.bias" not in edited.reshaped
    assert [edited.graph.nodes[i].op for i in range(9)] == [
        graph.nodes[edited.origin[i]].op.replace("_.", ".") for i in range(9)
    ]
    assert graph.values[graph.nodes[0].outputs[0]].shape == (1, 8, 16, 16), "the graph given is left alone"


def test_what_only_the_bypassed_needed_is_gone(graph: Graph) -> None:
    edited = apply(graph, [Bypass(graph.nodes[3].outputs[0], graph.nodes[0].outputs[0])]).graph
    assert [node.kind for node in edited.nodes] == ["conv", "conv", "reduce", "view", "view", "matmul"]
    assert "b.weight" not in edited.parameters


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)


def test_shapes_that_do_not_fit_are_refused() -> None:
    graph = trace(Sum(), SIZE)
    with pytest.raises(BadInput, match=r"Sum cannot be edited so: maps of shapes .*8.* do not match"):
        apply(graph, [Widen(0, 12, 1)])
    with pytest.raises(BadInput, match="a cannot take 3 to 12 channels in 2 groups"):
        apply(graph, [Widen(0, 12, 2), Widen(1, 12, 2)])
    assert apply(graph, [Widen(0, 12, 1), Widen(1, 12, 1)]).graph.madds == 2 * 256 * 36


def test_a_weight_shared_by_two_layers_keeps_one_shape() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x))

    with pytest.raises(BadInput, match=r"conv\.weight is shared"):
        apply(trace(Shared(), SIZE), [Widen(0, 4, 1)])
