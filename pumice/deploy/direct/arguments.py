"""Arguments of ATen operators as ONNX wants them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pumice.errors import BadInput
from pumice.graph.records import Node

if TYPE_CHECKING:
    from pumice.deploy.direct.writer import Writer

    Emitter = Callable[[Writer, Node], None]


def refuse(node: Node, what: str) -> BadInput:
    """What to raise for an operator that is used in a way that is not written here."""
    return BadInput(
        f"operator {node.op} in {node.path or 'the model'} {what}, which is not written directly; use export_onnx"
    )


def int64(w: "Writer", *numbers: int) -> str:
    """The name of a vector of whole numbers."""
    return w.constant(np.asarray(numbers, np.int64))


def float32(w: "Writer", number: float) -> str:
    """The name of a scalar."""
    return w.constant(np.asarray(number, np.float32))


def each(value: Any, count: int) -> list[int]:
    """A setting, one number for each of `count` dimensions; torch lets a single number stand for all."""
    numbers = list(value) if isinstance(value, tuple) else [value]
    return numbers * count if len(numbers) == 1 else numbers


def axes_of(w: "Writer", node: Node, argument: str = "dim") -> list[int]:
    """Dimensions as positive numbers, all of them where none is named."""
    rank = len(w.value(node.inputs[0]).shape)
    given = node.arguments.get(argument)
    axes = range(rank) if given is None or given == () else given if isinstance(given, tuple) else (given,)
    return [axis % rank for axis in axes]
