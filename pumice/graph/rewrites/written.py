"""A program written anew from a plan: weights in their new order, copies where they are wanted."""

import math
import operator

import torch
from torch import Tensor, fx

from pumice.graph.rewrites.layers import groups, is_layer
from pumice.graph.rewrites.layout import Run, channel_order, positions, runs, sliced
from pumice.graph.rewrites.movement import shuffled
from pumice.graph.rewrites.program import arguments, call, constant, operator_of, settle, tensor
from pumice.graph.rewrites.relabel import BINARY, Plan, follow

aten = torch.ops.aten


def relabel(gm: fx.GraphModule) -> None:
    """Move channel permutations into weights, and gather what must be copied into few slices."""
    _Writer(gm, follow(gm)).write()
    settle(gm)


def relabel_to_slices(gm: fx.GraphModule) -> None:
    """`relabel` where it leaves nothing but slices and concatenations; else the program stays as it is."""
    writer = _Writer(gm, follow(gm))
    if all(map(sliced, writer.pieces.values())):
        writer.write()
        settle(gm)


class _Writer:
    def __init__(self, gm: fx.GraphModule, plan: Plan) -> None:
        self.gm, self.plan = gm, plan
        self.place = positions(plan)
        self.graph = fx.Graph()
        self.there: dict[int, fx.Node] = {}
        self.new: dict[fx.Node, fx.Node] = {}
        self.pieces = {copied: runs(plan, self.place, copied) for copied in plan.copies}
        self.cuts = self._cuts()
        self.parts: dict[int, list[fx.Node]] = {}

    def write(self) -> None:
        for node in self.gm.graph.nodes:
            if node in self.plan.moved:
                continue
            feeds = {operand: self._feed(node, operand) for operand in dict.fromkeys(node.all_input_nodes)}
            new = self.graph.node_copy(node, lambda n: feeds[n])  # noqa: B023
            self.new[node] = new
            if node in self.plan.made:
                self.there[self.plan.made[node]] = new
                self._renumber(node, new)
        self.gm.graph = self.graph

    def _feed(self, node: fx.Node, operand: fx.Node) -> fx.Node:
        read = self.plan.reads.get((node, operand))
        return self.new[operand] if read is None else self._tensor(read[0], node)

    def _tensor(self, number: int, reader: fx.Node) -> fx.Node:
        if number not in self.there:
            self.there[number] = self._copy(number, reader)
        return self.there[number]

    def _copy(self, number: int, reader: fx.Node) -> fx.Node:
        pieces = self.pieces[number]
        sources = list(dict.fromkeys(t for t, _, _ in pieces))
        nodes = {t: self._tensor(t, reader) for t in sources}
        if sliced(pieces):
            parts = [self._slice(nodes[t], (t, start, end), reader) for t, start, end in pieces]
            return parts[0] if len(parts) == 1 else self._call(aten.cat.default, parts, 1, like=reader, name="concat")
        if len(sources) > 1:
            whole = self._call(aten.cat.default, list(nodes.values()), 1, like=reader, name="concat")
        else:
            whole = nodes[sources[0]]
        starts, total = {}, 0
        for t in sources:
            starts[t] = total
            total += self.plan.orders.channels(t)
        index = torch.tensor([starts[t] + i for t, start, end in pieces for i in range(start, end)])
        return self._selection(whole, index, total, reader)

    def _selection(self, whole: fx.Node, index: Tensor, channels: int, reader: fx.Node) -> fx.Node:
        """As a shuffle, of single channels or of blocks of them, where it is one: runtimes have code for that."""
        size = tuple(whole.meta.get("shape") or ())
        each = _block(index)
        number = channels // each
        for count in range(2, number) if len(index) == channels and size else ():
            if number % count == 0 and torch.equal(index[::each] // each, shuffled(count, number)):
                tail = [each * size[2], *size[3:]] if len(size) > 2 else [each]
                apart = [size[0], count, number // count, *(tail if each > 1 else size[2:])]
                x = self._call(aten.reshape.default, whole, apart, like=reader, name="shuffle_apart")
                x = self._call(aten.transpose.int, x, 1, 2, like=reader, name="shuffle_across")
                return self._call(aten.reshape.default, x, list(size), like=reader, name="shuffle")
        order = constant(self.gm, index, f"{reader.name}_order", self.graph)
        return self._call(aten.index_select.default, whole, 1, order, like=reader, name="select")

    def _slice(self, node: fx.Node, piece: Run, reader: fx.Node) -> fx.Node:
        t, start, end = piece
        if (start, end) == (0, self.plan.orders.channels(t)):
            return node
        if t not in self.cuts:
            return self._call(aten.slice.Tensor, node, 1, start, end, like=reader, name="slice")
        if t not in self.parts:
            sizes = [b - a for a, b in self.cuts[t]]
            split = self._call(aten.split_with_sizes.default, node, sizes, 1, like=reader, name="split")
            self.parts[t] = [
                self.graph.create_node("call_function", operator.getitem, (split, i), name="part")
                for i in range(len(sizes))
            ]
            for part in self.parts[t]:
                part.meta["path"] = reader.meta.get("path", "")
        return self.parts[t][self.cuts[t].index((start, end))]

    def _cuts(self) -> dict[int, list[tuple[int, int]]]:
        """Tensors that are wanted in two or more parts which leave nothing over and do not overlap: one split."""
        wanted: dict[int, set[tuple[int, int]]] = {}
        for pieces in self.pieces.values():
            for t, start, end in pieces if sliced(pieces) else ():
                wanted.setdefault(t, set()).add((start, end))
        found = {}
        for t, parts in wanted.items():
            inner = sorted(parts)
            ends = [0, *(end for _, end in inner)]
            if len(inner) > 1 and [a for a, _ in inner] == ends[:-1] and ends[-1] == self.plan.orders.channels(t):
                found[t] = inner
        return found

    def _call(self, target: object, *args: object, like: fx.Node, name: str) -> fx.Node:
        return call(self.graph, target, *args, like=like, name=f"{like.name}_{name}")

    def _renumber(self, node: fx.Node, new: fx.Node) -> None:
        """Give a node its constants in the order of its channels."""
        made = self.plan.made[node]
        order = channel_order(self.place[made])
        op = operator_of(node)
        given = arguments(node)
        changed: dict[fx.Node, Tensor] = {}
        if is_layer(self.gm, node):
            weight = tensor(self.gm, given["weight"])
            assert weight is not None
            changed[given["weight"]] = self._weight(node, weight)[order]
            if given["bias"] is not None:
                changed[given["bias"]] = _known(self.gm, given["bias"])[order]
        elif op in ("batch_norm", "prelu"):
            for n in node.all_input_nodes[1:]:
                if len(old := _known(self.gm, n)) > 1:
                    changed[n] = old[order]
        elif op in BINARY:
            rank = len(node.meta["shape"])
            for n in node.all_input_nodes:
                old_value = tensor(self.gm, n)
                if old_value is not None and (dim := old_value.dim() - rank + 1) >= 0 and old_value.shape[dim] > 1:
                    changed[n] = old_value.index_select(dim, torch.tensor(order))
        if order == list(range(len(order))) and op not in ("conv1d", "conv2d", "conv3d", "linear"):
            return
        for old_node, value in changed.items():
            if torch.equal(value, _known(self.gm, old_node)):
                continue
            with self.graph.inserting_before(new):
                replacement = constant(self.gm, value, f"{old_node.name}_renumbered", self.graph)
            new.replace_input_with(self.new[old_node], replacement)

    def _weight(self, node: fx.Node, weight: Tensor) -> Tensor:
        """Columns in the order in which the input lies; rows as they were."""
        x = node.args[0]
        assert isinstance(x, fx.Node)
        number, labels = self.plan.reads[node, x]
        if weight.shape[1] == 1:
            return weight
        seen = torch.empty(len(labels), dtype=torch.long)
        for i, label in enumerate(labels):
            seen[self.place[number][label]] = i
        count, each = groups(node), weight.shape[1]
        local = seen.view(count, each) - each * torch.arange(count)[:, None]
        rows = local.repeat_interleave(len(weight) // count, 0)
        return weight.gather(1, rows.view(*rows.shape, *[1] * (weight.dim() - 2)).expand_as(weight))


def _known(gm: fx.GraphModule, node: fx.Node) -> Tensor:
    value = tensor(gm, node)
    assert value is not None
    return value


def _block(index: Tensor) -> int:
    """The largest number of channels that stay together, in order and aligned, all over a selection."""
    breaks = [0, *((index[1:] != index[:-1] + 1).nonzero().flatten() + 1).tolist(), len(index)]
    return math.gcd(*breaks, *index[breaks[:-1]].tolist())
