"""What a trace leaves behind: values, the nodes that make them, and one record for every layer of work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

ValueKind = Literal["input", "parameter", "buffer", "constant", "activation"]
ChannelRule = Literal["pass", "in place", "made kernel", "freeze"]
Shape = tuple[int, ...]
COUNTED = ("conv", "conv_transpose", "linear", "matmul")


@dataclass(frozen=True)
class Ref:
    """A tensor among the arguments of a node: the index of a `Value`."""

    value: int


@dataclass(frozen=True)
class Value:
    """One tensor at one moment; an in-place operator makes a new value on the same storage.

    kind: a view of a parameter or buffer is still that parameter or buffer, and keeps its `name`.
    name: qualified name of the parameter or buffer, else "".
    elements: distinct elements, so that an expanded dimension counts once.
    storage: values with the same number share memory; `storage_bytes` is the size of all of it.
    producer: index of the node that made it, -1 for inputs, parameters, buffers and constants.
    from_input: whether it depends on the input of the network; a runtime computes the rest once, beforehand.
    """

    id: int
    kind: ValueKind
    name: str
    shape: Shape
    dtype: str
    elements: int
    storage: int
    storage_bytes: int
    producer: int
    from_input: bool


@dataclass(frozen=True)
class Leaf:
    """The outermost module with a `channel_rule` around a node; `call` numbers the calls of leaf modules."""

    path: str
    rule: ChannelRule
    call: int


@dataclass(frozen=True)
class Node:
    """One operator call.

    op: the operator's name, such as "aten.convolution.default".
    kind: from `pumice.graph.ops`, or "view" when the result shares memory with an operand.
    path: qualified name of the innermost module that was running, "" for the model itself.
    inputs, outputs: indices of values, in the order of the arguments and results.
    arguments: by the names of the operator's schema; tensors are `Ref`s, lists are tuples, dtypes and devices strings.
    writes: indices (into `inputs`) of the operands that it overwrote.
    """

    index: int
    op: str
    kind: str
    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Mapping[str, Any]
    writes: tuple[int, ...] = ()
    leaf: Leaf | None = None

    def ref(self, argument: str) -> int | None:
        """Index of the value given as that argument, None when it is absent or no tensor."""
        found = self.arguments.get(argument)
        return found.value if isinstance(found, Ref) else None


@dataclass(frozen=True)
class Layer:
    """What one piece of work costs.  Counts are per forward pass at the traced shapes.

    name: qualified name of the module that ran it, "" when it was called from the model's own forward.
    op: its kind: conv, conv_transpose, linear, matmul, norm, activation, elementwise, pool, reduce, resize, move, or
        extra (the further terms that a module declares by `extra_madds`).
    function: the operator ("convolution", "hardswish", "add", ...).
    input_shapes: of the operands that are activations; generated weights are among them.
    kernel, stride, padding, dilation: one number for each spatial dimension; empty when they do not apply.
    params: learnable elements that no earlier layer used.
    memory_access: elements of the operands, the weight and the result; the bias is left out.
    memory_bytes: the same in bytes, each tensor in the dtype that was traced.
    weight_bytes: what of them does not depend on the input: parameters, buffers and what is computed from them alone.
    """

    name: str
    op: str
    function: str
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    kernel: Shape = ()
    stride: Shape = ()
    padding: Shape = ()
    dilation: Shape = ()
    groups: int = 1
    params: int = 0
    madds: int = 0
    extra_madds: int = 0
    memory_access: int = 0
    memory_bytes: int = 0
    weight_bytes: int = 0

    @property
    def counted(self) -> bool:
        """Whether its multiply-adds count: convolutions and matrix products."""
        return self.op in COUNTED

    @property
    def intensity(self) -> float:
        """Multiply-adds for each byte of memory access; 0 where there are none."""
        return self.madds / self.memory_bytes if self.memory_bytes else 0.0


@dataclass(frozen=True)
class Graph:
    """A network as it ran once on one image.

    name: what the network is called in messages.
    input_size: (C, H, W), without the batch of one.
    params: elements of the learnable tensors that the run used, shared ones once.
    parameters: their qualified names, in order of first use.
    calls: how often each module ran, by qualified name.
    indices: the numbers of buffers that choose channels (one axis, int64), by qualified name.
    inputs, outputs: indices of values; outputs in the order in which nested results list them.
    """

    name: str
    input_size: Shape
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: tuple[Layer, ...]
    params: int
    parameters: tuple[str, ...] = field(repr=False)
    calls: Mapping[str, int] = field(repr=False)
    indices: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    @property
    def madds(self) -> int:
        """Multiply-adds of convolutions and matrix products."""
        return sum(layer.madds for layer in self.layers)

    @property
    def extra_madds(self) -> int:
        """Further terms that modules declare, never part of `madds`."""
        return sum(layer.extra_madds for layer in self.layers)

    @cached_property
    def _consumers(self) -> dict[int, tuple[int, ...]]:
        found: dict[int, list[int]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node.index)
        return {value: tuple(nodes) for value, nodes in found.items()}

    def consumers(self, value: int) -> tuple[Node, ...]:
        """The nodes that read a value, in order of execution."""
        return tuple(self.nodes[i] for i in self._consumers.get(value, ()))

    def producer(self, value: int) -> Node | None:
        """The node that made a value, None for inputs, parameters, buffers and constants."""
        index = self.values[value].producer
        return None if index < 0 else self.nodes[index]
