"""The graph as an ONNX model: names, weights, and what does not depend on the input computed beforehand."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.deploy.carried import MANIFEST
from pumice.deploy.direct import elementwise, layers, moves
from pumice.deploy.network import folded
from pumice.deploy.onnx import INPUT, OPSET, OUTPUT, export_onnx, require_onnx, set_property
from pumice.errors import BadInput
from pumice.graph.records import Graph, Node, Ref, Value
from pumice.graph.trace import trace
from pumice.models.manifest import Manifest

EMITTERS = {**layers.EMITTERS, **elementwise.EMITTERS, **moves.EMITTERS}
IR_VERSION = 10  # of opset 20 and 21; what the runtimes of that time read


def write_direct(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    batch: int = 1,
    manifest: Manifest | None = None,
) -> Graph:
    """Write a network, its batch norms folded, and return the graph that was written.

    Args:
        model: any network of one image tensor; it is not changed.
        path: .onnx file, written straight there.
        input_size: (C, H, W).
        batch: images a pass.
        manifest: goes into the metadata.

    Raises:
        BadInput: it cannot be traced, or has an operator that is not written here; `export_onnx` may know it.
    """
    still = folded(model, input_size)
    graph = trace(still, input_size, batch=batch)
    write_graph(graph, tensors_of(still), path, manifest=manifest)
    return graph


def write_network(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    batch: int = 1,
    manifest: Manifest | None = None,
) -> None:
    """Write a network to be measured: directly, or by torch's exporter where it has operators that are not known here.

    Arguments as `write_direct`.

    Raises:
        BadInput: neither can express it.
    """
    try:
        write_direct(model, path, input_size, batch=batch, manifest=manifest)
    except BadInput:
        export_onnx(model, path, input_size, batch=batch, manifest=manifest)


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by qualified name, shared ones under every name."""
    return {
        name: tensor.detach()
        for name, tensor in (
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        )
    }


def write_graph(
    graph: Graph, tensors: Mapping[str, Tensor], path: Path, *, manifest: Manifest | None = None, seed: int = 0
) -> None:
    """Write a graph, which may have been edited, as an ONNX file.

    Args:
        graph: with one output of interest, its first.
        tensors: weights by name.  One that is absent or of another shape than the graph's is drawn at
            random, with the variance that keeps activations of the order of 1.
        path: .onnx file, written straight there.
        manifest: goes into the metadata.
        seed: of the random weights.

    Raises:
        BadInput: an operator is not written here.
    """
    proto = Writer(graph, tensors, seed).write()
    if manifest is not None:
        set_property(proto, MANIFEST, manifest.dumps())
    path.write_bytes(proto.SerializeToString())


class Writer:
    """Turns the nodes of one graph into ONNX nodes, in order; emitters call `op`, `constant` and `name`."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], seed: int) -> None:
        self.onnx = require_onnx()
        self.graph = graph
        self.tensors = tensors
        self.random = torch.Generator().manual_seed(seed)
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        # Values that a runtime would compute beforehand: parameters, buffers and what is made of them alone.
        self.known: dict[int, Tensor] = {}
        self.names: dict[int, str] = {graph.inputs[0]: INPUT}

    def write(self) -> Any:
        """The whole graph as an ONNX model.

        Raises:
            BadInput: an operator is not written here.
        """
        helper, float32 = self.onnx.helper, self.onnx.TensorProto.FLOAT
        for node in self.graph.nodes:
            if any(self.graph.values[i].from_input for i in node.outputs):
                self._emit(node)
        answer = self.graph.values[self.graph.outputs[0]]
        self.nodes.append(helper.make_node("Identity", [self.name(answer.id)], [OUTPUT], name="answer"))
        graph = helper.make_graph(
            _without_identities(self.nodes),
            self.graph.name or "network",
            [helper.make_tensor_value_info(INPUT, float32, self.graph.values[self.graph.inputs[0]].shape)],
            [helper.make_tensor_value_info(OUTPUT, float32, answer.shape)],
            list(self.initializers.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="pumice")

    def _emit(self, node: Node) -> None:
        name = node.op.split(".")[1].removesuffix("_")
        emitter = EMITTERS.get(name)
        if emitter is None or (node.writes and (len(node.outputs) > 1 or name in ("copy", "index_put"))):
            raise BadInput(f"{self.graph.name}: operator {node.op} cannot be written directly; use export_onnx")
        emitter(self, node)

    def value(self, index: int) -> Value:
        """The record of a value."""
        return self.graph.values[index]

    def op(
        self, node: Node, kind: str, inputs: list[str], *, last: bool = True, outputs: int = 1, **attributes: Any
    ) -> str:
        """Append an ONNX node and return the name of its first output.

        last: it makes the results of `node`; otherwise a step on the way, named after it.
        """
        if last:
            made = [f"n{node.index}", *(f"n{node.index}:{i}" for i in range(1, outputs))]
            self.names |= dict(zip(node.outputs, made, strict=False))
        else:
            made = [f"n{node.index}.{len(self.nodes)}"]
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, made, name=made[0], **attributes))
        return made[0]

    def name(self, argument: Any) -> str:
        """The ONNX name of a value (an index or a Ref) or a number."""
        if isinstance(argument, Ref):
            argument = argument.value
        elif not isinstance(argument, int) or isinstance(argument, bool):
            return self.constant(np.asarray(argument, np.float32))
        if argument not in self.names:
            self.names[argument] = self.constant(self.numbers(argument), f"v{argument}")
        return self.names[argument]

    def number(self, argument: Any) -> str:
        """The ONNX name of an operand that may be a plain number."""
        return self.name(argument if isinstance(argument, Ref) else float(argument))

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """An initializer; equal small ones without a name are shared."""
        name = name or f"c{value.dtype.name}{value.shape}{value.tolist()}".replace(" ", "")
        if name not in self.initializers:
            self.initializers[name] = self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def numbers(self, index: int) -> NDArray[Any]:
        """What a value that does not depend on the input holds."""
        return self._known(index).contiguous().numpy()

    def _known(self, index: int) -> Tensor:
        if index not in self.known:
            value = self.graph.values[index]
            node = self.graph.producer(index)
            if node is not None:
                self._compute(node)
            elif value.kind in ("parameter", "buffer"):
                self.known[index] = self._weight(value)
            else:
                raise BadInput(
                    f"{self.graph.name} makes a tensor of its own that the trace does not keep; use export_onnx"
                )
        return self.known[index]

    def _compute(self, node: Node) -> None:
        packet = getattr(torch.ops.aten, node.op.split(".")[1])
        operator = getattr(packet, node.op.split(".")[2])
        arguments = {key: _decoded(value, self._known) for key, value in node.arguments.items()}
        results = operator(**arguments)
        made = results if isinstance(results, tuple | list) else (results,)
        self.known |= dict(zip(node.outputs, made, strict=False))

    def _weight(self, value: Value) -> Tensor:
        tensor = self.tensors.get(value.name)
        if tensor is not None and tuple(tensor.shape) == value.shape:
            return tensor.cpu()
        if not value.dtype.startswith("float"):
            raise BadInput(f"{self.graph.name}: the numbers of {value.name} are needed and are not given")
        if len(value.shape) < 2:
            ones = value.name.endswith(("running_var", "weight"))
            return torch.ones(value.shape) if ones else torch.zeros(value.shape)
        fan_in = prod(value.shape[1:])
        return torch.randn(value.shape, generator=self.random) * fan_in**-0.5


def _decoded(value: Any, known: Any) -> Any:
    """An argument as torch takes it: tensors for Refs, dtypes and devices for their names."""
    if isinstance(value, Ref):
        return known(value.value)
    if isinstance(value, tuple):
        return [_decoded(item, known) for item in value]
    if isinstance(value, str) and value.startswith("torch."):
        return getattr(torch, value.removeprefix("torch."))
    return "cpu" if value == "meta" else value


def _without_identities(nodes: list[Any]) -> list[Any]:
    """Copies that change nothing left out; the one that names the answer gives its name to whoever makes it."""
    same: dict[str, str] = {}
    kept = []
    for node in nodes:
        source = [same.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(source)
        if node.op_type == "Identity" and node.output[0] != OUTPUT:
            same[node.output[0]] = source[0]
        else:
            kept.append(node)
    answer = kept[-1]
    maker = next((node for node in kept[:-1] if answer.input[0] in node.output), None)
    if maker is None or any(answer.input[0] in node.input for node in kept[:-1]):
        return kept
    maker.output[list(maker.output).index(answer.input[0])] = OUTPUT
    return kept[:-1]
