"""Edits of a traced graph: the same network with an operator bypassed, swapped for another, or of another width.

    edited = apply(graph, [Bypass(value=12, by=7), Widen(node=3, out_channels=24, groups=1)])

The nodes that are still needed run again on tensors without numbers, and are recorded as a trace records a network, so
every shape, view and count of the new graph is inferred, not patched.  Convolutions, linear layers and batch norms take
the width that reaches them; where shapes do not fit, the edit is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.graph.modules import Calls, Extra, tensors_in
from pumice.graph.recorder import Recorder
from pumice.graph.records import Graph, Node, Ref, Shape
from pumice.graph.trace import assemble


@dataclass(frozen=True)
class Bypass:
    """Whoever read `value` reads `by`, an earlier value, instead; nodes that nobody reads any more are gone."""

    value: int
    by: int


@dataclass(frozen=True)
class Swap:
    """The node becomes another operator, such as "aten.relu.default", of `operand` alone."""

    node: int
    op: str
    operand: int


@dataclass(frozen=True)
class Widen:
    """The convolution makes `out_channels`, wider or narrower, in `groups`; its kernel stays."""

    node: int
    out_channels: int
    groups: int


Change = Bypass | Swap | Widen


@dataclass(frozen=True)
class Edited:
    """graph: the network after the changes.  origin: for each of its nodes the index of the node that it was.

    reshaped: qualified names of the parameters and buffers whose shape is no longer the network's own.
    """

    graph: Graph
    origin: tuple[int, ...]
    reshaped: Mapping[str, Shape]


def apply(graph: Graph, changes: Iterable[Change]) -> Edited:
    """The graph after all changes at once; indices are those of `graph`.

    Raises:
        BadInput: the shapes do not fit any more, or a change names what is not there.
    """
    return _Rerun(graph, tuple(changes)).run()


@dataclass
class _Rerun:
    graph: Graph
    changes: tuple[Change, ...]
    tensors: dict[int, Tensor] = field(default_factory=dict)
    named: dict[str, Tensor] = field(default_factory=dict)
    origin: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instead = {c.value: c.by for c in self.changes if isinstance(c, Bypass)}
        self.swaps = {c.node: c for c in self.changes if isinstance(c, Swap)}
        self.widths = {c.node: c for c in self.changes if isinstance(c, Widen)}
        self.calls = Calls(nn.Module())
        entry = self.graph.inputs[0]
        image = torch.empty(self.graph.values[entry].shape, dtype=self._dtype(entry), device="meta")
        self.recorder = Recorder(self.calls, image, {}, {})
        self.tensors[self.graph.inputs[0]] = image

    def run(self) -> Edited:
        try:
            with torch.no_grad():
                for node in self._needed():
                    # Views of weights run when they are asked for, by when the weight's shape is known.
                    if not self._of_weights(node):
                        self._node(node)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BadInput(f"{self.graph.name} cannot be edited so: {first[:200].rstrip('. ')}") from error
        outputs = tuple(self.recorder.read(self._tensor(value)) for value in self.graph.outputs)
        nodes = self.recorder.nodes()
        sizes = {name: tensor.numel() for name, tensor in self.named.items()}
        made = assemble(
            self.graph.name, self.graph.input_size, self.recorder, outputs, self._extras(nodes), sizes, self.graph.calls
        )
        before = {value.name: value.shape for value in self.graph.values if value.name and value.producer < 0}
        reshaped = {n: tuple(t.shape) for n, t in self.named.items() if tuple(t.shape) != before[n]}
        return Edited(made, tuple(self.origin), reshaped)

    def _needed(self) -> list[Node]:
        """The nodes that the outputs depend on, in order of execution."""
        wanted = [self._now(value) for value in self.graph.outputs]
        kept: set[int] = set()
        while wanted:
            node = self.graph.producer(wanted.pop())
            if node is not None and node.index not in kept:
                kept.add(node.index)
                swap = self.swaps.get(node.index)
                wanted += [self._now(value) for value in ((swap.operand,) if swap else node.inputs)]
        return [node for node in self.graph.nodes if node.index in kept]

    def _of_weights(self, node: Node) -> bool:
        return node.kind == "view" and not any(self.graph.values[value].from_input for value in node.outputs)

    def _now(self, value: int) -> int:
        while value in self.instead:
            value = self.instead[value]
        return value

    def _node(self, node: Node) -> None:
        self.calls.stand_at(node.path, node.leaf)
        swap = self.swaps.get(node.index)
        given = {"self": self._tensor(swap.operand)} if swap else self._arguments(node)
        operator = _operator(swap.op if swap else _out_of_place(node))
        with self.recorder:
            results = operator(**given)
        made = list({id(tensor): tensor for tensor in tensors_in(results)}.values())
        # What an operator overwrote under another name comes last, as the recorder appended it.
        behind = len(node.inputs) - _references(node)
        made += [self._tensor(value) for value in node.inputs[len(node.inputs) - behind :]]
        self.tensors.update(zip(node.outputs, made, strict=False))
        self.origin += [node.index] * (len(self.recorder.drafts) - len(self.origin))

    def _arguments(self, node: Node) -> dict[str, Any]:
        given: dict[str, Any] = {}
        name = node.op.split(".")[1].removesuffix("_")
        if name == "convolution" and not node.arguments.get("transposed", False):
            given = self._convolution(node)
        elif name in ("addmm", "mm"):
            given = self._product(node, *(("mat1", "mat2") if name == "addmm" else ("self", "mat2")))
        elif name == "native_batch_norm":
            channels = self._tensor(node.arguments["input"].value).shape[1]
            roles = ("weight", "bias", "running_mean", "running_var")
            given = {role: self._sized(ref, (channels,)) for role in roles if (ref := node.ref(role)) is not None}
        elif name in ("view", "_unsafe_view"):
            given = self._flattening(node)
        return {key: given.get(key, self._decode(value)) for key, value in node.arguments.items()}

    def _convolution(self, node: Node) -> dict[str, Any]:
        weight, bias = node.ref("weight"), node.ref("bias")
        channels = self._tensor(node.arguments["input"].value).shape[1]
        groups = int(node.arguments["groups"])
        if weight is None or self.graph.values[weight].producer >= 0 or not self.graph.values[weight].name:
            return {}  # a computed kernel takes no other width
        out, inside, *kernel = self.graph.values[weight].shape
        asked = self.widths.get(node.index)
        if asked is not None:
            out, groups = asked.out_channels, asked.groups
        elif channels != inside * groups and inside == 1 and groups > 1:
            out, groups = channels * (out // groups), channels
        if out < 1 or channels % groups or out % groups:
            raise ValueError(f"{node.path} cannot take {channels} to {out} channels in {groups} groups")
        sized = {"weight": self._sized(weight, (out, channels // groups, *kernel)), "groups": groups}
        return sized if bias is None else {**sized, "bias": self._sized(bias, (out,))}

    def _product(self, node: Node, left: str, right: str) -> dict[str, Any]:
        matrix = self.graph.values[node.arguments[right].value]
        inside = self._tensor(node.arguments[left].value).shape[-1]
        turned = self.graph.producer(matrix.id)
        if matrix.kind != "parameter" or turned is None or turned.op != "aten.t.default" or matrix.shape[0] == inside:
            return {}
        weight = self._sized(turned.inputs[0], (matrix.shape[1], inside))
        with self.recorder:
            return {right: torch.ops.aten.t.default(weight)}

    def _flattening(self, node: Node) -> dict[str, Any]:
        """A map laid out as one vector an image is as long as the map has become."""
        size, tensor = node.arguments["size"], self._tensor(node.inputs[0])
        vector = len(size) == 2 and size[0] == tensor.shape[0] and self.graph.values[node.inputs[0]].from_input
        return {"size": (size[0], prod(tensor.shape[1:]))} if vector else {}

    def _sized(self, value: int, shape: Shape) -> Tensor:
        """The parameter or buffer in this shape."""
        found = self.graph.values[value]
        known = self.named.get(found.name)
        if known is not None and tuple(known.shape) != shape:
            raise ValueError(f"{found.name} is shared by layers that would need it in two shapes")
        return self._tensor(value) if known is not None else self._new(value, shape)

    def _tensor(self, value: int) -> Tensor:
        value = self._now(value)
        if value in self.tensors:
            return self.tensors[value]
        found = self.graph.values[value]
        node = self.graph.producer(value)
        if node is not None:
            if not self._of_weights(node):
                raise ValueError(f"value {value} is read before it is made")
            self._node(node)
            return self.tensors[value]
        return self.named[found.name] if found.name in self.named else self._new(value, found.shape)

    def _new(self, value: int, shape: Shape) -> Tensor:
        found = self.graph.values[value]
        tensor = torch.empty(shape, dtype=self._dtype(value), device="meta")
        self.tensors[value] = tensor
        if found.name:
            self.named[found.name] = tensor
        self.recorder.add(tensor, found.kind, found.name)
        return tensor

    def _dtype(self, value: int) -> torch.dtype:
        return getattr(torch, self.graph.values[value].dtype)

    def _decode(self, argument: Any) -> Any:
        if isinstance(argument, Ref):
            return self._tensor(argument.value)
        if isinstance(argument, tuple):
            return [self._decode(item) for item in argument]
        if isinstance(argument, str) and argument.startswith("torch."):
            return getattr(torch, argument.removeprefix("torch."))
        return torch.device("meta") if argument in ("meta", "cpu") else argument

    def _extras(self, nodes: Sequence[Node]) -> list[Extra]:
        """The extra terms of modules that still multiply, as many for each element as before."""
        kept = []
        for layer in self.graph.layers:
            inside = (
                [n for n in nodes if n.path == layer.name and n.kind == "elementwise"] if layer.op == "extra" else []
            )
            if inside:
                shape = self.recorder.values[inside[-1].outputs[0]].shape
                madds = layer.extra_madds * prod(shape) // prod(layer.output_shape)
                kept.append(Extra(layer.name, shape, shape, madds, inside[-1].index + 1))
        return kept


def _references(node: Node) -> int:
    """How many of the node's operands are among its arguments."""

    def count(value: Any) -> int:
        return sum(map(count, value)) if isinstance(value, tuple) else isinstance(value, Ref)

    return sum(map(count, node.arguments.values()))


def _out_of_place(node: Node) -> str:
    """The operator that leaves its operand alone, where nobody else looks at the operand's memory."""
    package, name, overload = node.op.split(".")
    plain = name.removesuffix("_")
    alone = bool(node.writes) and name.endswith("_") and len(node.inputs) == _references(node)
    return f"{package}.{plain}.{overload}" if alone and hasattr(getattr(torch.ops, package), plain) else node.op


def _operator(name: str) -> Any:
    package, function, overload = name.split(".")
    return getattr(getattr(getattr(torch.ops, package), function), overload)
