"""Channel groups: which channels of a network stand or fall together.

    groups = channel_groups(trace(model))

Every channel is followed by itself through the traced operators (`channel_flow`, `channel_rules`).  Layers make
channels, element-wise operators and depthwise convolutions tie them, concatenations and shuffles move them.  What
cannot be followed is frozen with its reason.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd

import torch
from torch import Tensor

from pumice.graph.channel_flow import Flow
from pumice.graph.channel_ids import Ties
from pumice.graph.channel_rules import follow
from pumice.graph.records import Graph, Shape

TIGHT = "its grouped convolutions need every channel"
ROUNDS = 3  # how often further convolutions may lose whole groups
Sign = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Use:
    """Where the channels of a group lie in one parameter or buffer.

    tensor: its qualified name.
    channels: for each index along `dim` the channel of the group that it belongs to, -1 if it is another group's.
        A grouped convolution reads its inputs group by group, so there all of them are listed.
    makes: whether the tensor makes the channels (a convolution's outputs, its bias); False where it reads or follows.
    reads: whether it is a weight that multiplies them and adds up, so that zeros there hide the channels.
    seen: the shape in which `dim` is one of the tensor, () for its own; flattened along its first axes it is its own.
    """

    tensor: str
    dim: int
    channels: tuple[int, ...]
    makes: bool
    reads: bool = False
    seen: Shape = ()


@dataclass(frozen=True)
class Passage:
    """A module with numbers of its own, which adapts itself to what is cut (`cut`).

    channels: of its input, along axis 1.  made: of its first result, empty where they are not along axis 1.
    """

    module: str
    channels: tuple[int, ...]
    made: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Channels that stand or fall together across layers.

    name: qualified name of the first layer that makes them.
    channels: how many can be told apart; each is a set of coupled positions in all uses.
    cells: partition of range(channels); all cells keep equally many, as grouped convolutions ask, at least one each.
        Where cells are of unequal size, each keeps at most as many as the smallest has, or all channels stay.
    frozen: why nothing may be cut, "" if something may.
    """

    name: str
    channels: int
    cells: tuple[tuple[int, ...], ...]
    uses: tuple[Use, ...]
    frozen: str = ""
    passages: tuple[Passage, ...] = ()


def channel_groups(graph: Graph) -> tuple[Group, ...]:
    """The channel groups of a network, in order of execution; frozen ones are among them.

    A grouped convolution keeps its groups, each of them narrower; where that leaves no choice, some convolutions lose
    whole groups instead: those with the smallest groups first.  Modules with a `channel_rule` other than "freeze" are
    taken at their word: `cut` lets them adapt themselves.
    """
    whole: frozenset[str] = frozenset()
    parts = _Parts(follow(graph, whole))
    for _ in range(ROUNDS):
        tight = {parts.tight(apart=apart) - whole for apart in (False, True)} - {frozenset()}
        others = [(whole | more, _Parts(follow(graph, whole | more))) for more in sorted(tight, key=len)]
        best = max(others, key=lambda other: other[1].loose(), default=(whole, parts))
        if best[1].loose() <= parts.loose():
            break
        whole, parts = best
    return parts.groups()


class _Parts:
    """From ids to groups: channels of one layer, or under one constraint, are one group."""

    def __init__(self, flow: Flow) -> None:
        find = flow.ties.find
        self._count = flow.ties.count
        self._touches = [replace(touch, ids=find(touch.ids)) for touch in flow.touches]
        self._passages = {path: (find(ids), find(made)) for path, (ids, made) in flow.passages.items()}
        shares = [(name, find(rows)) for name, rows in flow.shares]
        self._shares = [(name, rows) for name, rows in shares if not _alike(rows)]
        self._reasons = flow.ties.frozen()
        self._signs = self._all_signs()

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        makers: dict[int, str] = {}
        for touch in self._touches:
            if touch.makes:
                for i in touch.ids.tolist():
                    makers.setdefault(i, touch.tensor.rpartition(".")[0])
        together = self._together()
        members: dict[int, list[int]] = {}
        order = torch.tensor(list(makers), dtype=torch.int64)
        for i, root in zip(order.tolist(), together.find(order).tolist(), strict=True):
            members.setdefault(root, []).append(i)
        # For each id its group, and its number there; what nobody makes has none.
        owner, place = torch.full((2, self._count + 1), -1).unbind()
        for number, ids in enumerate(members.values()):
            ids.sort()
            owner[ids], place[ids] = number, torch.arange(len(ids))
        uses: list[dict[Use, None]] = [{} for _ in members]
        for touch in self._touches:
            for number, channels in _split(touch.ids, owner, place):
                use = Use(touch.tensor, touch.dim, tuple(channels.tolist()), touch.makes, touch.reads, touch.seen)
                uses[number][use] = None
        passages: list[list[Passage]] = [[] for _ in members]
        for path, (ids_, made) in self._passages.items():
            ends = torch.cat((ids_, made))
            for number, channels in _split(ends, owner, place):
                given, result = channels[: len(ids_)].tolist(), channels[len(ids_) :].tolist()
                passages[number].append(Passage(path, tuple(given), tuple(result)))
        names: Counter[str] = Counter()
        found = []
        for ids, used, passed in zip(members.values(), uses, passages, strict=True):
            name = makers[ids[0]]
            names[name] += 1
            cells, reason = self._cells(ids)
            name = name if names[name] == 1 else f"{name}#{names[name]}"
            found.append(Group(name, len(ids), cells, tuple(used), reason, tuple(passed)))
        return tuple(found)

    def groups(self) -> tuple[Group, ...]:
        """All groups that some layer makes."""
        return self._groups

    def loose(self) -> float:
        """Outputs of layers that can be cut at most, where each cell keeps one channel."""
        most = 0.0
        for group in self._groups:
            if not group.frozen:
                made = sum(channel >= 0 for use in group.uses if use.makes for channel in use.channels)
                most += made * (1 - 1 / min(map(len, group.cells)))
        return most

    def tight(self, *, apart: bool) -> frozenset[str]:
        """Weights of grouped convolutions that leave no choice, in each group those with the smallest groups.

        apart: all that share no channel with one before, from small groups to large (every other one of IGCV2's).
        """
        found: set[str] = set()
        taken: set[int] = set()
        tight = [{use.tensor for use in group.uses} for group in self._groups if group.frozen == TIGHT]
        for uses in [set().union(*tight)] if apart else tight:
            shares: dict[str, list[Tensor]] = {}
            for name, rows in self._shares:
                if name in uses:
                    shares.setdefault(name, []).append(rows)
            sizes = {name: rows[0].shape[1] for name, rows in shares.items()}
            for name in sorted(sizes, key=sizes.__getitem__):
                ids = {i for rows in shares[name] for i in rows.flatten().tolist()}
                if not ids & taken if apart else sizes[name] == min(sizes.values()):
                    found.add(name)
                    taken |= ids
        return frozenset(found)

    def _together(self) -> Ties:
        """Which ids are of one group: those of one constraint, and those that one layer makes, under constraints or
        not."""
        ties = Ties()
        ties.fresh((self._count,))
        bound = torch.zeros(self._count, dtype=torch.bool)
        bound[list(self._signs)] = True
        for ids in [rows.unique() for _, rows in self._shares] + [t.ids.unique() for t in self._touches if t.makes]:
            for alike in (ids[bound[ids]], ids[~bound[ids]]):
                ties.tie(alike, alike[:1].expand_as(alike), "")
        return ties

    def _all_signs(self) -> dict[int, Sign]:
        """For each id under a constraint: (constraint, part, how often)."""
        signs: dict[int, list[tuple[int, int, int]]] = {}
        for k, rows in enumerate(rows for _, rows in self._shares):
            for part, row in enumerate(rows):
                ids, counts = row.unique(return_counts=True)
                for i, n in zip(ids.tolist(), counts.tolist(), strict=True):
                    signs.setdefault(i, []).append((k, part, n))
        return {i: tuple(sign) for i, sign in signs.items()}

    def _cells(self, ids: list[int]) -> tuple[tuple[tuple[int, ...], ...], str]:
        """The cells of a group, and why it is frozen."""
        by_sign: dict[Sign, list[int]] = {}
        for place, i in enumerate(ids):
            by_sign.setdefault(self._signs.get(i, ()), []).append(place)
        cells, even = _even(by_sign)
        reason = next((self._reasons[i] for i in ids if i in self._reasons), "")
        if not reason and (not even or min(map(len, cells)) == 1):
            reason = "one channel" if len(ids) == 1 else TIGHT
        return tuple(map(tuple, cells)), reason


def _split(ids: Tensor, owner: Tensor, place: Tensor) -> Iterator[tuple[int, Tensor]]:
    """For each group among ids, its number, and for each id the channel, -1 where it is another's."""
    owners = owner[ids]
    for number in owners.unique().tolist():
        if number >= 0:
            yield number, torch.where(owners == number, place[ids], -1)


def _alike(rows: Tensor) -> bool:
    return bool((rows.sort(1).values == rows[:1].sort(1).values).all())


def _even(by_sign: dict[Sign, list[int]]) -> tuple[list[list[int]], bool]:
    """Cells that obey every constraint when all keep equally many; False if there are none but single channels.

    One cell for each set of parts does if every part has as many cells; else cells are cut to equal size.
    """
    cells = list(by_sign.values())
    sums: dict[int, Counter[int]] = {}
    for sign in by_sign:
        for constraint, part, n in sign:
            sums.setdefault(constraint, Counter())[part] += n
    if all(len(set(parts.values())) == 1 for parts in sums.values()):
        return cells, True
    size = gcd(*map(len, cells))
    return [cell[i : i + size] for cell in cells for i in range(0, len(cell), size)], size > 1
