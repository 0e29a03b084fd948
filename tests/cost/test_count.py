"""Profiles: published counts, memory access by its definition, JSON, and one sentence for what cannot work."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.count import Profile, profile
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput


# torchvision's own files state these parameters; the multiply-adds are those of torch's flop counter, halved.
@pytest.mark.parametrize(
    ("name", "params", "madds"),
    [
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("mobilenet_v3_small", 2_542_856, 56_510_400),
        ("shufflenet_v2_x1_0", 2_278_604, 144_907_992),
        ("squeezenet1_1", 1_235_496, 349_151_936),
    ],
)
def test_published_nets(name: str, params: int, madds: int) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        model = models.get_model(name)
    found = profile(model)
    assert (found.params, found.madds, found.extra_madds) == (params, madds, 0)
    assert found.input_size == (3, 224, 224)
    assert sum(layer.params for layer in found.layers) == params
    assert sum(layer.madds for layer in found.layers) == madds


def test_memory_access_of_a_pointwise_convolution() -> None:
    height, width, c1, c2 = 14, 15, 24, 40
    found = profile(nn.Conv2d(c1, c2, 1), (c1, height, width))
    assert found.memory_access == height * width * (c1 + c2) + c1 * c2
    assert found.memory_access_other == 0


@pytest.mark.parametrize(
    ("model", "size", "access"),
    [
        (nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), (8, 10, 10), 800 + 16 * 25 + 16 * 2 * 9),
        (nn.Linear(30, 7), (30,), 30 + 7 + 210),
        (nn.Linear(30, 7), (5, 30), 150 + 35 + 210),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 5, 5), 100 + 600 + 96),
    ],
)
def test_memory_access_of_other_layers(model: nn.Module, size: tuple[int, ...], access: int) -> None:
    assert profile(model, size).memory_access == access


def test_memory_access_apart_from_the_counted_layers() -> None:
    net = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    # norm 400 + 400 + its 4 scales; relu 800; pool 400 + 100; flatten is a view
    found = profile(net, (4, 10, 10))
    assert (found.memory_access, found.memory_access_other) == (0, 804 + 800 + 500)


class Max(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, -x)

    def extra_madds(self, input_shape: tuple[int, ...]) -> int:
        return 2 * input_shape[1]


def test_extra_terms_are_apart() -> None:
    found = profile(nn.Sequential(nn.Conv2d(3, 5, 1), Max()), (3, 4, 4))
    assert (found.madds, found.extra_madds) == (16 * 15, 10)


def test_json_has_the_promised_keys() -> None:
    found = profile(nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU()), (3, 8, 8))
    value = json.loads(json.dumps(found.to_json()))
    keys = {"params", "madds", "extra_madds", "memory_access", "peak_activation_bytes", "layers", "input_size", "name"}
    assert keys <= value.keys()
    assert value["input_size"] == [3, 8, 8]
    assert value["layers"][0]["kernel"] == [3, 3]
    assert value["layers"][0]["input_shapes"] == [[1, 3, 8, 8]]
    assert value["peak_activation_bytes"] == 4 * (3 * 64 + 5 * 36)
    assert isinstance(found, Profile)
    assert found.to_json() == value


def test_the_input_size_is_the_models_own() -> None:
    net: Any = nn.Sequential(nn.Conv2d(1, 4, 3))
    assert profile(net).input_size == (1, 224, 224)
    net.default_cfg = {"input_size": (3, 96, 80)}
    assert profile(net).input_size == (1, 96, 80)
    net.preprocess = Preprocess(size=(64, 48))
    assert profile(net).input_size == (1, 64, 48)
    assert profile(net, (1, 10, 10)).input_size == (1, 10, 10)
    assert profile(nn.Sequential(nn.Linear(9, 2))).input_size == (9,)


@pytest.mark.parametrize(
    ("model", "size"),
    [(nn.Conv2d(3, 4, 7), (3, 5, 5)), (nn.Conv2d(3, 4, 3), (1, 32, 32)), (nn.Conv2d(3, 4, 3), (3, 9))],
)
def test_bad_input_names_model_and_input(model: nn.Module, size: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=f"Conv2d .*{'x'.join(map(str, size))}") as caught:
        profile(model, size)
    assert "\n" not in str(caught.value)


def test_by_name() -> None:
    found = profile("shufflenetv2_050", (3, 96, 96))
    assert found.name == "shufflenetv2_050"
    assert found.input_size == (3, 96, 96)
    assert found.params > 1_000_000


@pytest.mark.parametrize("name", ["micronet_m0", "mobilenetv3_small_100"])
def test_counting_imports_torch_only_and_not_its_compiler(name: str) -> None:
    code = (
        "import sys, torch; before = set(sys.modules); from pumice.cost.count import profile; "
        f"profile({name!r}); new = set(sys.modules) - before; "
        "print(*({m.partition('.')[0] for m in new} - set(sys.stdlib_module_names)), 'torch._dynamo' in new)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(printed.split()) <= {"pumice", "numpy", "PIL", "torch", "safetensors", "False"}
