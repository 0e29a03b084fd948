"""Shift-Max and Dynamic ReLU against loops over their equations, and against each other where they coincide."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shift_max import DynamicShiftMax, StaticShiftMax

C, G = 12, 3
M = C // G


def starts(j: int, k: int) -> list[tuple[float, ...]]:
    """J tuples of K values, all different."""
    return [tuple(1.0 - 0.3 * a + 0.2 * b for b in range(k)) for a in range(j)]


def named(values: list[tuple[float, ...]]) -> dict[str, Any]:
    return dict(zip(("a0", "b0", "c0"), [*values, (), ()], strict=False))


def wild(layer: nn.Module) -> nn.Module:
    """Coefficients that differ from image to image and channel to channel."""
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return layer.double().eval()


def source(i: int, j: int, form: str) -> int:
    """Where channel i of the j-th copy comes from."""
    if form == "paper":
        return (i + j * C // G) % C
    return (i // M + j) % G * M + (i % M + j) % M


def by_loops(x: Tensor, coefficient: Any, j: int, k: int, form: str) -> Tensor:
    """coefficient(n, k, j, i) -> max over k of the sum over j."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        for i in range(C):
            candidates = [sum(coefficient(n, b, a, i) * x[n, source(i, a, form)] for a in range(j)) for b in range(k)]
            y[n, i] = torch.stack(candidates).amax(0)
    return y.clamp(min=0) if form == "paper" and k == 1 else y


@pytest.mark.parametrize("form", ["released", "paper"])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("j", [1, 2, 3])
def test_dynamic_shift_max_is_its_equation(j: int, k: int, form: Any) -> None:
    torch.manual_seed(0)
    layer = wild(DynamicShiftMax(C, G, 8, **named(starts(j, k)), form=form))
    x = torch.randn(2, C, 3, 4).double()
    t = layer.excite(layer.squeeze(x.mean((2, 3))).clamp(min=0))  # type: ignore[operator]
    y = (4 * ((t + 3).clamp(0, 6) / 6 - 0.5)).view(2, k, j, C).detach()
    assert float(y.std(0).mean()) > 0.1, "the two images have coefficients of their own"
    expected = by_loops(x, lambda n, b, a, i: y[n, b, a, i] + starts(j, k)[a][b], j, k, form)
    torch.testing.assert_close(layer(x), expected)
    assert (float(expected.min()) >= 0) == (form == "paper" and k == 1)
    assert layer.extra_madds((2, C, 3, 4)) == j * k * x.numel()  # type: ignore[operator]


@pytest.mark.parametrize("form", ["released", "paper"])
@pytest.mark.parametrize(("j", "k"), [(1, 1), (2, 1), (2, 2), (3, 3)])
def test_static_shift_max_is_its_equation(j: int, k: int, form: Any) -> None:
    torch.manual_seed(0)
    layer = StaticShiftMax(C, G, **named(starts(j, k)), form=form).double()
    fresh = layer.coefficients.detach().view(k, j, C)
    torch.testing.assert_close(fresh, torch.tensor(starts(j, k)).T.unsqueeze(2).expand(k, j, C).double())
    nn.init.normal_(layer.coefficients)
    x = torch.randn(2, C, 3, 4).double()
    values = layer.coefficients.detach().view(k, j, C)
    torch.testing.assert_close(layer(x), by_loops(x, lambda n, b, a, i: values[b, a, i], j, k, form))
    layer(x).square().sum().backward()
    assert layer.coefficients.grad is not None
    assert bool((layer.coefficients.grad != 0).any(1).all())
    assert layer.extra_madds((2, C, 3, 4)) == j * k * x.numel()


def test_constant_coefficients_are_static_shift_max() -> None:
    torch.manual_seed(0)
    dynamic = wild(DynamicShiftMax(C, G, 8, (1, 0.5), (0, 0.5), form="paper"))
    nn.init.zeros_(dynamic.excite.weight)  # type: ignore[arg-type]
    static = StaticShiftMax(C, G, (1, 0.5), (0, 0.5), form="paper").double()
    t = dynamic.excite.bias.detach().view(4, C)  # type: ignore[operator, union-attr]
    with torch.no_grad():
        static.coefficients += (2 * t / 3).clamp(-2, 2)
    x = torch.randn(3, C, 4, 4).double()
    torch.testing.assert_close(dynamic(x), static(x))


def test_one_copy_and_one_candidate_are_squeeze_excite_and_relu() -> None:
    """Where the gate of neither saturates: SE's spans [0, 1], that of Shift-Max four times as much."""
    torch.manual_seed(0)
    se = wild(SqueezeExcite(C, 8))
    nn.init.normal_(se.expand.weight)  # type: ignore[arg-type]
    shift_max = wild(DynamicShiftMax(C, G, 8, (0.5,), (), form="paper"))
    for ours, theirs, scale in ((shift_max.squeeze, se.reduce, 1), (shift_max.excite, se.expand, 0.25)):
        ours.weight.data = theirs.weight.data.flatten(1) * scale  # type: ignore[union-attr]
        ours.bias.data = theirs.bias.data * scale  # type: ignore[union-attr]
    x = torch.randn(3, C, 4, 4).double()
    gate = (se(x) / x)[:, :, 0, 0].detach()
    assert float(gate.std(0).mean()) > 1e-3
    assert 0 < float(gate.min()) < float(gate.max()) < 1
    torch.testing.assert_close(shift_max(x), se(x).relu())


@pytest.mark.parametrize("k", [2, 3])
def test_one_copy_is_dynamic_relu_without_offsets(k: int) -> None:
    torch.manual_seed(0)
    slopes = tuple(1.0 - 0.4 * i for i in range(k))
    relu = wild(DynamicReLU(C, 8, slopes, spans=(2.0, 0.0)))
    shift_max = wild(DynamicShiftMax(C, G, 8, slopes, ()))
    shift_max.squeeze.load_state_dict(relu.squeeze.state_dict())  # type: ignore[union-attr, operator]
    for name in ("weight", "bias"):  # slopes and offsets alternate
        theirs = getattr(relu.excite, name).data
        getattr(shift_max.excite, name).data = theirs.unflatten(0, (k, 2, C))[:, 0].flatten(0, 1)
    x = torch.randn(3, C, 4, 4).double()
    torch.testing.assert_close(relu(x), shift_max(x))
    offset = wild(DynamicReLU(C, 8, slopes))
    assert not torch.equal(offset(torch.zeros(1, C, 1, 1).double()), torch.zeros(1, C, 1, 1).double())


def test_dynamic_relu_is_its_equation_and_starts_as_relu() -> None:
    torch.manual_seed(0)
    layer = wild(DynamicReLU(C, 8))
    x = torch.randn(2, C, 3, 4).double()
    t = layer.excite(layer.squeeze(x.mean((2, 3))).clamp(min=0)).detach()  # type: ignore[operator]
    t = 2 * ((t + 3).clamp(0, 6) / 6) - 1
    for n in range(2):
        for i in range(C):
            first = (1 + t[n, i]) * x[n, i] + t[n, C + i] / 2
            second = t[n, 2 * C + i] * x[n, i] + t[n, 3 * C + i] / 2
            torch.testing.assert_close(layer(x)[n, i], torch.maximum(first, second))
    assert layer.extra_madds((2, C, 3, 4)) == 2 * x.numel()  # type: ignore[operator]
    nn.init.zeros_(layer.excite.weight)  # type: ignore[arg-type]
    nn.init.zeros_(layer.excite.bias)  # type: ignore[arg-type]
    torch.testing.assert_close(layer(x), x.relu())


@pytest.mark.parametrize(
    "layer",
    [
        DynamicShiftMax(C, G, 8, (1, 1, 1), (0, 0, 0), (0, 0, 0), form="paper"),
        StaticShiftMax(C, G, (1, 0)),
        DynamicReLU(C, 8),
    ],
)
def test_operators_have_no_buffers_in_files_and_can_be_exported(layer: nn.Module) -> None:
    assert {key.rpartition(".")[2] for key in layer.state_dict()} <= {"weight", "bias", "coefficients"}
    x = torch.randn(2, C, 3, 4)
    exported = torch.export.export(wild(layer).float(), (x,)).module()
    torch.testing.assert_close(exported(x), layer(x))
