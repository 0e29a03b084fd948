"""Folding is exact, complete where it can be, and keeps its hands off where it cannot."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.graph.fold import fold_norms
from pumice.graph.trace import trace

SIZE = (3, 32, 32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lively(model: nn.Module, size: tuple[int, ...], passes: int = 1) -> nn.Module:
    """Random affine terms, then running statistics of what really flows, so that every norm does something."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = None
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5, generator)
                nn.init.uniform_(module.bias, -0.5, 0.5, generator)
    model.train()
    with torch.no_grad():
        for _ in range(passes):
            model(torch.randn((4, *size), generator=generator) + 0.5)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def relative_error(model: nn.Module, other: nn.Module, size: tuple[int, ...]) -> float:
    dtype = next(model.parameters()).dtype
    x = (torch.randn((2, *size), generator=torch.Generator().manual_seed(1)) + 0.5).to(dtype)
    with torch.no_grad():
        a, b = model(x), other(x)
    assert float((a[0] - a[1]).abs().max()) > 0.05 * float(a.abs().max()), "a net that ignores its input shows nothing"
    return float((a - b).norm() / a.norm())


# Double precision shows the algebra: no wrong term is as small as 1e-11.  In single precision, rounding alone makes up
# to 2e-4 in the deep nets with random scales, 6e-6 in ResNet-18.
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "resnet18"])
def test_folding_torchvision_nets_is_exact_and_leaves_no_norm(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    model = lively(models.get_model(name, num_classes=10), SIZE)
    single = relative_error(model, fold_norms(model, SIZE), SIZE)
    assert single < (1e-5 if name == "resnet18" else 1e-3)
    before, state = norms(model.double()), {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_norms(model, SIZE)
    assert (norms(model), norms(folded)) == (before, 0)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert relative_error(model, folded, SIZE) < 1e-11


# What stays: norms behind a concatenation (MixNet), identity branches (RepVGG), pre-activation (ResNetV2).
@pytest.mark.parametrize(
    ("name", "left"),
    [("efficientnet_lite0", 0), ("ghostnet_100", 0), ("mixnet_s", 34), ("repvgg_a0", 17), ("resnetv2_18d", 9)],
)
def test_folding_timm_nets_is_exact(name: str, left: int) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = lively(timm.create_model(name, num_classes=10), SIZE).double()
    folded = fold_norms(model, SIZE)
    assert norms(folded) == left
    assert relative_error(model, folded, SIZE) < 1e-11


@pytest.mark.parametrize(
    ("layer", "norm", "size"),
    [
        (nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4), nn.BatchNorm2d(12), (8, 9, 9)),
        (nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8, affine=False), (8, 9, 9)),
        (nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6), (8, 5, 5)),
        (nn.ConvTranspose2d(6, 6, 3, groups=6, bias=False), nn.BatchNorm2d(6), (6, 5, 5)),
        (nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), (4, 9)),
        (nn.Conv3d(2, 6, 3), nn.BatchNorm3d(6, eps=0.1), (2, 5, 5, 5)),
        (nn.Linear(7, 5), nn.BatchNorm1d(5), (7,)),
        (nn.Linear(7, 5, bias=False), nn.BatchNorm1d(5), (7,)),
    ],
)
def test_every_kind_of_layer(layer: nn.Module, norm: nn.Module, size: tuple[int, ...]) -> None:
    model = lively(nn.Sequential(layer, norm, nn.PReLU()), size).double()
    folded = fold_norms(model, size)
    assert type(folded[1]) is nn.Identity
    assert relative_error(model, folded, size) < 1e-13
    assert [op.kind for op in trace(folded, size).nodes if op.kind == "norm"] == []


def test_the_order_of_registration_does_not_matter() -> None:
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
            self.norm2, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            # norm1 comes first and has nothing to fold into; norm2 follows conv1, not conv2.
            return F.relu(self.conv2(F.relu(self.norm2(self.conv1(self.norm1(x))))))

    model = lively(Crossed(), (4, 6, 6)).double()
    folded = fold_norms(model)
    assert (type(folded.norm1), type(folded.norm2)) == (nn.BatchNorm2d, nn.Identity)
    assert relative_error(model, folded, (4, 6, 6)) < 1e-13


class Around(nn.Module):
    """conv, norm and a way of joining them in which folding would be wrong."""

    def __init__(self, join: Any) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.conv, self.norm, x)


def _used_elsewhere(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    y = conv(x)
    return norm(y) + y


def _shared_weight(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    return norm(conv(x)) + F.conv2d(x, conv.weight, padding=1)


WRONG = {
    "result used elsewhere": _used_elsewhere,
    "conv called twice": lambda conv, norm, x: norm(conv(x)) + conv(x.flip(3)),
    "norm called twice": lambda conv, norm, x: norm(conv(x)) + norm(x),
    "weight used elsewhere": _shared_weight,
    "norm's scale used elsewhere": lambda conv, norm, x: norm(conv(x)) * norm.weight.view(1, -1, 1, 1),
    "activation between": lambda conv, norm, x: norm(conv(x).relu()),
    "in-place activation between": lambda conv, norm, x: norm(conv(x).relu_()),
    "written to between": lambda conv, norm, x: norm(conv(x).mul_(x)),
    "norm first": lambda conv, norm, x: conv(norm(x)),
    "channels moved between": lambda conv, norm, x: norm(conv(x).flip(1)),
    "weight computed": lambda conv, norm, x: norm(F.conv2d(x, conv.weight.tanh(), conv.bias, padding=1)),
    "a slice of the weight": lambda conv, norm, x: norm(F.conv2d(x[:, :2], conv.weight[:, :2], conv.bias, padding=1)),
    "bias ignored": lambda conv, norm, x: norm(F.conv2d(x, conv.weight, padding=1)),
    "batch statistics": lambda conv, norm, x: F.batch_norm(conv(x), norm.running_mean, norm.running_var, training=True),
}


@pytest.mark.parametrize("join", WRONG.values(), ids=WRONG)
def test_folding_keeps_its_hands_off(join: Any) -> None:
    model = lively(Around(join), (4, 6, 6)).double()
    folded = fold_norms(model)
    assert norms(folded) == 1
    assert folded.conv.bias is None
    assert relative_error(model, folded, (4, 6, 6)) == 0


def test_shared_hooked_and_parametrised_modules_stay() -> None:
    shared = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    twice = lively(nn.Sequential(shared, nn.ReLU(), shared), (4, 6, 6)).double()
    assert norms(fold_norms(twice)) == 1
    hooked = lively(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), (4, 6, 6)).double()
    hooked[0].register_forward_hook(lambda module, args, output: output * 2)
    assert norms(fold_norms(hooked)) == 1
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
    normed = lively(nn.Sequential(conv, nn.BatchNorm2d(4)), (4, 6, 6)).double()
    folded = fold_norms(normed)
    assert norms(folded) == 1
    for model in (twice, hooked, normed):
        assert relative_error(model, fold_norms(model), (4, 6, 6)) == 0


class NormAct(nn.BatchNorm2d):
    """The shape of timm's BatchNormAct2d: children behind the norm."""

    def __init__(self, channels: int, act: nn.Module, through: Any = lambda y, act: act(y)) -> None:
        super().__init__(channels)
        self.drop, self.act, self.through = nn.Identity(), act, through

    def forward(self, x: Tensor) -> Tensor:
        return self.through(self.drop(super().forward(x)), self.act)


@pytest.mark.parametrize(
    "act", [nn.ReLU(inplace=True), nn.Sequential(nn.Hardtanh(), nn.AvgPool2d(2), nn.PReLU(4)), nn.Identity()]
)
def test_a_norm_with_an_activation_leaves_the_activation(act: nn.Module) -> None:
    model = lively(nn.Sequential(nn.Conv2d(4, 4, 1), NormAct(4, act), nn.Conv2d(4, 4, 1)), (4, 6, 6)).double()
    folded = fold_norms(model)
    assert type(folded[1]) is type(act)
    assert relative_error(model, folded, (4, 6, 6)) < 1e-13


@pytest.mark.parametrize(
    "through", [lambda y, act: act(y) + y, lambda y, act: act(y) * 2, lambda y, act: act(act(y)), lambda y, act: y + 1]
)
def test_a_norm_that_does_something_else_stays(through: Any) -> None:
    norm = NormAct(4, nn.Softplus(), through)
    model = lively(nn.Sequential(nn.Conv2d(4, 4, 1), norm), (4, 6, 6)).double()
    folded = fold_norms(model)
    assert relative_error(model, folded, (4, 6, 6)) < 1e-13
    assert norms(folded) == 1


def test_a_linear_layer_on_tokens_is_seen_through_its_reshapes() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(6, 5), nn.BatchNorm1d(5)

        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            return self.norm(y.flatten(0, 1)).view_as(y)

    model = lively(Tokens(), (7, 6)).double()
    folded = fold_norms(model, (7, 6))
    assert norms(folded) == 0
    assert relative_error(model, folded, (7, 6)) < 1e-13


def test_the_size_comes_from_the_model() -> None:
    model = lively(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), (1, 20, 20))
    assert norms(fold_norms(model)) == 0
