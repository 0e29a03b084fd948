"""Does this machine put a paper's nets in the paper's order of speed?"""

from collections.abc import Mapping
from dataclasses import dataclass

from paper_runs import Record, wrong
from paper_tables import Table

from pumice.cost.rank import spearman

Found = Mapping[tuple[str, str], Record]
"""(net, runtime) -> what was measured."""


@dataclass(frozen=True)
class Pair:
    """A net that both measured: the paper's ms an image, and our record."""

    net: str
    paper_ms: float
    record: Record


@dataclass(frozen=True)
class Agreement:
    """Spearman's rho of our p50 with the paper's time, and with multiply-adds, over so many nets of one runtime."""

    runtime: str
    nets: int
    paper: float
    madds: float


def pairs(table: Table, found: Found) -> dict[str, list[Pair]]:
    """runtime -> the nets that both measured, wrong answers left out."""
    placed: dict[str, list[Pair]] = {}
    for row in table.rows:
        printed = row.printed[table.speed]
        for (net, runtime), record in found.items():
            if net == row.net and printed and not wrong(record):
                ms = 1e3 / float(printed) if table.speed.endswith("_s") else float(printed)
                placed.setdefault(runtime, []).append(Pair(net, ms, record))
    return placed


def agreements(table: Table, found: Found) -> list[Agreement]:
    """Of every runtime with at least three nets."""
    result = []
    for runtime, members in pairs(table, found).items():
        if len(members) >= 3:
            ours = [pair.record["figure_ms"] for pair in members]
            paper = spearman([pair.paper_ms for pair in members], ours)
            madds = spearman([pair.record["madds"] for pair in members], ours)
            result.append(Agreement(runtime, len(members), paper, madds))
    return result
