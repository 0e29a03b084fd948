"""What each operator does to the ids of channels: the rules that `channel_flow` looks up by the operator's name."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from pumice.graph.channel_flow import Flow, Touch, decoded
from pumice.graph.channel_ids import NONE, Spread, along, nothing, spread
from pumice.graph.records import Graph, Node

Rule = Callable[[Flow, Node], None]


# Layers that make channels.


def _convolution(flow: Flow, node: Node) -> None:
    shape, name = flow.shape(node), flow.plain_name(node, "weight")
    if not name and node.leaf is not None and node.leaf.rule == "made kernel":
        _made_kernel(flow, node)
        return
    if node.leaf is not None and node.path == f"{node.leaf.path}.generate" and node.leaf.rule == "made kernel":
        flow.give(node)  # the kernel's elements, which `_made_kernel` takes together
        return
    ids = flow.along(flow.given(node, "input"), 1)
    if ids is None or not name:
        flow.opaque(node, "" if name else f"a computed kernel in {node.path or 'the model'}")
        return
    weight = flow.graph.values[node.inputs[1]].shape
    transposed, groups = bool(node.arguments["transposed"]), int(node.arguments["groups"])
    bias = flow.plain_name(node, "bias")
    made, read = (1, 0) if transposed else (0, 1)
    outs = weight[made] * (groups if transposed else 1)
    if groups > 1 and weight[read] == (groups if transposed else 1):
        if transposed and weight[1] > 1:
            flow.opaque(node)
            return
        out = ids.repeat_interleave(outs // len(ids))
        touches = [Touch(name, 0, out)]
    elif groups > 1 and transposed:
        flow.opaque(node)
        return
    else:
        out = flow.make(name, ids, outs)
        touches = [Touch(name, made, out, makes=True), Touch(name, read, ids, reads=True)]
        if groups > 1 and name in flow.whole:
            both = torch.cat((ids.view(groups, -1), out.view(groups, -1)), 1)
            flow.tie(both[:, :1].expand_as(both), both, f"in groups of {node.path} with channels that stay")
        elif groups > 1:
            flow.share(ids, groups, name)
            flow.share(out, groups, name)
    if bias:
        touches.append(Touch(bias, 0, out, makes=touches[0].makes))
    flow.touches += touches
    flow.give(node, along(out, 1, shape))


def _made_kernel(flow: Flow, node: Node) -> None:
    """`pumice.nn.WeightNetConv`: a 1 x 1 convolution makes sigmoids, several for each output, and a grouped one makes
    the kernel of them, its outputs in the order (output, input, pixel).
    """
    assert node.leaf is not None
    path, shape = node.leaf.path, flow.shape(node)
    names = {value.name: value.shape for value in flow.graph.values if value.producer < 0}
    attend, generate = f"{path}.attend", f"{path}.generate"
    ids = flow.along(flow.given(node, "input"), 1)
    groups = int(node.arguments["groups"])
    outs, inside, *kernel = flow.graph.values[node.inputs[1]].shape
    rows = names.get(f"{generate}.weight", (0,))[0]
    parts = next((int(n.arguments["groups"]) for n in flow.graph.nodes if n.path == generate), 0) // outs
    depthwise = groups == outs and inside == 1
    fits = rows == outs * inside * prod(kernel) and (depthwise or (groups == 1 and parts and inside % parts == 0))
    if ids is None or len(ids) != inside * groups or not fits:
        flow.opaque(node, f"a computed kernel in {node.path}")
        return
    out = ids if depthwise else flow.make(f"{generate}.weight", ids, outs)
    sigmoids = flow.made(f"{attend}.weight")
    flow.tie(sigmoids, out.repeat_interleave(len(sigmoids) // outs), attend)
    seen = (outs, inside, prod(kernel), *names[f"{generate}.weight"][1:])
    flow.touches.append(Touch(f"{generate}.weight", 0, out, makes=not depthwise, seen=seen))
    if not depthwise:
        flow.touches.append(Touch(f"{generate}.weight", 1, ids, reads=True, seen=seen))
        if parts > 1:
            flow.share(ids, parts, path)
    flow.enter(node, node.inputs[0])
    flow.give(node, along(out, 1, shape))


def _product(left: str, right: str, bias: str) -> Rule:
    def rule(flow: Flow, node: Node) -> None:
        shape = flow.shape(node)
        matrix = node.ref(right)
        assert matrix is not None
        value = flow.graph.values[matrix]
        turned = flow.graph.producer(matrix)
        known = value.kind in ("parameter", "buffer") and (turned is None or turned.op == "aten.t.default")
        ids = flow.along(flow.given(node, left), 1)
        added = flow.plain_name(node, bias) if bias else ""
        if ids is None or not known or (bias and not added):
            flow.opaque(node)
            return
        made, read = (1, 0) if turned is None else (0, 1)
        out = flow.make(value.name, ids, shape[-1])
        flow.touches += [Touch(value.name, made, out, makes=True), Touch(value.name, read, ids, reads=True)]
        if added:
            flow.touches.append(Touch(added, 0, out, makes=True))
        flow.give(node, along(out, len(shape) - 1, shape))

    return rule


def _batch_norm(flow: Flow, node: Node) -> None:
    given = flow.given(node, "input", "self")
    ids = flow.along(given, 1)
    if ids is None:
        flow.opaque(node)
        return
    for role in ("weight", "bias", "running_mean", "running_var"):
        if node.ref(role) is not None:
            name = flow.plain_name(node, role)
            if not name:
                flow.opaque(node)
                return
            flow.touches.append(Touch(name, 0, ids))
    flow.give(node, given)


# Operators that change the size of the map, or sum over some of it.


def _spatial(flow: Flow, node: Node) -> None:
    given, shape = flow.given(node, "self", "input"), flow.shape(node)
    changed = [axis for axis, (a, b) in enumerate(zip(given.shape, shape, strict=False)) if a != b]
    ranks = [int(d) for d in "123" if f"{d}d" in node.op]
    pooled = set(changed) | {len(shape) - 1 - i for i in range(ranks[0] if ranks else len(shape))}
    if len(shape) != len(given.shape) or pooled & set(given.axes):
        flow.opaque(node)
        return
    flow.give(node, Spread(given.core, shape))


def _reduction(flow: Flow, node: Node) -> None:
    given, shape = flow.given(node, "self"), flow.shape(node)
    dims: Any = node.arguments.get("dim")
    dims = range(len(given.shape)) if dims is None or dims == () else dims
    gone = {d % len(given.shape) for d in ((dims,) if isinstance(dims, int) else dims)} if given.shape else set()
    if gone & set(given.axes):
        flow.opaque(node)
        return
    core = given.core
    if len(shape) != len(given.shape):
        core = core.reshape([size for axis, size in enumerate(core.shape) if axis not in gone])
    flow.give(node, *[Spread(core, shape)] * len(node.outputs))


def _softmax(flow: Flow, node: Node) -> None:
    given = flow.given(node, "self")
    if node.arguments["dim"] % max(1, len(given.shape)) in given.axes:
        flow.opaque(node)
        return
    flow.give(node, given)


# Operators that move elements.


def _as_it_is(flow: Flow, node: Node) -> None:
    flow.give(node, Spread(flow.root(flow.of(node.inputs[0])).core, flow.shape(node)))


def _run(flow: Flow, node: Node) -> None:
    """The operator itself, on the ids."""
    given = flow.root(flow.of(node.inputs[0]))
    package, name, overload = node.op.split(".")
    operator = getattr(getattr(getattr(torch.ops, package), name), overload)
    results = operator(**{key: decoded(value, given.full()) for key, value in node.arguments.items()})
    flow.give(node, *map(spread, results if isinstance(results, list | tuple) else (results,)))


def _reshape(flow: Flow, node: Node) -> None:
    given = flow.root(flow.of(node.inputs[0]))
    made = spread(given.full().reshape(flow.shape(node)))
    if not flow.passing(node) and len(made.axes) > 1:
        # Channels as a table of a fixed number of rows; a narrower net has as many rows, all as much shorter.
        if len(made.axes) > 2 or len(given.axes) != 1:
            flow.opaque(node)
            return
        flow.ties.tie(made.core.narrow(made.axes[0], 0, 1).expand_as(made.core), made.core, flow.place(node))
        made = flow.root(made)
    flow.give(node, made)


def _slice(flow: Flow, node: Node) -> None:
    given, rank = flow.root(flow.of(node.inputs[0])), len(flow.of(node.inputs[0]).shape)
    axis = int(node.arguments.get("dim", 0)) % rank
    whole = node.outputs and flow.shape(node) == given.shape
    if axis in given.axes and not whole and not flow.passing(node):
        sizes = {flow.graph.values[value].shape[axis] for value in node.outputs}
        ids = given.along(axis)
        if node.op == "aten.split.Tensor" and len(sizes) == 1 and ids is not None:
            flow.share(ids, len(node.outputs), node.path)
        else:
            flow.ties.freeze(given.core, f"sliced in {node.path or 'the model'}")
    _run(flow, node)


def _concatenation(flow: Flow, node: Node) -> None:
    shape = flow.shape(node)
    parts = [flow.root(flow.of(value)) for value in node.inputs]
    parts = [part for part in parts if len(part.shape) == len(shape)]  # torch lets an empty vector be among them
    axis = int(node.arguments.get("dim", 0)) % len(shape)
    across = {other for part in parts for other in part.axes} - {axis}
    if not across:
        cores = [part.core.expand([part.shape[i] if i == axis else 1 for i in range(len(shape))]) for part in parts]
        flow.give(node, Spread(spread(torch.cat(cores, axis)).core, shape))
        return
    if any(set(part.axes) != across for part in parts):
        flow.opaque(node)
        return
    for part in parts[1:]:
        flow.tie(parts[0].core, part.core, flow.place(node))
    flow.give(node, Spread(flow.ties.find(parts[0].core), shape))


def _pad(flow: Flow, node: Node) -> None:
    given, shape = flow.root(flow.of(node.inputs[0])), flow.shape(node)
    if any(given.shape[axis] != shape[axis] for axis in given.axes):
        flow.ties.freeze(given.core, f"padded in {node.path or 'the model'}")
        amounts = list(node.arguments["pad"])
        amounts = [n if given.core.shape[-1 - i // 2] > 1 else 0 for i, n in enumerate(amounts)]
        core = torch.constant_pad_nd(given.core, amounts, NONE)
        flow.give(node, Spread(core, shape))
        return
    flow.give(node, Spread(given.core, shape))


def _index_select(flow: Flow, node: Node) -> None:
    given, shape = flow.given(node, "self"), flow.shape(node)
    axis = int(node.arguments["dim"]) % len(shape)
    if axis not in given.axes:
        flow.give(node, Spread(given.core, shape))
        return
    ids, name = given.along(axis), flow.plain_name(node, "index")
    if ids is None or not name:
        flow.opaque(node)
        return
    if flow.passing(node) and name in flow.graph.indices:
        flow.give(node, along(ids[list(flow.graph.indices[name])], axis, shape))
        return
    if flow.adapting(node) and shape[axis] % len(ids) == 0:
        # The module renumbers its index, so each place goes with the channel that stands there.
        flow.give(node, along(ids.repeat(shape[axis] // len(ids)), axis, shape))
        return
    flow.ties.freeze(ids, f"chosen by an index in {node.path}")
    out = flow.make(name, ids, shape[axis])
    flow.touches.append(Touch(name, 0, out, makes=True))
    flow.give(node, along(out, axis, shape))


def _created(flow: Flow, node: Node) -> None:
    flow.give(node, *(nothing(flow.graph.values[value].shape) for value in node.outputs))


def follow(graph: Graph, whole: frozenset[str] = frozenset()) -> Flow:
    """The ids of every value of a graph; convolutions with these weights lose whole groups."""
    return Flow(graph, RULES, KINDS, whole)


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_named("convolution _convolution", _convolution),
    **_named("native_batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update batch_norm", _batch_norm),
    "mm": _product("self", "mat2", ""),
    "addmm": _product("mat1", "mat2", "self"),
    **_named("mean sum amax amin prod var std logsumexp linalg_vector_norm", _reduction),
    **_named("_softmax _log_softmax _safe_softmax softmax log_softmax", _softmax),
    **_named("view _unsafe_view reshape _reshape_copy reshape_copy view_copy", _reshape),
    **_named("permute transpose t unsqueeze squeeze expand movedim", _run),
    **_named("slice select narrow split split_with_sizes unbind unsafe_split unsafe_split_with_sizes", _slice),
    **_named("clone _to_copy contiguous detach alias lift_fresh", _as_it_is),
    "cat": _concatenation,
    "constant_pad_nd": _pad,
    "index_select": _index_select,
    **_named("glu ger addr native_dropout bernoulli local_response_norm", Flow.opaque),
    **_named("reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d", _spatial),
}
KINDS: dict[str, Rule] = {
    "elementwise": Flow.pointwise,
    "activation": Flow.pointwise,
    "pool": _spatial,
    "resize": _spatial,
    "create": _created,
}
