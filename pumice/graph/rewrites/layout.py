"""Where the channels of every tensor lie, chosen so that copies are few long slices."""

from pumice.graph.rewrites.relabel import Plan

Run = tuple[int, int, int]  # tensor, first and end position

MOST_SLICES = 8
"""A copy of more slices than this, and more than two a source, is a selection instead."""


def positions(plan: Plan) -> list[list[int]]:
    """For each tensor and label its position.

    A copy that would be too many slices all the same has no say: what it reads then lies more nearly as written, where
    the copy is a shuffle as before.
    """
    heard = set(plan.copies)
    while True:
        found = _positions(plan, heard)
        useless = {copied for copied in heard if not sliced(runs(plan, found, copied))}
        if not useless:
            return found
        heard -= useless


def sliced(pieces: list[Run]) -> bool:
    """Whether a copy is made of slices."""
    return len(pieces) <= max(MOST_SLICES, 2 * len({tensor for tensor, _, _ in pieces}))


def _positions(plan: Plan, heard: set[int]) -> list[list[int]]:
    """Within the blocks that limit it, a channel is placed by the copies that want it, first wanted first, and by where
    they want it; a copy follows its sources."""
    orders = plan.orders
    wanted: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for copied in heard:
        for label, atom in enumerate(plan.copies[copied]):
            wanted.setdefault(atom, []).append((copied, label))
    found: list[list[int]] = [[] for _ in orders.place]
    done: set[int] = set()
    for own in sorted(orders.members, key=lambda c: min(orders.members[c])):
        bounds = orders.bounds[own]
        uses: list[list[tuple[int, int]]] = [[] for _ in bounds]
        sources: list[tuple[int, int]] = [(-1, 0)] * len(bounds)
        for tensor in orders.members[own]:
            for label, at in enumerate(orders.place[tensor]):
                uses[at] += [
                    (copied, found[copied][i] if copied in done else orders.bound(copied, i)[0])
                    for copied, i in wanted.get((tensor, label), [])
                ]
                if tensor in plan.copies:
                    source, number = plan.copies[tensor][label]
                    sources[at] = source, found[source][number] if source in done else number
        keys = [(bounds[at][0], sorted(uses[at]), sources[at], at) for at in range(len(bounds))]
        place = [0] * len(bounds)
        for position, at in enumerate(sorted(range(len(bounds)), key=keys.__getitem__)):
            place[at] = position
        for tensor in orders.members[own]:
            found[tensor] = [place[at] for at in orders.place[tensor]]
            done.add(tensor)
    return found


def channel_order(place: list[int]) -> list[int]:
    """For each position its label."""
    order = [0] * len(place)
    for label, position in enumerate(place):
        order[position] = label
    return order


def runs(plan: Plan, found: list[list[int]], copied: int) -> list[Run]:
    """The slices that a copy consists of, in its order."""
    pieces: list[Run] = []
    atoms = plan.copies[copied]
    for label in channel_order(found[copied]):
        tensor, number = atoms[label]
        at = found[tensor][number]
        if pieces and pieces[-1][0] == tensor and pieces[-1][2] == at:
            pieces[-1] = (tensor, pieces[-1][1], at + 1)
        else:
            pieces.append((tensor, at, at + 1))
    return pieces
