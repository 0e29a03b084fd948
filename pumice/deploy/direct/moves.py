"""Views and movement of data as ONNX nodes.

Every shape of a traced graph is fixed, so views become `Reshape` to the shape that the trace saw.
"""

from typing import TYPE_CHECKING

import numpy as np

from pumice.deploy.direct.arguments import axes_of, float32, int64, refuse
from pumice.graph.records import Node, Ref

if TYPE_CHECKING:
    from pumice.deploy.direct.arguments import Emitter
    from pumice.deploy.direct.writer import Writer


def _same(w: "Writer", node: Node) -> None:
    if w.value(node.outputs[0]).dtype != w.value(node.inputs[0]).dtype:
        raise refuse(node, "changes the dtype")
    w.op(node, "Identity", [w.name(node.inputs[0])])


def _reshape(w: "Writer", node: Node) -> None:
    w.op(node, "Reshape", [w.name(node.inputs[0]), int64(w, *w.value(node.outputs[0]).shape)])


def _transpose(w: "Writer", node: Node) -> None:
    rank = len(w.value(node.inputs[0]).shape)
    order = list(range(rank))
    first, second = node.arguments.get("dim0", 0) % max(rank, 1), node.arguments.get("dim1", 1) % max(rank, 1)
    order[first], order[second] = order[second], order[first]
    w.op(node, "Transpose", [w.name(node.inputs[0])], perm=order)


def _permute(w: "Writer", node: Node) -> None:
    w.op(node, "Transpose", [w.name(node.inputs[0])], perm=axes_of(w, node, "dims"))


def _expand(w: "Writer", node: Node) -> None:
    w.op(node, "Expand", [w.name(node.inputs[0]), int64(w, *w.value(node.outputs[0]).shape)])


def _repeat(w: "Writer", node: Node) -> None:
    if len(node.arguments["repeats"]) != len(w.value(node.inputs[0]).shape):
        raise refuse(node, "adds dimensions")
    w.op(node, "Tile", [w.name(node.inputs[0]), int64(w, *node.arguments["repeats"])])


def _concatenation(w: "Writer", node: Node) -> None:
    rank = len(w.value(node.outputs[0]).shape)
    w.op(node, "Concat", [w.name(t) for t in node.arguments["tensors"]], axis=node.arguments.get("dim", 0) % rank)


def _split(w: "Writer", node: Node) -> None:
    axis = node.arguments.get("dim", 0) % len(w.value(node.inputs[0]).shape)
    sizes = int64(w, *(w.value(i).shape[axis] for i in node.outputs))
    w.op(node, "Split", [w.name(node.inputs[0]), sizes], outputs=len(node.outputs), axis=axis)


def _slice(w: "Writer", node: Node) -> None:
    a = node.arguments
    shape = w.value(node.inputs[0]).shape
    axis = a.get("dim", 0) % len(shape)
    start, end = a.get("start") or 0, a.get("end")
    bounds = (int64(w, start), int64(w, shape[axis] if end is None else min(end, shape[axis])))
    w.op(node, "Slice", [w.name(node.inputs[0]), *bounds, int64(w, axis), int64(w, a.get("step", 1))])


def _select(w: "Writer", node: Node) -> None:
    axis = node.arguments["dim"] % len(w.value(node.inputs[0]).shape)
    index = w.constant(np.asarray(node.arguments["index"], np.int64))
    w.op(node, "Gather", [w.name(node.inputs[0]), index], axis=axis)


def _index_select(w: "Writer", node: Node) -> None:
    axis = node.arguments["dim"] % len(w.value(node.inputs[0]).shape)
    w.op(node, "Gather", [w.name(node.arguments["self"]), w.name(node.arguments["index"])], axis=axis)


def _index(w: "Writer", node: Node) -> None:
    """x[:, i], with one vector of indices that does not depend on the input."""
    given = [(axis, i) for axis, i in enumerate(node.arguments["indices"]) if i is not None]
    if len(given) != 1 or not isinstance(given[0][1], Ref) or w.value(given[0][1].value).dtype != "int64":
        raise refuse(node, "indexes in more than one dimension")
    axis, index = given[0]
    w.op(node, "Gather", [w.name(node.arguments["self"]), w.name(index)], axis=axis)


def _unbind(w: "Writer", node: Node) -> None:
    axis = node.arguments.get("dim", 0) % len(w.value(node.inputs[0]).shape)
    for i, output in enumerate(node.outputs):
        made = w.op(
            node, "Gather", [w.name(node.inputs[0]), w.constant(np.asarray(i, np.int64))], last=False, axis=axis
        )
        w.names[output] = made


def _pad(mode: str) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        pairs, rank = node.arguments.get("pad", node.arguments.get("padding")), len(w.value(node.inputs[0]).shape)
        if pairs is None or min(pairs) < 0:
            raise refuse(node, "crops")
        # torch names the last dimension first.
        before, after = [0] * rank, [0] * rank
        for i in range(len(pairs) // 2):
            before[rank - 1 - i], after[rank - 1 - i] = pairs[2 * i], pairs[2 * i + 1]
        value = [float32(w, float(node.arguments.get("value") or 0.0))] if mode == "constant" else []
        w.op(node, "Pad", [w.name(node.inputs[0]), int64(w, *before, *after), *value], mode=mode)

    return emit


def _pixel_shuffle(w: "Writer", node: Node) -> None:
    w.op(node, "DepthToSpace", [w.name(node.inputs[0])], mode="CRD", blocksize=node.arguments["upscale_factor"])


def _channel_shuffle(w: "Writer", node: Node) -> None:
    n, c, *sides = w.value(node.inputs[0]).shape
    groups = node.arguments["groups"]
    apart = w.op(node, "Reshape", [w.name(node.inputs[0]), int64(w, n, groups, c // groups, *sides)], last=False)
    order = [0, 2, 1, *range(3, 3 + len(sides))]
    w.op(node, "Reshape", [w.op(node, "Transpose", [apart], last=False, perm=order), int64(w, n, c, *sides)])


EMITTERS: "dict[str, Emitter]" = {
    **dict.fromkeys(("clone", "contiguous", "alias", "detach", "lift_fresh", "_to_copy", "dropout"), _same),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_copy", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("t", "transpose"), _transpose),
    "permute": _permute,
    "expand": _expand,
    "repeat": _repeat,
    "cat": _concatenation,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "slice": _slice,
    "select": _select,
    "index_select": _index_select,
    "index": _index,
    "unbind": _unbind,
    "constant_pad_nd": _pad("constant"),
    "reflection_pad2d": _pad("reflect"),
    "replication_pad2d": _pad("edge"),
    "pixel_shuffle": _pixel_shuffle,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
}
"""By the operator's schema name without the underscore of its in-place form."""
