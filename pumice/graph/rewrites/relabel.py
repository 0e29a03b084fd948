"""Shuffles, selections, splits and concatenations of channels are taken out, and the weights around them renumbered.

Every tensor of a program is followed channel by channel: an *atom* is (tensor, label), and what only moves channels
(`movement`) makes a list of atoms and no tensor.  Whoever computes reads such a list.  Where its atoms are all channels
of one tensor, in whatever order, it reads that tensor as it lies: dense convolutions and linear layers have the columns
of their weights permuted, depthwise convolutions, norms and activations hand the order on.  Where they are not, or the
order cannot be had, one *copy* is made: of the slices that are wanted, and no sooner than somebody wants them.  The
orders of all tensors are then chosen so that copies are few long slices (`orders`, `layout`), and the program is
written anew (`written`).

ShuffleNetV2's unit (concatenate, shuffle, split) thereby becomes one copy of the half that the branch reads; the other
half is not touched until a branch wants it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import fx

from pumice.graph.rewrites.layers import groups, is_layer
from pumice.graph.rewrites.movement import parts_of, selection_of, shuffle_of, shuffled, slice_of
from pumice.graph.rewrites.orders import Orders, anywhere, blocks
from pumice.graph.rewrites.program import arguments, operator_of, shape, tensor

Atoms = tuple[tuple[int, int], ...]

UNARY = (
    *(
        "relu",
        "relu6",
        "hardtanh",
        "clamp",
        "hardswish",
        "hardsigmoid",
        "sigmoid",
        "silu",
        "gelu",
        "tanh",
        "elu",
        "neg",
    ),
    *("leaky_relu", "exp", "softplus", "mish", "abs", "sqrt", "rsqrt", "pow", "dropout", "clone", "contiguous"),
    *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "upsample_bilinear2d", "upsample_nearest2d"),
)
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")


@dataclass
class Plan:
    """What `follow` finds.

    atoms: of every node that is a map of channels.
    made: computing node -> its tensor.
    reads: (node, operand) -> tensor and the label of each channel as the node sees it.
    copies: tensor -> the atoms it is a copy of, label by label.
    moved: nodes that are not needed any more.
    """

    orders: Orders = field(default_factory=Orders)
    atoms: dict[fx.Node, Atoms] = field(default_factory=dict)
    made: dict[fx.Node, int] = field(default_factory=dict)
    reads: dict[tuple[fx.Node, fx.Node], tuple[int, list[int]]] = field(default_factory=dict)
    copies: dict[int, Atoms] = field(default_factory=dict)
    shared: dict[frozenset[tuple[int, int]], list[int]] = field(default_factory=dict)
    moved: set[fx.Node] = field(default_factory=set)

    def make(self, node: fx.Node, channels: int, pinned: bool = False) -> int:
        """A node's own tensor."""
        number = self.orders.new(channels, blocks(channels, channels) if pinned else None)
        self.made[node] = number
        self.atoms[node] = tuple((number, label) for label in range(channels))
        return number

    def read(
        self, node: fx.Node, operand: fx.Node, suits: Callable[[int, list[int]], bool], early: bool = False
    ) -> None:
        """Let a node read an operand: as a tensor lies that holds just these channels, else through a copy.

        early: copy what is out of order although the node could work on it as it lies.
        """
        wanted = self.atoms[operand]
        distinct = frozenset(wanted)
        if len(distinct) == len(wanted):
            owner = wanted[0][0]
            if all(t == owner for t, _ in wanted) and len(wanted) == self.orders.channels(owner):
                labels = [label for _, label in wanted]
                in_order = labels == sorted(labels)
                if (in_order or not early) and suits(owner, labels):
                    self.reads[node, operand] = owner, labels
                    return
            for copied in self.shared.get(distinct, []):
                at = {atom: label for label, atom in enumerate(self.copies[copied])}
                labels = [at[atom] for atom in wanted]
                if suits(copied, labels):
                    self.reads[node, operand] = copied, labels
                    return
        number = self.orders.new(len(wanted))
        self.copies[number] = wanted
        if len(distinct) == len(wanted):
            self.shared.setdefault(distinct, []).append(number)
        labels = list(range(len(wanted)))
        fits = suits(number, labels)
        assert fits, f"a fresh copy for {node.name} must fit"
        self.reads[node, operand] = number, labels


def follow(gm: fx.GraphModule) -> Plan:
    """Read a program in order of execution and decide what reads which tensor in which order."""
    plan = Plan()
    plan.moved = {n for node in gm.graph.nodes if (found := shuffle_of(node)) is not None for n in found[2]}
    for node in gm.graph.nodes:
        if node.op == "get_attr" or node in plan.moved:
            continue
        if node.op == "call_function" and _moves(gm, node, plan):
            plan.moved.add(node)
            continue
        if node.op == "call_function" and _computes(gm, node, plan):
            continue
        for operand in dict.fromkeys(node.all_input_nodes):
            if operand in plan.atoms:
                _as_written(plan, node, operand)
        size = shape(node)
        if size is not None and len(size) >= 2:
            plan.make(node, size[1], pinned=True)
    return plan


def _as_written(plan: Plan, node: fx.Node, operand: fx.Node) -> None:
    channels = len(plan.atoms[operand])
    plan.read(node, operand, lambda t, labels: plan.orders.limit(t, _seen(labels, blocks(channels, channels))))


def _seen(labels: list[int], bounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bounds of the channels that a reader sees, by the labels that they have."""
    by_label = list(bounds)
    for i, label in enumerate(labels):
        by_label[label] = bounds[i]
    return by_label


def _moves(gm: fx.GraphModule, node: fx.Node, plan: Plan) -> bool:
    """Follow what moves channels only."""
    atoms, op = plan.atoms, operator_of(node)
    shuffle, selection = shuffle_of(node), selection_of(gm, node)
    if shuffle is not None and shuffle[0] in atoms:
        old = atoms[shuffle[0]]
        atoms[node] = tuple(old[i] for i in shuffled(shuffle[1], len(old)).tolist())
    elif selection is not None and selection[0] in atoms:
        old = atoms[selection[0]]
        atoms[node] = tuple(old[i] for i in selection[1].tolist())
    elif op == "cat" and len(shape(node) or ()) >= 2 and arguments(node)["dim"] == 1:
        parts = arguments(node)["tensors"]
        if not all(part in atoms for part in parts):
            return False
        atoms[node] = tuple(atom for part in parts for atom in atoms[part])
    elif op == "slice" and node.all_input_nodes[0] in atoms and (kept := slice_of(node)) is not None:
        old = atoms[node.all_input_nodes[0]]
        atoms[node] = tuple(old[i] for i in kept)
    elif op in ("split", "split_with_sizes", "chunk") and node.args[0] in atoms:
        return parts_of(node) is not None and all(operator_of(user) == "getitem" for user in node.users)
    elif op == "getitem" and isinstance(node.args[0], fx.Node) and node.args[0].args[0] in atoms:
        cut = node.args[0]
        parts_cut = parts_of(cut)
        if parts_cut is None or not all(operator_of(user) == "getitem" for user in cut.users):
            return False
        start, end = parts_cut[int(node.args[1])]  # type: ignore[arg-type]
        assert isinstance(cut.args[0], fx.Node)
        old = atoms[cut.args[0]]
        atoms[node] = old[start:end]
    else:
        return False
    return True


def _computes(gm: fx.GraphModule, node: fx.Node, plan: Plan) -> bool:
    """Follow what computes and whose weights can be renumbered, or need not be."""
    size, op = shape(node), operator_of(node)
    if size is None or len(size) < 2 or not node.args:
        return False
    orders, x = plan.orders, node.args[0]
    if op in BINARY and len(node.args) == 2:
        return _combines(gm, node, plan)
    if not isinstance(x, fx.Node) or x not in plan.atoms:
        return False
    if is_layer(gm, node) and (op != "linear" or len(size) == 2):
        channels, count = len(plan.atoms[x]), groups(node)
        if count == channels == size[1]:
            return _hands_on(node, x, plan)
        limit = anywhere(channels) if count == 1 else blocks(channels, count)
        plan.read(node, x, lambda t, labels: orders.limit(t, _seen(labels, limit)))
        orders.limit(plan.make(node, size[1]), anywhere(size[1]) if count == 1 else blocks(size[1], count))
        return True
    if op in UNARY and node.all_input_nodes == [x]:
        return _hands_on(node, x, plan)
    if op == "batch_norm" and all(tensor(gm, n) is not None for n in node.all_input_nodes[1:]):
        return _hands_on(node, x, plan)
    if op == "prelu" and tensor(gm, node.args[1]) is not None:
        return _hands_on(node, x, plan)
    if op == "mean" and (dims := arguments(node).get("dim")) and all(d % len(shape(x) or ()) > 1 for d in dims):
        return _hands_on(node, x, plan)
    if op == "slice" and arguments(node)["dim"] % len(size) > 1:
        return _hands_on(node, x, plan)
    if op == "constant_pad_nd" and len(arguments(node)["pad"]) <= 2 * (len(size) - 2):
        return _hands_on(node, x, plan)
    if op in ("view", "reshape", "flatten", "squeeze", "unsqueeze"):
        inner = shape(x) or ()
        small = all(n == 1 for n in (*inner[2:], *size[2:]))
        return small and inner[:2] == size[:2] and _hands_on(node, x, plan)
    return False


def _hands_on(node: fx.Node, x: fx.Node, plan: Plan) -> bool:
    number = plan.make(node, len(plan.atoms[x]))
    plan.read(node, x, lambda t, labels: plan.orders.tie(number, t, labels))
    return True


def _combines(gm: fx.GraphModule, node: fx.Node, plan: Plan) -> bool:
    """Two operands of as many channels, one of which may be constant or broadcast over the channels."""
    size = shape(node) or ()
    own: list[fx.Node] = []
    for operand in dict.fromkeys(node.all_input_nodes):
        if (known := tensor(gm, operand)) is not None:
            if known.dim() not in (len(size), len(size) - 1, 0):
                return False
            continue
        inner = shape(operand) or ()
        if operand not in plan.atoms or len(inner) != len(size):
            return False
        if inner[1] == size[1]:
            own.append(operand)
        elif inner[1] != 1:
            return False
    if not own:
        return False
    number = plan.make(node, size[1])
    for operand in node.all_input_nodes:
        if operand in plan.atoms and operand not in own:
            _as_written(plan, node, operand)
    # The largest first: where the orders cannot be had both, the smaller is copied.
    for operand in sorted(own, key=lambda n: -_elements(n)):
        # What several terms read moved (the shifted maps of Shift-Max) would else be moved once behind each of them.
        early = operand in plan.moved and len(operand.users) > 1
        plan.read(node, operand, lambda t, labels: plan.orders.tie(number, t, labels), early)
    return True


def _elements(node: fx.Node) -> int:
    count = 1
    for n in shape(node) or ():
        count *= n
    return count
