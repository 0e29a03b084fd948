"""A network as a program: one `torch.fx.GraphModule` of ATen operators, and what the passes ask of its nodes.

A program is called like the network, on (N, C, H, W) of the size that it was made for, and every exporter takes it.
Its tensors lie flat in the module; a node's name begins with the path of the layer that it comes from.
"""

import copy
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from pumice.errors import BadInput

Shape = tuple[int, ...]
FRESH = ("detach_",)  # writes into a tensor that nobody else has
LAST = "last run"  # in a node's meta: what it was asked, and its answer without numbers


def program(model: nn.Module, input_size: tuple[int, int, int], batch: int = 1) -> fx.GraphModule:
    """What `torch.export` makes of a network in evaluation mode, without guards and without names that lie.

    Raises:
        BadInput: torch cannot export the network, or it answers more than one tensor.
    """
    still = copy.deepcopy(model).eval()
    for module in still.modules():
        if "inplace" in vars(module):
            vars(module)["inplace"] = False  # a program knows no writing into tensors
    first = next((p for p in still.parameters() if p.is_floating_point()), torch.zeros(()))
    example = torch.zeros(batch, *input_size, dtype=first.dtype)
    try:
        with torch.no_grad():
            exported = torch.export.export(still, (example,))
            if any(_writes(node) for node in exported.graph.nodes):
                exported = exported.run_decompositions({})
            given = exported.module()
            assert isinstance(given, fx.GraphModule)
            return _flat(given)
    except BadInput:
        raise
    except Exception as error:  # the exporter has many classes of errors
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise BadInput(f"cannot rewrite {type(model).__name__}: {lines[0].strip()[:200]}") from error


def settle(gm: fx.GraphModule) -> None:
    """Drop what nobody reads, and write down every node's shape: the end of each pass."""
    gm.graph.eliminate_dead_code()
    used = {str(node.target) for node in gm.graph.nodes if node.op == "get_attr"}
    for name in [*dict(gm.named_parameters()), *dict(gm.named_buffers())]:
        if name not in used:
            delattr(gm, name)
    gm.graph.lint()
    gm.recompile()
    _Shapes(gm).run()


def operator_of(node: fx.Node) -> str:
    """An ATen operator's name without namespace and overload, "getitem", or "" for what is no call."""
    if node.op != "call_function":
        return ""
    if node.target is operator.getitem:
        return "getitem"
    return str(node.target).split(".")[1] if isinstance(node.target, torch._ops.OpOverload) else str(node.target)


def arguments(node: fx.Node) -> dict[str, Any]:
    """All arguments of an ATen operator by name, defaults included."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return dict(enumerate(node.args))  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for i, argument in enumerate(node.target._schema.arguments):
        given = node.args[i] if i < len(node.args) else argument.default_value
        found[argument.name] = node.kwargs.get(argument.name, given)
    return found


def shape(node: fx.Node) -> Shape | None:
    """Of the node's tensor; None where it makes none, or several."""
    return node.meta.get("shape")


def tensor(gm: fx.GraphModule, node: Any) -> Tensor | None:
    """The numbers of a constant; None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    found = getattr(gm, str(node.target))
    assert isinstance(found, Tensor)
    return found.detach()


def constant(gm: fx.GraphModule, value: Tensor, name: str, graph: fx.Graph | None = None) -> fx.Node:
    """A new constant, where the graph is being written (`inserting_before`)."""
    graph = graph or gm.graph
    free = name
    while hasattr(gm, free):
        free += "_"
    gm.register_buffer(free, value.detach().clone())
    node = graph.create_node("get_attr", free, name=free)
    node.meta.update(shape=tuple(value.shape), path="")
    return node


def call(graph: fx.Graph, target: Any, *args: Any, like: fx.Node, name: str = "") -> fx.Node:
    """A new node that belongs to the layer of another; its shape is known after `settle`."""
    node = graph.create_node("call_function", target, args, name=name or like.name)
    node.meta.update(path=like.meta.get("path", ""))
    return node


def _writes(node: fx.Node) -> bool:
    name = operator_of(node)
    return name.endswith("_") and name not in FRESH


class _Shapes(fx.Interpreter):
    """Runs a program on tensors without numbers; operators that are as they were at the last run are not run again."""

    def run(self) -> Any:  # type: ignore[override]
        example = next(node for node in self.graph.nodes if node.op == "placeholder")
        return super().run(torch.zeros(example.meta["shape"], dtype=example.meta["dtype"], device="meta"))

    def fetch_attr(self, target: str) -> Any:
        return super().fetch_attr(target).to("meta")

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """What the network itself makes lies on a device that it names, until it meets a tensor without numbers."""
        if any(isinstance(one, Tensor) and one.is_meta for one in tree_leaves((args, kwargs))):
            args, kwargs = tree_map_only(Tensor, lambda one: one.to("meta"), (args, kwargs))
        return super().call_function(target, args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        reads = [_layout(self.env[node]) for node in n.all_input_nodes]
        asked = (n.target, n.args, n.kwargs, reads)
        last, result = n.meta.get(LAST, (None, None))
        if n.op != "call_function" or last != asked:
            with torch.no_grad():
                result = super().run_node(n)
            n.meta[LAST] = asked, result
        n.meta["shape"] = tuple(result.shape) if isinstance(result, Tensor) and n.op != "output" else None
        return result


def _layout(value: Any) -> Any:
    """All that an operator's answer without numbers can depend on."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    return [_layout(part) for part in value] if isinstance(value, list | tuple) else value


def _flat(given: fx.GraphModule) -> fx.GraphModule:
    """The same nodes on a module without children, with one input and one output tensor."""
    root, graph = nn.Module(), fx.Graph()
    new: dict[fx.Node, fx.Node] = {}
    for node in given.graph.nodes:
        if node.op == "call_module":
            continue  # the guard
        if node.op == "output":
            answers = list(node.all_input_nodes)
            if len(answers) != 1:
                raise BadInput("only a network that answers one tensor can be rewritten")
            graph.output(new[answers[0]])
        elif node.op == "get_attr":
            value = _fetch(given, node)
            name = str(node.target).replace(".", "_")
            if not hasattr(root, name):
                root.register_buffer(name, value.detach())
            new[node] = graph.create_node("get_attr", name, name=name)
        elif node.op == "placeholder":
            new[node] = graph.placeholder("image")
            new[node].meta["shape"], new[node].meta["dtype"] = tuple(node.meta["val"].shape), node.meta["val"].dtype
        else:
            path = _path(node)
            name = path.replace(".", "_") or operator_of(node)
            args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: new[n])
            new[node] = graph.create_node(node.op, node.target, args, kwargs, name=name)
            new[node].meta["path"] = path
    gm = fx.GraphModule(root, graph, "Program")
    settle(gm)
    return gm


def _fetch(module: nn.Module, node: fx.Node) -> Tensor:
    found: Any = module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    if not isinstance(found, Tensor):
        where = next((path for user in node.users if (path := _path(user))), "the network")
        raise BadInput(f"{where} has a part under rules of its own (autocast, a branch, a loop); leave that out")
    return found


def _path(node: fx.Node) -> str:
    """Of the innermost layer."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""
