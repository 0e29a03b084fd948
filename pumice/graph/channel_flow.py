"""Follow channels through the operators of a trace, each by its id.

Convolutions and linear layers make ids; element-wise operators and depthwise convolutions tie them; views, slices and
concatenations move them as they move elements (`channel_rules`).  An operator without a rule freezes what it reads, and
what it makes always stays: never wrong, at worst too careful.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pumice.graph.channel_ids import Spread, Ties, nothing, spread
from pumice.graph.records import Graph, Leaf, Node, Ref, Shape

MOST = 1 << 16  # elements of a parameter that is followed element by element


@dataclass(frozen=True)
class Touch:
    """Ids along one dimension of a parameter or buffer, as `channels.Use` has them."""

    tensor: str
    dim: int
    ids: Tensor
    makes: bool = False
    reads: bool = False
    seen: Shape = ()


class Flow:
    """The ids of every value of a graph.

    rules, kinds: by the operator's name, else by its kind.  whole: weights of convolutions that lose whole groups.

    touches: where ids lie in parameters and buffers.  shares: names and ids as (parts, size), of which all parts keep
    equally many.  passages: for modules that adapt themselves, by path, ids at their input and at their result.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Mapping[str, Callable[["Flow", Node], None]],
        kinds: Mapping[str, Callable[["Flow", Node], None]],
        whole: frozenset[str],
    ) -> None:
        self.graph, self.whole = graph, whole
        self.ties = Ties()
        self.touches: list[Touch] = []
        self.shares: list[tuple[str, Tensor]] = []
        self.passages: dict[str, tuple[Tensor, Tensor]] = {}
        self._rules, self._kinds = rules, kinds
        self._spreads: dict[int, Spread] = {}
        self._done: set[int] = set()
        self._made: dict[str, tuple[Tensor, Tensor]] = {}
        self._entered: dict[int, Tensor] = {}
        self._elements: dict[str, Spread] = {}
        self._mixed: dict[str, str] = {}
        last = {node.leaf.call: node.index for node in graph.nodes if node.leaf is not None}
        self._last = set(last.values())
        for node in graph.nodes:
            if any(graph.values[i].from_input for i in node.inputs):
                self._run(node)
        for value in graph.outputs:
            self.ties.freeze(self.of(value).core, "output")
        self._settle_elements()

    # What rules ask.

    def of(self, value: int) -> Spread:
        """The ids of a value."""
        if value not in self._spreads:
            found = self.graph.values[value]
            producer = self.graph.producer(value)
            if producer is not None:
                self._run(producer)
            elif found.kind in ("parameter", "buffer") and 1 <= found.elements <= MOST:
                if found.name not in self._elements:
                    self._elements[found.name] = spread(self.ties.fresh(found.shape))
                self._spreads[value] = self._elements[found.name]
        return self._spreads.setdefault(value, nothing(self.graph.values[value].shape))

    def root(self, given: Spread) -> Spread:
        """The same with one id for all that are tied."""
        return Spread(spread(self.ties.find(given.core)).core, given.shape)

    def given(self, node: Node, *names: str) -> Spread:
        """The operand under the first of these names that there is."""
        return self.root(self.of(next(ref for name in names if (ref := node.ref(name)) is not None)))

    def along(self, given: Spread, axis: int) -> Tensor | None:
        """The ids along an axis, None where they differ along others."""
        return given.along(axis) if len(given.shape) > axis else None

    def shape(self, node: Node) -> Shape:
        """The shape of the first result."""
        return self.graph.values[node.outputs[0]].shape

    def plain_name(self, node: Node, argument: str) -> str:
        """The parameter or buffer given as it is, else ""."""
        ref = node.ref(argument)
        return self.graph.values[ref].name if ref is not None and self.graph.values[ref].producer < 0 else ""

    def passing(self, node: Node) -> bool:
        """Whether the node runs in a module that passes its channels on in an order of its own."""
        return node.leaf is not None and node.leaf.rule == "pass"

    def adapting(self, node: Node) -> bool:
        """Whether the node runs in a module that adapts itself to what is cut."""
        return node.leaf is not None and node.leaf.rule != "freeze"

    def place(self, node: Node) -> str:
        """The operator and its module, for reasons."""
        return f"{node.op.split('.')[1]} in {node.path or 'the model'}"

    # What rules say.

    def give(self, node: Node, *results: Spread) -> None:
        """The ids of a node's results; what is left out always stays."""
        for i, value in enumerate(node.outputs):
            self._spreads[value] = results[i] if i < len(results) else nothing(self.graph.values[value].shape)

    def make(self, name: str, ids: Tensor, count: int) -> Tensor:
        """Ids of the outputs of the layer with that weight, the same ones each time that it runs."""
        if name in self._made:
            self.tie(self._made[name][0], ids, f"{name} is shared")
        else:
            self._made[name] = (ids, self.ties.fresh((count,)))
        return self._made[name][1]

    def made(self, name: str) -> Tensor:
        """Ids of the outputs of the layer with that weight, which ran before."""
        return self._made[name][1]

    def share(self, ids: Tensor, parts: int, name: str) -> None:
        """All parts of these ids keep equally many."""
        if bool((ids >= 0).all()):
            self.shares.append((name, ids.reshape(parts, -1)))
        else:
            self.ties.freeze(ids, f"in groups of {name} with channels that stay")

    def tie(self, one: Tensor, other: Tensor, reason: str) -> None:
        """Tie ids one by one, or freeze them where they do not match."""
        if one.shape == other.shape:
            self.ties.tie(one, other, reason)
        else:
            self.ties.freeze(one, reason)
            self.ties.freeze(other, reason)

    def opaque(self, node: Node, why: str = "") -> None:
        """Freeze whatever the node reads."""
        reason = why or self.place(node)
        for value in node.inputs:
            found = self.graph.values[value]
            if found.name:
                self._mixed.setdefault(found.name, reason)
            else:
                self.ties.freeze(self.of(value).core, reason)
        self.give(node)

    def pointwise(self, node: Node) -> None:
        """Element by element: places are tied; parameters there follow."""
        shape = self.shape(node)
        reason = self.place(node)
        acc: Spread | None = None
        for value in sorted(node.inputs, key=lambda i: not self.graph.values[i].from_input):
            if acc is not None and self._own_buffer(node, value):
                continue
            mine = self._padded(self.of(value), len(shape))
            if acc is None:
                acc = mine
            elif acc.axes and not self.graph.values[value].from_input and self.graph.values[value].kind != "constant":
                self._learned(acc, mine, reason)
            else:
                acc = self._join(acc, mine, reason)
        assert acc is not None
        self.give(node, Spread(self.ties.find(acc.core), shape))

    def _padded(self, given: Spread, rank: int) -> Spread:
        given = self.root(given)
        ones = (1,) * (rank - len(given.shape))
        return Spread(given.core.reshape(ones + tuple(given.core.shape)), ones + given.shape)

    def _own_buffer(self, node: Node, value: int) -> bool:
        """A buffer of a module that adapts itself is its own business."""
        found = self.graph.values[value]
        path = node.leaf.path if node.leaf is not None and self.adapting(node) else None
        return found.kind == "buffer" and found.name.rpartition(".")[0] == path

    def _learned(self, acc: Spread, mine: Spread, reason: str) -> None:
        """What is learned has an element for each place that it multiplies; they go with the channel there."""
        sizes = [mine.shape[axis] for axis in acc.axes]
        if max(sizes) > 1:
            low = [max(a, b) for a, b in zip(mine.core.shape, acc.core.shape, strict=True)]
            self.tie(acc.core.expand(low), mine.core.expand(low), reason)

    def _join(self, acc: Spread, mine: Spread, reason: str) -> Spread:
        """Both together; one that is spread over the other stays whole."""
        shape = torch.broadcast_shapes(acc.shape, mine.shape)
        axes = set(acc.axes) | set(mine.axes)
        if axes and all(min(acc.shape[axis], mine.shape[axis]) > 1 for axis in axes):
            low = torch.broadcast_shapes(acc.core.shape, mine.core.shape)
            self.ties.tie(acc.core.expand(low), mine.core.expand(low), reason)
            return Spread(acc.core.expand(low), shape)
        if not axes:
            if acc.shape == mine.shape:
                self.ties.tie(acc.core, mine.core, reason)
            return Spread(torch.maximum(acc.core, mine.core), shape)
        wide, flat = (acc, mine) if acc.axes else (mine, acc)
        self.ties.freeze(flat.core, reason)
        if flat.axes:
            self.ties.freeze(wide.core, reason)
            return nothing(shape)
        return Spread(wide.core, shape)

    # How the graph is read.

    def _run(self, node: Node) -> None:
        if node.index in self._done:
            return
        self._done.add(node.index)
        name = node.op.split(".")[1].removesuffix("_")
        leaf = node.leaf
        rule = self._rules.get(name, self._kinds.get(node.kind, Flow.opaque))
        # A node with more operands than arguments wrote into memory that others look at.
        if len(node.inputs) > _references(node.arguments) or (leaf is not None and leaf.rule == "freeze"):
            self.opaque(node, f"{leaf.path} freezes" if leaf is not None and leaf.rule == "freeze" else "")
        elif leaf is not None and self.adapting(node):
            if leaf.call not in self._entered and leaf.rule != "made kernel":
                self.enter(node, next(i for i in node.inputs if self.graph.values[i].from_input))
            rule(self, node)
            if node.index in self._last and leaf.call in self._entered:
                self._leave(leaf, self.of(node.outputs[0]))
        else:
            rule(self, node)

    def enter(self, node: Node, value: int) -> None:
        """Note what reaches a module that adapts itself."""
        assert node.leaf is not None
        given, path = self.root(self.of(value)), node.leaf.path
        ids = self.along(given, 1)
        if ids is None:
            self.ties.freeze(given.core, f"reaches {path} in another layout")
            ids = torch.empty(0, dtype=torch.int64)
        self._entered[node.leaf.call] = ids

    def _leave(self, leaf: Leaf, result: Spread) -> None:
        ids, made = self._entered[leaf.call], self.along(self.root(result), 1)
        made = torch.empty(0, dtype=torch.int64) if made is None else made
        before = self.passages.setdefault(leaf.path, (ids, made))
        self.tie(before[0], ids, f"{leaf.path} runs twice")
        self.tie(before[1], made, f"{leaf.path} runs twice")

    def _settle_elements(self) -> None:
        for name, given in self._elements.items():
            roots = self.root(given)
            if len(roots.axes) == 1:
                self.touches.append(Touch(name, roots.axes[0], roots.core.flatten()))
            elif roots.axes:
                self.ties.freeze(roots.core, f"the shape of {name}")
        for touch in self.touches:
            if touch.tensor in self._mixed:
                self.ties.freeze(touch.ids, self._mixed[touch.tensor])


def decoded(argument: Any, tensor: Tensor) -> Any:
    """An argument of a node as torch takes it, with `tensor` for the operand."""
    if isinstance(argument, Ref):
        return tensor
    return [decoded(item, tensor) for item in argument] if isinstance(argument, tuple) else argument


def _references(arguments: Mapping[str, Any]) -> int:
    def count(value: Any) -> int:
        return sum(map(count, value)) if isinstance(value, tuple) else isinstance(value, Ref)

    return sum(map(count, arguments.values()))
