"""Every shape rule against torch itself, on real tensors: shape, layout, dtype, and when it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pumice.graph.shapes import result


class Watch(TorchDispatchMode):
    """Compare each operator that a rule answers with what torch returns."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        try:
            guess = result(func._schema.name, given)
        except RuntimeError:
            self.answered.append("refused")
            guess = None
        if guess is not None:
            self.answered.append(func._schema.name)
        made = func(*args, **kwargs)
        if guess is not None:
            pairs = zip(guess, made, strict=True) if isinstance(guess, tuple) else [(guess, made)]
            for ours, theirs in pairs:
                assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
                assert layout(ours) == layout(theirs)
        return made


def layout(tensor: Tensor) -> list[int]:
    """Strides that mean anything."""
    return [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


X = torch.rand(2, 8, 9, 11)
V = torch.rand(8)
C = V.view(8, 1, 1)
M = torch.rand(5, 8)
W = torch.rand(6, 8, 3, 3)

ANSWERED: list[Callable[[], Any]] = [
    *(
        lambda f=f: f(X)
        for f in (F.relu, F.relu6, F.hardswish, F.hardsigmoid, F.silu, F.gelu, F.elu, F.mish, F.softplus)
    ),
    *(lambda f=f: f(X) for f in (torch.sigmoid, torch.tanh, torch.exp, torch.log, torch.abs, torch.neg, torch.sqrt)),
    *(lambda f=f: f(X) for f in (torch.rsqrt, torch.reciprocal, torch.sign, torch.square, torch.erf, F.leaky_relu)),
    *(lambda f=f: f(X.clone()) for f in (torch.relu_, torch.sigmoid_, torch.tanh_, F.hardtanh_, F.elu_)),
    *(lambda f=f: f(X, C) for f in (torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum)),
    *(lambda f=f: f(C, X) for f in (torch.add, torch.mul)),
    *(lambda f=f: f(X, 2) for f in (torch.add, torch.sub, torch.mul, torch.div, torch.pow, torch.rsub)),
    lambda: 1 - X,
    lambda: 1 / X,
    lambda: X.clone().add_(C),
    lambda: X.clone().mul_(0.5),
    lambda: X.clamp(0, 1),
    lambda: X.clamp(min=0),
    lambda: F.prelu(X, V),
    lambda: F.celu(X),
    lambda: torch.addcmul(X, X, C),
    lambda: X.flip(1),
    lambda: X.roll((1, 2), (1, 2)),
    lambda: X.mean((2, 3)),
    lambda: X.mean((2, 3), keepdim=True),
    lambda: X.sum(-1),
    lambda: X.amax((1, -1), keepdim=True),
    lambda: torch.cat((X, X, X[:, :, :, :]), 1),
    lambda: torch.cat((M, M), -1),
    lambda: F.linear(M, torch.rand(7, 8), torch.rand(7)),
    lambda: F.linear(M, torch.rand(7, 8)),
    lambda: torch.bmm(X[0], X[0].transpose(1, 2).contiguous()),
    lambda: F.conv2d(X, W),
    lambda: F.conv2d(X, torch.rand(4, 2, 3, 2), torch.rand(4), (2, 1), (1, 2), (1, 3), 4),
    lambda: F.conv2d(X, torch.rand(6, 8, 3, 3), padding="same"),
    lambda: F.conv1d(X[0], torch.rand(4, 9, 3), stride=2),
    lambda: F.conv_transpose2d(X, torch.rand(8, 3, 4, 3), None, (2, 3), 1, (1, 2), 2, (1, 2)),
    lambda: F.batch_norm(X, V, V, V, V),
    lambda: F.batch_norm(M, V, V),
    lambda: F.max_pool2d(X, 3, 2),
    *(
        lambda k=k, s=s, p=p: F.max_pool2d(X, k, s, p, ceil_mode=True)
        for k in (2, 3)
        for s in (1, 2, 3)
        for p in (0, 1)
    ),
    *(
        lambda k=k, s=s, p=p: F.avg_pool2d(X, k, s, p, ceil_mode=True)
        for k in (2, 3)
        for s in (1, 2, 4)
        for p in (0, 1)
    ),
    lambda: F.max_pool2d(X, (3, 2), (2, 1), (1, 0), (2, 3)),
    lambda: F.avg_pool2d(X, 2),
    lambda: F.adaptive_avg_pool2d(X, (3, 2)),
    lambda: F.interpolate(X, scale_factor=2),
    lambda: F.interpolate(X, (7, 5), mode="bilinear"),
]


@pytest.mark.parametrize("call", ANSWERED)
def test_a_rule_answers_as_torch_does(call: Callable[[], Any]) -> None:
    with torch.no_grad(), Watch() as watch:
        call()
    assert watch.answered
    assert "refused" not in watch.answered


LEFT: list[Callable[[], Any]] = [
    lambda: X.permute(0, 2, 3, 1).relu(),
    lambda: X.contiguous(memory_format=torch.channels_last) + 1,
    lambda: F.conv2d(X.contiguous(memory_format=torch.channels_last), W),
    lambda: X.int() + 1,
    lambda: X * X.double(),
    lambda: X.bool() + 1,
    lambda: X + 1j,
    lambda: torch.cat((X.transpose(2, 3), X.transpose(2, 3)), 1),
    lambda: F.batch_norm(X, None, None, training=True),
    lambda: X.sum(),
    lambda: X.sum(1, dtype=torch.float64),
    lambda: torch.relu(M.t()),
    lambda: M.t() + M.t(),
    lambda: torch.add(X, X, out=torch.empty_like(X)),
    lambda: F.max_pool2d(X[0], 2),
]


@pytest.mark.parametrize("call", LEFT)
def test_what_is_out_of_the_ordinary_is_left_to_torch_or_right(call: Callable[[], Any]) -> None:
    with torch.no_grad(), Watch() as watch:
        call()
    ordinary = ("aten::_to_copy", "aten::clone")
    assert [name for name in watch.answered if name not in ordinary] == []


WRONG: list[Callable[[], Any]] = [
    lambda: F.conv2d(X, torch.rand(6, 4, 3, 3)),
    lambda: F.conv2d(X, torch.rand(6, 8, 10, 3)),
    lambda: F.conv2d(X, torch.rand(6, 2, 3, 3), groups=4),
    lambda: F.conv_transpose2d(X, torch.rand(4, 6, 3, 3)),
    lambda: F.batch_norm(X, torch.rand(4), torch.rand(4)),
    lambda: X + torch.rand(3, 1, 1),
    lambda: torch.rand(1, 8, 9, 11).add_(X),
    lambda: torch.cat((X, X[..., 1:].contiguous()), 1),
    lambda: F.linear(M, torch.rand(7, 9), torch.rand(7)),
    lambda: F.max_pool2d(X, 12),
    lambda: F.avg_pool2d(X, 12),
]


@pytest.mark.parametrize("call", WRONG)
def test_what_torch_refuses_is_not_answered(call: Callable[[], Any]) -> None:
    watch = Watch()
    with torch.no_grad(), pytest.raises((RuntimeError, IndexError)), watch:
        call()
    assert set(watch.answered) <= {"refused"}
