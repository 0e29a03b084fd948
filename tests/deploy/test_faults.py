"""Faults sown one at a time, each of which `verify` must catch and call by its name."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from pumice.deploy.export import export
from pumice.deploy.onnx import read_onnx
from pumice.deploy.onnxruntime import OnnxRuntimeSession
from pumice.deploy.probes import natural_images
from pumice.deploy.schemes import quantise
from pumice.deploy.verify import Verification, verify
from tests.deploy.conftest import CLASSES, Case
from tests.deploy.test_verify import doctored

Proto = Any
LAYERS = ("0", "3.body.0", "3.body.3", "4", "7.body.0", "7.body.3", "10")


def said(result: Verification) -> str:
    """Every sentence about what is wrong."""
    return " | ".join([*(f"{c.name}: {c.detail}" for c in result.checks if not c.ok), *result.diagnosis])


def compare(file: Path, case: Case, *, net: nn.Module | None = None, **more: Any) -> Verification:
    return verify(file, net or case.net, manifest=case.manifest, images=16, runtime="onnxruntime", **more)


def edited(path: Path, case: Case, edit: Callable[[Proto], None]) -> Path:
    """The right file with something else inside."""
    proto = read_onnx(case.onnx.path)
    edit(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def layer_nodes(proto: Proto) -> list[Proto]:
    return [node for node in proto.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def change(proto: Proto, name: str, to: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put another array in the place of a weight."""
    held = next(weight for weight in proto.graph.initializer if weight.name == name)
    array = np.ascontiguousarray(to(numpy_helper.to_array(held)), np.float32)
    held.CopyFrom(numpy_helper.from_array(array, name))


def weight(layer: str, to: Callable[[np.ndarray], np.ndarray]) -> Callable[[Proto], None]:
    return lambda proto: change(proto, layer_nodes(proto)[LAYERS.index(layer)].input[1], to)


def swapped(proto: Proto) -> None:
    weight("0", lambda w: w[:, ::-1])(proto)


def normalising(proto: Proto) -> None:
    """The first convolution reads values from 0 to 1: normalisation is folded into it, as converters do."""
    first = layer_nodes(proto)[0]
    mean, std = (np.float32(part).reshape(1, 3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    lost: list[np.ndarray] = []

    def scale(w: np.ndarray) -> np.ndarray:
        lost.append((w / std * mean).sum((1, 2, 3)))
        return w / std

    change(proto, first.input[1], scale)
    change(proto, first.input[2], lambda b: b - lost[0])


def rows_moved(proto: Proto) -> None:
    last = layer_nodes(proto)[-1]
    for name in last.input[1:]:
        change(proto, name, lambda w: w[[1, 0, 2, 3, 4]])


def with_softmax(proto: Proto) -> None:
    end = proto.graph.output[0]
    for node in proto.graph.node:
        node.output[:] = ["before" if name == end.name else name for name in node.output]
    proto.graph.node.append(onnx.helper.make_node("Softmax", ["before"], [end.name], axis=1))


def other_activation(proto: Proto) -> None:
    """ReLU6 in the place of the first h-swish, whatever it was written as."""
    nodes = list(proto.graph.node)
    before, after = layer_nodes(proto)[1:3]
    first, last = nodes.index(before), nodes.index(after)
    for node in nodes[first + 1 : last]:
        proto.graph.node.remove(node)
    for name, value in (("zero", 0.0), ("six", 6.0)):
        proto.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    clip = onnx.helper.make_node("Clip", [before.output[0], "zero", "six"], [after.input[0]])
    proto.graph.node.insert(first + 1, clip)


def noisy(w: np.ndarray) -> np.ndarray:
    return w * (1 + 0.05 * np.sign(np.random.default_rng(0).standard_normal(w.shape)))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(swapped, ["channels in the other order", "red and blue swapped it agrees"], id="BGR"),
        pytest.param(
            normalising, ["mean and std are applied twice", "values from 0 to 1"], id="normalisation folded in"
        ),
        pytest.param(rows_moved, ["classes in another order: output 0 is class 'bee', 2 of them"], id="rows permuted"),
        pytest.param(with_softmax, ["probabilities, the reference logits", "softmax"], id="softmax"),
        pytest.param(other_activation, ["differs: 3.body.3 ", "the last is 3.body.0"], id="relu6 for hardswish"),
        pytest.param(weight("0", noisy), ["first layer that differs: 0 "], id="first layer"),
        pytest.param(weight("3.body.0", noisy), ["differs: 3.body.0 ", "all 1 before agree"], id="depthwise"),
        pytest.param(weight("4", noisy), ["differs: 4 ", "all 3 before agree", "the last is 3.body.3"], id="strided"),
        pytest.param(weight("7.body.3", noisy), ["differs: 7.body.3 ", "all 5 before agree"], id="pointwise"),
        pytest.param(weight("10", noisy), ["differs: 10 ", "all 6 before agree"], id="last layer"),
        pytest.param(weight("10", lambda w: w * np.inf), ["infinite or undefined"], id="infinite weights"),
        pytest.param(weight("0", lambda w: w * 0), ["ignores its image"], id="no weights"),
    ],
)
def test_a_fault_inside_the_file(tmp_path: Path, case: Case, fault: Callable[[Proto], None], words: list[str]):
    result = compare(edited(tmp_path / "net.onnx", case, fault), case)
    assert not result.ok
    assert "outputs" in {check.name for check in result.checks if not check.ok}
    for word in words:
        assert word in said(result)


class Before(nn.Module):
    """Something done to the image inside the network."""

    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.change(x))


def normalise(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(part).reshape(1, 3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (x - mean) / std


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (normalise, "mean and std are applied twice: fed with values from 0 to 1 it agrees"),
        (lambda x: normalise(x / 255), "mean and std are applied twice: fed with values from 0 to 255 it agrees"),
        (lambda x: x.reshape(1, 40, 40, 3).permute(0, 3, 1, 2), "another layout (channels last, NHWC)"),
        (lambda x: x.transpose(2, 3), "height and width exchanged"),
    ],
)
def test_a_file_that_does_something_to_its_image(
    tmp_path: Path, case: Case, inside: Callable[[Tensor], Tensor], words: str
):
    square = replace(case, manifest=replace(case.manifest, preprocess=replace(case.manifest.preprocess, size=(40, 40))))
    file = square.reexport(tmp_path / "net.onnx", Before(case.net, inside))
    result = compare(file, square)
    assert not result.ok
    assert words in said(result)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"channels": "BGR"}, "its record of the channel order is wrong: fed as the reference is it agrees"),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, "its record of the mean and std is wrong"),
        ({"interpolation": "bilinear"}, "its record of the interpolation is wrong"),
        ({"crop_pct": 1.0}, "its record of the crop is wrong"),
        ({"resize": "stretch"}, "its record of the resize is wrong"),
        ({"size": (48, 40)}, "image size: the file has (48, 40), the reference (40, 48)"),
    ],
)
def test_a_fault_of_the_record(tmp_path: Path, case: Case, fault: dict[str, Any], words: str):
    file = doctored(tmp_path / "net.onnx", case, preprocess=replace(case.manifest.preprocess, **fault))
    result = compare(file, case)
    assert not result.ok
    assert words in said(result)


def test_classes_named_in_another_order(tmp_path: Path, case: Case):
    result = compare(doctored(tmp_path / "net.onnx", case, classes=CLASSES[::-1]), case)
    assert not result.ok
    assert said(result) == "class names: another order: class 0 is 'eel', not 'ant'"


def test_a_file_of_another_image_size(tmp_path: Path, case: Case):
    small = replace(case, manifest=replace(case.manifest, preprocess=replace(case.manifest.preprocess, size=(32, 32))))
    result = compare(small.reexport(tmp_path / "net.onnx"), case)
    assert not result.ok
    assert "image size: the file has (32, 32), the reference (40, 48)" in said(result)


def test_a_stale_file(case: Case):
    """The network was trained on after the file was made: every layer is a little other."""
    torch.manual_seed(1)
    later = copy.deepcopy(case.net)
    with torch.no_grad():
        for part in later.parameters():
            part += 0.02 * part.std() * torch.randn_like(part) if part.numel() > 1 else 0
    result = compare(case.onnx.path, case, net=later)
    assert not result.ok
    assert "first layer that differs: 0 " in said(result)
    assert [entry.layer for entry in result.layers] == list(LAYERS)
    assert all(entry.error is not None and entry.error > 1e-4 for entry in result.layers)


def test_a_file_of_another_network(tmp_path: Path, case: Case):
    torch.manual_seed(0)
    other = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))
    result = compare(case.reexport(tmp_path / "net.onnx", other), case)
    assert not result.ok
    assert "layers have no counterpart in the file: they were merged with others, or it is another network" in said(
        result
    )


@pytest.fixture(scope="module")
def of_four(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The right file, of four images a pass."""
    path = tmp_path_factory.mktemp("four") / "net.onnx"
    return export(case.net, path, manifest=case.manifest, batch=4, check=False).path


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda y: 1.01 * y, "every output is 1.01 times the reference's"),
        (lambda y: y[::-1], "the runtime mixes up the images of a batch"),
        (lambda y: np.full_like(y, np.nan), "infinite or undefined"),
        (lambda y: y + 0.05 * np.abs(y).max() * np.float32([1, 0, 0, 0, 0]), "all 7 layers agree to"),
    ],
)
def test_a_runtime_that_computes_wrongly(
    of_four: Path, case: Case, monkeypatch: pytest.MonkeyPatch, fault: Callable[[np.ndarray], np.ndarray], words: str
):
    right = OnnxRuntimeSession.infer
    monkeypatch.setattr(OnnxRuntimeSession, "infer", lambda self, x: np.ascontiguousarray(fault(right(self, x))))
    result = compare(of_four, case)
    assert not result.ok
    assert words in said(result)


def test_a_quantised_file_whose_ranges_are_too_narrow(tmp_path: Path, case: Case):
    images = np.stack([case.manifest.preprocess(image) for image in natural_images(24, 60, 90, seed=5)])
    right = quantise(case.net, tmp_path / "right.onnx", images, scheme="onnxruntime-int8", manifest=case.manifest)
    result = compare(right.path, case)
    assert result.ok, said(result)
    narrow = quantise(case.net, tmp_path / "net.onnx", images / 50, scheme="onnxruntime-int8", manifest=case.manifest)
    result = compare(narrow.path, case)
    assert not result.ok
    assert "top-1" in {check.name for check in result.checks if not check.ok}
    assert "it is quantised, so that every layer differs a little" in said(result)
    assert "its ranges do not suit these images" in said(result)
    assert result.layers == ()
    table = compare(narrow.path, case, layers=True).layers
    assert [entry.layer for entry in table] == list(LAYERS)


def test_a_right_file_has_nothing_said_of_it(tmp_path: Path, case: Case):
    result = compare(case.onnx.path, case)
    assert result.ok
    assert said(result) == ""
    shown = compare(case.onnx.path, case, layers=True)
    assert shown.ok
    assert shown.diagnosis[0].startswith("all 7 layers agree to ")
    assert all(entry.error is not None and entry.error < 1e-5 for entry in shown.layers)


def test_a_baked_file_says_where_it_differs_as_well(tmp_path: Path, case: Case):
    net = copy.deepcopy(case.net)
    with torch.no_grad():
        net[4].weight *= 1.05
    file = export(net, tmp_path / "net.onnx", manifest=case.manifest, bake=True, check=False).path
    result = compare(file, case)
    assert not result.ok
    assert "first layer that differs: 4 " in said(result)
