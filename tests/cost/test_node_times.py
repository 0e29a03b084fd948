"""The work of a runtime's operators is charged to the right nodes of the graph."""

import pytest
import torch
from torch import nn

from pumice.cost.node_times import charge, node_times
from pumice.deploy.op_times import OpTime, op_times
from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.create import create_model


class Small(nn.Module):
    """n0 conv, n1 relu, n2 max pool, n3 conv, n4 hardswish, n5 mean, n6 view, n7 t, n8 addmm, n9 hardswish."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.a(x).relu(), 2)
        x = nn.functional.hardswish(self.b(x))
        return nn.functional.hardswish(self.fc(x.mean((2, 3), keepdim=True).flatten(1)))


@pytest.fixture
def graph():
    found = trace(Small(), (3, 18, 18))
    assert [node.kind for node in found.nodes] == [
        *("conv", "activation", "pool", "conv", "activation", "reduce", "view", "view", "matmul", "activation")
    ]
    return found


def test_onnxruntime_names(graph):
    ops = [  # a fused operator bears the last name; reorders and the parts of HardSwish have names of their own
        OpTime("ReorderInput", "ReorderInput", 0.5),
        OpTime("n1_nchwc", "Conv", 1.0),
        OpTime("n2_nchwc", "MaxPool", 2.0),
        OpTime("n4_nchwc", "Conv", 4.0),
        OpTime("ReorderOutput_token_7", "ReorderOutput", 8.0),
        OpTime("n5", "ReduceMean", 16.0),
        OpTime("n8", "Gemm", 32.0),
        OpTime("HardSigmoid_12", "HardSigmoid", 64.0),
        OpTime("Mul_13", "Mul", 128.0),
    ]
    times = charge(graph, ops, "onnxruntime")
    assert times.ms == (1.0, 0, 2.0, 4.0, 0, 16.0, 0, 0, 32.0, 192.0)
    assert [(b.kind, b.after, b.before, b.ms) for b in times.between] == [
        ("ReorderInput", None, 1, 0.5),
        ("ReorderOutput", 4, 5, 8.0),
    ]
    assert times.total_ms == sum(op.ms for op in ops)


def test_openvino_names(graph):
    ops = [  # a fused operator bears the first name
        OpTime("image_abcd_acdb_n0/WithoutBiases", "Reorder", 1.0),
        OpTime("n0/WithoutBiases", "Convolution", 2.0),
        OpTime("n2", "MaxPool", 4.0),
        OpTime("n2_abcd_acdb_n5", "Reorder", 0.5),  # runs early, and says where it belongs
        OpTime("n3/WithoutBiases", "Convolution", 8.0),
        OpTime("n5", "ReduceMean", 16.0),
        OpTime("n8/WithoutBiases", "FullyConnected", 32.0),
        OpTime("logits", "HSwish", 64.0),
    ]
    times = charge(graph, ops, "openvino")
    assert times.ms == (2.0, 0, 4.0, 8.0, 0, 16.0, 0, 0, 32.0, 64.0)
    assert [(b.after, b.before, b.ms) for b in times.between] == [(None, 0, 1.0), (2, 5, 0.5)]


class Made(nn.Module):
    """n0 mean, n1 conv, n2 view (a kernel), n3 conv with it, n4 relu."""

    def __init__(self):
        super().__init__()
        self.make = nn.Conv2d(3, 15, 1)

    def forward(self, x):
        kernel = self.make(x.mean((2, 3), keepdim=True)).view(5, 3, 1, 1)
        return nn.functional.conv2d(x, kernel).relu()


def test_openvino_renames_convolutions_with_made_kernels():
    graph = trace(Made(), (3, 18, 18))
    assert [node.kind for node in graph.nodes] == ["reduce", "conv", "view", "conv", "activation"]
    ops = [
        OpTime("n0", "ReduceMean", 1.0),
        OpTime("n1/WithoutBiases", "Convolution", 2.0),
        OpTime("n2", "Reshape", 4.0),
        OpTime("Multiply_18322", "Convolution", 8.0),
    ]
    assert charge(graph, ops, "openvino").ms == (1.0, 2.0, 4.0, 8.0, 0)


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "openvino"])
def test_every_convolution_takes_time(runtime):
    if runtime != "eager":
        pytest.importorskip(runtime)
    torch.manual_seed(0)
    times = node_times(create_model("mobilenetv3_small_035"), (3, 96, 96), runtime, passes=3)
    convolutions = [ms for node, ms in zip(times.graph.nodes, times.ms, strict=True) if node.kind == "conv"]
    # OpenVINO counts whole microseconds, and some of these take less than one.
    assert sum(ms > 0 for ms in convolutions) >= 0.7 * len(convolutions)
    assert sum(convolutions) > 0.3 * times.total_ms


def test_a_runtime_without_profiler_is_named(tmp_path):
    with pytest.raises(BadInput, match="ncnn does not tell the time"):
        op_times(tmp_path / "x.onnx", "ncnn")
