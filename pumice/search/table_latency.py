"""Latency of the networks of a space by a lookup table: the sum over the blocks of each row, which is looked at once.

What runtimes fuse lies inside a row.  Of what stands around it a block knows no more than which sorts of work feed it
and read it, so a row's time is that of its blocks between the row before and the row behind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import nn

from pumice.cost.lut.ask import blocks_of
from pumice.cost.lut.blocks import Block
from pumice.cost.lut.features import sort_of
from pumice.cost.lut.table import Lut
from pumice.errors import BadInput
from pumice.graph.records import Graph
from pumice.models.convnet import ConvNet
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost
from pumice.search.pieces import Pieces, one_by_one

INPUT, OUTPUT = "input", "output"
FUSING = ("conv", "depthwise", "matmul", "pointwise")


@dataclass(frozen=True, eq=False)
class Stretch:
    """The blocks of a row by itself.

    opens: sorts of the blocks that read its input.  closes: of the block that makes its output.
    alone: whether a single operator reads its input, into which the row before might be fused.
    A row that is the identity has no blocks.
    """

    blocks: tuple[Block, ...]
    opens: frozenset[str] = frozenset()
    closes: str = ""
    alone: bool = False

    def merges(self, before: str) -> bool:
        """Whether its first block and the last one of the row before would be one block."""
        return self.alone and (
            (before in FUSING and self.opens == {"pointwise"}) or (before == "layout" and self.opens == {"layout"})
        )

    def between(self, before: str, behind: frozenset[str]) -> Iterator[Block]:
        """The blocks as they are in a network, behind a block of the sort `before` and before such of `behind`."""
        for block in self.blocks:
            fed = {before if name == INPUT else name for name in block.fed_by}
            feeds = {sort for name in block.feeds for sort in (behind if name == OUTPUT else (name,))}
            yield replace(block, fed_by=tuple(sorted(fed)), feeds=tuple(sorted(feeds)))


def stretch_of(module: nn.Module, graph: Graph) -> Stretch:
    """A row's blocks, its norms folded."""
    if graph.outputs == graph.inputs:
        return Stretch(())
    channels, height, width = graph.input_size
    blocks = blocks_of(module, (channels, height, width))
    opens = frozenset(_neighbour(block) for block in blocks if INPUT in block.fed_by)
    (last,) = (block for block in blocks if OUTPUT in block.feeds)
    return Stretch(blocks, opens, _neighbour(last), len(graph.consumers(graph.inputs[0])) == 1)


def _neighbour(block: Block) -> str:
    """What a block is to those beside it."""
    if block.kind in ("linear", "matmul"):
        return "matmul"
    if block.kind in ("pool", "reduce", "resize"):
        return "pool"
    return "conv" if block.kind == "grouped" else block.kind


class TableLatency(Cost):
    """ms of one image, as `pumice lut predict` says but for one thing: a block that the table infers is taken to stand
    in one and the same network, that of the middle options, so that a choice always has one figure.

    lut: of the device that the network is for.
    runtime, threads, machine_key: what the table must be of, where the user said so.

    Raises:
        BadInput: the table is of another runtime, number of threads or device, or knows nothing of an operator.
    """

    unit = "ms"

    def __init__(
        self,
        space: Space,
        lut: Lut,
        num_classes: int | None = None,
        *,
        runtime: str | None = None,
        threads: int | None = None,
        machine_key: str | None = None,
    ) -> None:
        for wanted, found, what in (
            (runtime, lut.runtime, "the runtime"),
            (threads, lut.threads, "the number of threads"),
            (machine_key, lut.machine_key, "the device"),
        ):
            if wanted not in (None, found):
                raise BadInput(
                    f"the table is of {lut.machine}, {lut.runtime}, {lut.threads} thread(s): {what} is {found}, not "
                    f"{wanted}; build one with `pumice lut build`"
                )
        self.space, self.lut = space, replace(lut, _inferred={})
        self.num_classes = space.num_classes if num_classes is None else num_classes
        self._pieces = Pieces(space, self.num_classes, stretch_of)
        self._times: dict[tuple[Stretch, str, frozenset[str]], float] = {}
        middle = tuple(len(position.options) // 2 for position in space.positions)
        self._resident = self._whole(middle)[0].resident
        self.of(middle)

    def of(self, choice: Choice) -> float:
        """scale * (sum of the blocks) + what a pass takes."""
        return self.lut.scale * self._sum(self._stretches(choice), choice) + self.lut.pass_ms

    def blocks(self, choice: Choice) -> list[Block]:
        """The blocks of a network, put together from its rows."""
        stretches = [s for s in self._stretches(choice) if s.blocks]
        if _merging(stretches):
            return list(self._whole(choice))
        return [block for s, before, behind in _neighbours(stretches) for block in s.between(before, behind)]

    @cached_property
    def least(self) -> float | None:  # worked out once
        """The least of all choices, exact, where every position chooses one row; None elsewhere."""
        stages = self._stages
        if stages is None:
            return None
        kinds = {s.closes for stage in stages for s in stage}
        if any(s.merges(kind) for stage in stages for s in stage for kind in kinds):
            return None
        # (a row whose successor is not known yet, the sort of block before it) -> ms of everything before that row
        paths: dict[tuple[Stretch | None, str], float] = {(None, INPUT): 0.0}
        for stage in stages:
            further: dict[tuple[Stretch | None, str], float] = {}
            for (waiting, before), ms in paths.items():
                for stretch in stage:
                    state, total = (waiting, before), ms
                    if stretch.blocks:
                        total += 0.0 if waiting is None else self._time(waiting, before, stretch.opens)
                        state = (stretch, INPUT if waiting is None else waiting.closes)
                    further[state] = min(total, further.get(state, total))
            paths = further
        ends = (
            ms + (0.0 if waiting is None else self._time(waiting, before, frozenset({OUTPUT})))
            for (waiting, before), ms in paths.items()
        )
        return self.lut.scale * min(ends) + self.lut.pass_ms

    @cached_property
    def _stages(self) -> tuple[tuple[Stretch, ...], ...] | None:
        """What may stand at each place of a network, by position's option or alone; None of spaces not row by row."""
        rows = one_by_one(self.space)
        if rows is None:
            return None
        first = (0,) * len(self.space.positions)
        stages: list[tuple[Stretch, ...]] = [(stretch,) for stretch in self._pieces.of(first)]
        for place, candidates in zip(rows.places, rows.rows, strict=True):
            if place is not None:
                stages[place] = tuple(self._pieces.at(place, row, first) for row in candidates)
        self._positions = {place: i for i, place in enumerate(rows.places) if place is not None}
        return tuple(stages)

    def _stretches(self, choice: Choice) -> list[Stretch]:
        if self._stages is None:
            return self._pieces.of(choice)
        at = self._positions
        return [stage[choice[at[place]]] if place in at else stage[0] for place, stage in enumerate(self._stages)]

    def _sum(self, stretches: Sequence[Stretch], choice: Choice) -> float:
        working = [s for s in stretches if s.blocks]
        if _merging(working):
            return sum(self._block(block) for block in self._whole(choice))
        return sum(self._time(*one) for one in _neighbours(working))

    def _time(self, stretch: Stretch, before: str, behind: frozenset[str]) -> float:
        key = (stretch, before, behind)
        if key not in self._times:
            self._times[key] = sum(self._block(block) for block in stretch.between(before, behind))
        return self._times[key]

    def _block(self, block: Block) -> float:
        known = self.lut.entries.get(block.key)
        if known is not None:
            return known
        if sort_of(block) not in self.lut.regressions:
            raise BadInput(
                f"the table of {self.lut.machine} knows nothing of {sort_of(block)}, which networks of "
                f"{self.space.name} have; measure some with `pumice lut predict FILE.json --lut TABLE --extend`, or "
                "build a table with such networks"
            )
        # One by one: what is inferred together may differ in the last digit by what else is asked.
        return self.lut.predict([replace(block, resident=self._resident)]).sum_ms

    def _whole(self, choice: Choice) -> tuple[Block, ...]:
        with torch.random.fork_rng(devices=[]):
            net = ConvNet(self.space.spec(choice), num_classes=self.num_classes).eval()
        return blocks_of(net, (3, *self.space.image_of(choice)))


def _merging(working: Sequence[Stretch]) -> bool:
    return any(s.merges(before.closes) for before, s in pairwise(working))


def _neighbours(working: Sequence[Stretch]) -> Iterator[tuple[Stretch, str, frozenset[str]]]:
    """Rows that do something, with what stands before and behind them."""
    end = frozenset({OUTPUT})
    for i, s in enumerate(working):
        yield (
            s,
            working[i - 1].closes if i else INPUT,
            working[i + 1].opens if i + 1 < len(working) else end,
        )
