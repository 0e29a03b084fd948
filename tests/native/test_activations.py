"""Activations and powers, on small and on large numbers, against torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput
from pumice.native.emit.source import source
from pumice.native.passes import optimise
from pumice.native.read import read
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, Together, agree

Parts = dict[str, Callable[[Tensor], Tensor]]
POWERS = (2, 3, 0.5, -0.5, 0.75, -1, -2.25)
ACTIVATIONS: Parts = {
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "elu": lambda x: functional.elu(x, 0.7),
    "celu": lambda x: functional.celu(x, 0.7),
    "selu": functional.selu,
    "mish": functional.mish,
    "mish by hand": lambda x: x * functional.softplus(x).tanh(),
    "softplus": functional.softplus,
    "softplus of another slope": lambda x: functional.softplus(x, 2, 30),
    "log sigmoid": functional.logsigmoid,
    "softsign": functional.softsign,
    "gated": lambda x: functional.glu(x, 1),
    "square": lambda x: x.square(),
    "root": lambda x: x.abs().sqrt(),
    "inverse root": lambda x: (x.abs() + 1).rsqrt(),
    "norm of responses": lambda x: x / (2 + x.pow(2).mean(1, True)).pow(0.75),
    **{f"power {by}": lambda x, by=by: (x.abs() + 0.5).pow(by) for by in POWERS},
}


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=2)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 40), st.sampled_from([0.1, 1.0, 8.0]))
def test_activations(flags: str, half: int, height: int, width: int, scale: float) -> None:
    parts: Parts = {
        f"{name} of {scale}": lambda x, act=act: act(x * scale).clamp(-1e4, 1e4)  # type: ignore[misc]
        for name, act in ACTIVATIONS.items()
    }
    agree(parts, (2 * half, height, width), FLAGS[flags])


@pytest.mark.parametrize("flags", FLAGS)
def test_after_layers_and_on_numbers(flags: str) -> None:
    acts = {"gelu": nn.GELU(), "mish": nn.Mish(), "elu": nn.ELU(), "softplus": nn.Softplus()}
    parts: Parts = {name: nn.Sequential(nn.Conv2d(4, 6, 3), act) for name, act in acts.items()}
    for name, act in acts.items():
        parts[f"{name} of numbers"] = lambda x, act=act: act(3 * x.mean((2, 3)))  # type: ignore[misc]
    agree(parts, (4, 6, 21), FLAGS[flags])


def test_rare_functions_are_written_only_where_one_is_used() -> None:
    with_it, without = (
        source(optimise(read(Together({"act": act}).eval(), (4, 5, 6)))).text for act in (nn.GELU(), nn.ReLU())
    )
    assert "v_gelu" in with_it
    assert "gelu" not in without


@pytest.mark.parametrize("function", [lambda x: x.pow(1.3), lambda x: x.pow(7), lambda x: torch.pow(2.0, x)])
def test_other_powers_are_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(BadInput, match="no native code for pow by such a number"):
        read(Together({"net": function}).eval(), (4, 5, 6))
