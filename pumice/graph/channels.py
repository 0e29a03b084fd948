"""Channel groups: which channels of a network stand or fall together.

    groups = channel_groups(trace(model))

Every channel is followed by itself through the traced operators (`channel_flow`, `channel_rules`).  Layers make channels, element-wise
operators and depthwise convolutions tie them, concatenations and shuffles move them.  What cannot be followed is frozen
with its reason.
"""

from collections import Counter
from dataclasses import dataclass, replace
from math import gcd

import torch
from torch import Tensor

from pumice.graph.channel_flow import Flow
from pumice.graph.channel_ids import Ties
from pumice.graph.channel_rules import follow
from pumice.graph.records import Graph


@dataclass(frozen=True)
class Use:
    """Where the channels of a group lie in one parameter or buffer.

    tensor: its qualified name.
    channels: for each index along `dim` the channel of the group that it belongs to, -1 if it is another group's.
        A grouped convolution reads its inputs group by group, so there all of them are listed.
    makes: whether the tensor makes the channels (a convolution's outputs, its bias); False where it reads or follows.
    reads: whether it is a weight that multiplies them and adds up, so that zeros there hide the channels.
    """

    tensor: str
    dim: int
    channels: tuple[int, ...]
    makes: bool
    reads: bool = False


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

    Modules that declare `channel_rule = "pass"` are taken at their word: `cut` lets them adapt themselves.
    """
    flow = follow(graph)
    parts = _Parts(flow)
    return parts.groups()


class _Parts:
    """From ids to groups: channels of one layer, or under one constraint, are one group."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        find = flow.ties.find
        self.touches = [replace(touch, ids=find(touch.ids)) for touch in flow.touches]
        self.passages = {path: (find(ids), find(made)) for path, (ids, made) in flow.passages.items()}
        self.shares = [rows for rows in map(find, flow.shares) if not _alike(rows)]
        self.reasons = flow.ties.frozen()

    def groups(self) -> tuple[Group, ...]:
        """All groups that some layer makes."""
        signs = self._signs()
        together = Ties()
        together.fresh((self.flow.ties.count,))
        for rows in self.shares:
            ids = rows.unique()
            together.tie(ids, ids[:1].expand_as(ids), "")
        makers: dict[int, str] = {}
        for touch in self.touches:
            if touch.makes:
                ids = touch.ids.unique()
                for constrained in (True, False):
                    alike = torch.tensor([i for i in ids.tolist() if (i in signs) == constrained], dtype=torch.int64)
                    together.tie(alike, alike[:1].expand_as(alike), "")
                for i in ids.tolist():
                    makers.setdefault(i, touch.tensor.rpartition(".")[0])
        members: dict[int, list[int]] = {}
        order = dict.fromkeys(i for t in self.touches if t.makes for i in t.ids.tolist())
        for i, root in zip(order, together.find(torch.tensor(list(order), dtype=torch.int64)).tolist(), strict=True):
            members.setdefault(root, []).append(i)
        names: Counter[str] = Counter()
        found = []
        for ids_ in members.values():
            name = makers[ids_[0]]
            names[name] += 1
            found.append(self._group(name if names[name] == 1 else f"{name}#{names[name]}", sorted(ids_), signs))
        return tuple(found)

    def _signs(self) -> dict[int, tuple[tuple[int, int, int], ...]]:
        """For each id under a constraint: (constraint, part, how often)."""
        signs: dict[int, list[tuple[int, int, int]]] = {}
        for k, rows in enumerate(self.shares):
            for part, row in enumerate(rows):
                ids, counts = row.unique(return_counts=True)
                for i, n in zip(ids.tolist(), counts.tolist(), strict=True):
                    signs.setdefault(i, []).append((k, part, n))
        return {i: tuple(sign) for i, sign in signs.items()}

    def _group(self, name: str, ids: list[int], signs: dict[int, tuple[tuple[int, int, int], ...]]) -> Group:
        place = {i: n for n, i in enumerate(ids)}
        by_sign: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
        for i in ids:
            by_sign.setdefault(signs.get(i, ()), []).append(place[i])
        cells, even = _even(by_sign)
        reason = next((self.reasons[i] for i in ids if i in self.reasons), "")
        if not reason and not even:
            reason = "its grouped convolutions leave no even choice"
        if not reason and min(map(len, cells)) == 1:
            reason = "one channel" if len(ids) == 1 else "its grouped convolutions need every channel"
        uses: dict[Use, None] = {}
        for touch in self.touches:
            channels = tuple(place.get(i, -1) for i in touch.ids.tolist())
            if max(channels, default=-1) >= 0:
                uses[Use(touch.tensor, touch.dim, channels, touch.makes, touch.reads)] = None
        passages = []
        for path, ends in self.passages.items():
            channels, made = (tuple(place.get(i, -1) for i in end.tolist()) for end in ends)
            if max((*channels, *made), default=-1) >= 0:
                passages.append(Passage(path, channels, made))
        return Group(name, len(ids), tuple(map(tuple, cells)), tuple(uses), reason, tuple(passages))


def _alike(rows: Tensor) -> bool:
    return bool((rows.sort(1).values == rows[:1].sort(1).values).all())


def _even(by_sign: dict[tuple[tuple[int, int, int], ...], list[int]]) -> tuple[list[list[int]], bool]:
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
