"""From a network to operations over planes.

The network is exported by torch, folded and rewritten (`pumice.graph`); then each of its ATen operators is read in
turn.  What is known of a tensor meanwhile is the array of its planes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from pumice.errors import BadInput
from pumice.graph.rewrites.program import arguments, operator_of
from pumice.graph.rewrites.rewrite import rewritten
from pumice.graph.trace import model_name
from pumice.native.expression import Planes
from pumice.native.ir import Operation, Program, Size

PASSES = ("noops", "constants", "activations", "norms", "arithmetic", "indexing")
"""Exact rewrites of `pumice.graph.rewrites`; what moves channels needs none here."""

BEHIND = (
    *("permute", "transpose", "swapaxes", "layer_norm", "linear", "mean", "linalg_vector_norm"),
    *("reshape", "view", "flatten", "_unsafe_view"),
    *("contiguous", "clone", "dropout", "dropout_", "detach", "detach_", "alias"),
)
"""Operators that know channels behind the pixels, beside those that work point by point."""
IMAGES = (
    *("conv2d", "convolution", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"),
    *("pad", "constant_pad_nd", "batch_norm", "_native_batch_norm_legit_no_training", "group_norm", "instance_norm"),
)
"""Operators that need planes, beside those that resample them and transposed ones."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor: the planes of its leading dimensions, and (H, W) behind them; size None: it has no pixels.

    behind: how many dimensions of the planes, the last ones, lie behind the pixels: 1 for (N, H, W, C).
    """

    planes: Planes
    size: Size | None = None
    behind: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """As torch has it."""
        ahead = self.planes.ndim - self.behind
        return (*self.planes.shape[:ahead], *(self.size or ()), *self.planes.shape[ahead:])


class Reader:
    """What has been read so far.

    name: of the network, for messages.
    values: of each node of the graph: a `Value`, a constant as a numpy array, or several of them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sizes: list[Size] = []
        self.operations: list[Operation] = []
        self.values: dict[fx.Node, Any] = {}

    def fresh(self, count: int, size: Size) -> Planes:
        """New planes."""
        first = len(self.sizes)
        self.sizes += [size] * count
        return np.arange(first, first + count, dtype=np.int64)

    def refuse(self, node: fx.Node, why: str = "") -> BadInput:
        """What is said of an operator that cannot be read."""
        path = node.meta.get("path", "")
        operator = operator_of(node) or str(node.target)
        where = f" in {path}" if path else ""
        return BadInput(
            f"{self.name} cannot be compiled: no native code for {operator}{f' {why}' if why else ''}{where}; "
            "choose another format"
        )


def read(model: nn.Module, input_size: tuple[int, int, int], *, name: str = "") -> Program:
    """The operations of a network on one image, as the network orders them: nothing is fused yet.

    Args:
        model: with its batch norms folded where that is possible; evaluation mode is what is read.
        input_size: (C, H, W).
        name: of the network; by default its own.

    Raises:
        BadInput: torch cannot export it, or it has an operator that there is no code for (named, with the layer).
    """
    from pumice.native.read_activations import ACTIVATIONS
    from pumice.native.read_channels import CHANNELS
    from pumice.native.read_layers import LAYERS
    from pumice.native.read_moves import MOVES, as_image, as_numbers
    from pumice.native.read_norms import NORMS
    from pumice.native.read_pads import PADS
    from pumice.native.read_points import POINTS
    from pumice.native.read_resamples import RESAMPLES
    from pumice.native.read_transposed import TRANSPOSED

    reader = Reader(name or model_name(model))
    graph = rewritten(model, input_size, passes=PASSES)
    assert isinstance(graph, fx.GraphModule)
    tables = (LAYERS, PADS, MOVES, POINTS, ACTIVATIONS, RESAMPLES, TRANSPOSED, CHANNELS, NORMS)
    handlers = {name: handler for one in tables for name, handler in one.items()}
    know_behind = {*POINTS, *ACTIVATIONS, *BEHIND}
    inputs = reader.fresh(input_size[0], (input_size[1], input_size[2]))
    answer: Any = None
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            reader.values[node] = Value(inputs[None], (input_size[1], input_size[2]))
        elif node.op == "get_attr":
            found = getattr(graph, str(node.target))
            assert isinstance(found, Tensor)
            reader.values[node] = found.detach().cpu().numpy()
        elif node.op == "output":
            answer = reader.values[node.args[0]]
        else:
            if all(isinstance(reader.values[n], np.ndarray) for n in node.all_input_nodes):
                reader.values[node] = _constant(node, reader.values)
                continue
            handler = handlers.get(operator_of(node))
            if handler is None:
                raise reader.refuse(node)
            given = fx.map_arg(arguments(node), lambda n: reader.values[n])
            operands = [one for n in node.all_input_nodes if isinstance(one := reader.values[n], Value)]
            if any(one.behind for one in operands) and operator_of(node) not in know_behind:
                raise reader.refuse(node, "of channels that lie behind the pixels")
            first = "input" if "input" in given else "self"
            if operator_of(node) in (*IMAGES, *RESAMPLES, *TRANSPOSED) and isinstance(x := given[first], Value):
                given = {**given, first: as_image(reader, node, x)}
            made = handler(reader, node, given)
            expected = node.meta.get("shape")
            if isinstance(made, Value) and expected is not None and made.shape != tuple(expected):
                raise AssertionError(f"{node}: read as {made.shape}, is {expected}")
            reader.values[node] = made
    if not isinstance(answer, Value):
        raise BadInput(f"{reader.name} answers no tensor that depends on the image, so there is nothing to compile")
    if answer.behind:
        answer = as_numbers(reader, "answer", answer)
    return Program(reader.name, reader.sizes, inputs, answer.planes.ravel(), answer.shape[1:], reader.operations)


def _constant(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    """What an operator makes of constants alone, here and now."""
    assert callable(node.target)
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: torch.from_numpy(values[n]))
    with torch.no_grad():
        made = node.target(*args, **kwargs)
    if isinstance(made, Tensor):
        return made.numpy()
    return None if made is None else tuple(part.numpy() for part in made)
