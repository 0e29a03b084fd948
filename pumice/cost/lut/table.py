"""The lookup table itself: times of blocks by key, what tells the time of other blocks, and a correction for the whole.

A table is one JSON file: it can be built on one device and asked on another, without torch.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pumice.cost.lut.blocks import Block
from pumice.cost.lut.features import features, sort_of
from pumice.cost.lut.regression import Regression, fit
from pumice.errors import BadInput
from pumice.files import read_json, write_text

FORMAT = 2
KEPT_APART = 5
"""Every so many-th network stays out of the table: on these the correction of whole networks is learned."""
UNKNOWN_MS = 0.005  # a block of a sort that no network of the table has; its deviation says that this is a guess
UNKNOWN_SPREAD = 1.0
TRIED = 21  # overheads of a pass, or of an operator, of which the best is kept
MOST_AROUND_MS = 0.01  # of an operator
SURE = 1.96  # standard deviations that enclose 95 %


@dataclass(frozen=True)
class Sample:
    """One measured network.

    block_ms: of each block, by the runtime's profiler.
    runs: operators that the runtime ran for each block; what it fused or left out is none.
    total_ms: of a whole pass.
    """

    name: str
    blocks: tuple[Block, ...]
    block_ms: tuple[float, ...]
    runs: tuple[int, ...]
    total_ms: float

    def charged(self, run_ms: float) -> list[float]:
        """The whole pass shared out among the blocks, as their own time and `run_ms` for each operator demand."""
        wanted = [ms + run_ms * runs for ms, runs in zip(self.block_ms, self.runs, strict=True)]
        return [self.total_ms * ms / sum(wanted) for ms in wanted]

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {**self.__dict__, "blocks": [asdict(block) for block in self.blocks]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Sample":
        """Inverse of `to_json`."""
        found = tuple(Block(**{name: _tuples(part) for name, part in block.items()}) for block in value["blocks"])
        return cls(value["name"], found, tuple(value["block_ms"]), tuple(value["runs"]), value["total_ms"])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class Prediction:
    """Latency of one pass, ms, and the interval that encloses 95 % of such networks.

    sum_ms: of the blocks, before the correction.  known: share of it that was looked up; the rest was inferred.
    blocks: how many.  unknown: sorts of blocks of which the table knows nothing.
    """

    ms: float
    low_ms: float
    high_ms: float
    sum_ms: float
    known: float
    blocks: int
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "unknown": list(self.unknown)}


@dataclass(frozen=True)
class Origin:
    """Where and with what a table was measured.

    machine: one line, ending in the machine's key.  runtime_version: None where the device did not say.
    built_at: ISO time.  pumice: version.
    """

    machine: str
    machine_key: str
    runtime: str
    runtime_version: str | None
    threads: int
    built_at: str
    pumice: str | None


@dataclass(frozen=True)
class Lut(Origin):
    """A table of one machine, runtime and number of threads.

    entries: key of a block -> ms, of one pass in a network.
    regressions: sort of a block -> how its time follows from its features.
    scale, pass_ms: a network takes scale * (sum of its blocks) + pass_ms.
    spread: standard deviation of log(measured / predicted) on networks that are not in the table.
    run_ms: what the runtime spends around each operator that it runs; see `around_operators`.
    """

    entries: dict[str, float]
    regressions: dict[str, Regression]
    scale: float = 1.0
    pass_ms: float = 0.0
    spread: float = 0.0
    networks: int = 0
    run_ms: float = 0.0
    _inferred: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def ms(self, key: str) -> float | None:
        """ms of a block by its key: looked up, or inferred for an earlier prediction; None where neither was."""
        found = self.entries.get(key)
        return found if found is not None else self._inferred.get(key, (None, 0.0))[0]

    def _block(self, key: str) -> tuple[float, float, bool]:
        """ms, the standard deviation of its logarithm, and whether it was looked up."""
        if key in self.entries:
            return self.entries[key], 0.0, True
        return *self._inferred[key], False

    def predict(self, blocks: Sequence[Block]) -> Prediction:
        """Latency of the network that these blocks are.

        Blocks without an entry are inferred together, once, and remembered.

        Raises:
            BadInput: there are no blocks.
        """
        return self.predict_all([blocks])[0]

    def predict_all(self, networks: Sequence[Sequence[Block]]) -> list[Prediction]:
        """`predict` of many networks, whose blocks without an entry are inferred all together: hundreds take as long.

        Raises:
            BadInput: one of them has no blocks.
        """
        keyed = [[(block.key, block) for block in blocks] for blocks in networks]
        missing = {key: block for blocks in keyed for key, block in blocks if self.ms(key) is None}
        self._infer(missing.values())
        return [self._sum(blocks) for blocks in keyed]

    def _sum(self, keyed: Sequence[tuple[str, Block]]) -> Prediction:
        if not keyed:
            raise BadInput("a network without work has no latency to predict; give one with layers")
        blocks, keys = [block for _, block in keyed], [key for key, _ in keyed]
        found = [self._block(key) for key in keys]
        total = sum(ms for ms, _, _ in found)
        own = sum((ms * spread) ** 2 for ms, spread, _ in found)
        ms = self.scale * total + self.pass_ms
        spread = math.sqrt(self.spread**2 + own / total**2) if total else self.spread
        return Prediction(
            ms=ms,
            low_ms=ms * math.exp(-SURE * spread),
            high_ms=ms * math.exp(SURE * spread),
            sum_ms=total,
            known=sum(ms for ms, _, known in found if known) / total if total else 0.0,
            blocks=len(blocks),
            unknown=tuple(sorted({sort_of(b) for b in blocks} - self.regressions.keys())),
        )

    def _infer(self, blocks: Iterable[Block]) -> None:
        by_sort: defaultdict[str, list[Block]] = defaultdict(list)
        for block in blocks:
            by_sort[sort_of(block)].append(block)
        for sort, members in by_sort.items():
            regression = self.regressions.get(sort)
            if regression is None:
                self._inferred.update({b.key: (UNKNOWN_MS, UNKNOWN_SPREAD) for b in members})
                continue
            ms, spread = regression.predict(np.array([features(b) for b in members]))
            self._inferred.update({b.key: (float(m), float(s)) for b, m, s in zip(members, ms, spread, strict=True)})

    def save(self, path: str | Path) -> None:
        """Write the table as JSON."""
        kept = {name: value for name, value in self.__dict__.items() if name != "_inferred"}
        kept["regressions"] = {sort: regression.to_json() for sort, regression in self.regressions.items()}
        write_text(path, json.dumps({"pumice_lut": FORMAT, **kept}, ensure_ascii=False, separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Lut":
        """Read a table.

        Raises:
            BadInput: there is none, it is damaged, or a newer Pumice wrote it.
        """
        value = read_json(path)
        if not isinstance(value, dict) or "pumice_lut" not in value:
            raise BadInput(f"{path} is no lookup table; make one with `pumice lut build`")
        if value.pop("pumice_lut") != FORMAT:
            raise BadInput(f"{path} was made by another version of Pumice; make it again with `pumice lut build`")
        try:
            found = {sort: Regression.from_json(part) for sort, part in value.pop("regressions").items()}
            return cls(**value, regressions=found)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} is damaged ({error}); make it again with `pumice lut build`") from error


def make_table(samples: Sequence[Sample], origin: Origin, *, seed: int = 0) -> Lut:
    """Fill a table from measured networks.

    Every `KEPT_APART`-th network gives no entries; on these the correction is learned and the spread is found.

    Raises:
        BadInput: there are too few networks.
    """
    if len(samples) < 2 * KEPT_APART:
        raise BadInput(
            f"a lookup table needs at least {2 * KEPT_APART} networks, not {len(samples)}; give it more time"
        )
    apart = [sample for i, sample in enumerate(samples) if i % KEPT_APART == KEPT_APART - 1]
    filling = [sample for i, sample in enumerate(samples) if i % KEPT_APART != KEPT_APART - 1]
    run_ms = around_operators(samples)
    times: defaultdict[str, list[float]] = defaultdict(list)
    shapes: dict[str, Block] = {}
    for sample in filling:
        for block, ms in zip(sample.blocks, sample.charged(run_ms), strict=True):
            times[block.key].append(ms)
            shapes[block.key] = block
    entries = {key: round(median(values), 6) for key, values in times.items()}
    sorts: defaultdict[str, list[str]] = defaultdict(list)
    for key, block in shapes.items():
        sorts[sort_of(block)].append(key)
    regressions = {
        sort: fit(np.array([features(shapes[k]) for k in keys]), np.array([entries[k] for k in keys]), seed)
        for sort, keys in sorted(sorts.items())
    }
    raw = Lut(**origin.__dict__, entries=entries, regressions=regressions, networks=len(samples), run_ms=run_ms)
    return corrected(raw, apart)


def around_operators(samples: Sequence[Sample]) -> float:
    """ms that a runtime spends around each operator, which its profiler does not see.

    A pass takes longer than its operators by a part that grows with their number and one that grows with their time.
    Shared out by number alone, a short operator of a long network would seem longer than the same one of a short
    network.  The number's part is the one with which the samples' passes are best in proportion.
    """
    sums = np.array([sum(sample.block_ms) for sample in samples])
    runs = np.array([sum(sample.runs) for sample in samples])
    totals = np.array([sample.total_ms for sample in samples])

    def apart(run_ms: float) -> float:
        off = np.log(totals / (sums + run_ms * runs))
        return float(np.abs(off - np.median(off)).mean())

    return min(np.linspace(0.0, MOST_AROUND_MS, TRIED).tolist(), key=apart)


def corrected(lut: Lut, apart: Sequence[Sample]) -> Lut:
    """The same table with its correction learned from whole networks, of which the least absolute logarithm is sought.

    Squares would let one network that the table does not understand speak for all.
    """
    sums = np.array([lut.predict(sample.blocks).sum_ms for sample in apart])
    totals = np.array([sample.total_ms for sample in apart])
    found = []
    for pass_ms in np.linspace(0.0, 0.5 * totals.min(), TRIED):
        scale = float(np.exp(np.median(np.log((totals - pass_ms) / sums))))
        off = np.log(totals / (scale * sums + pass_ms))
        found.append((float(np.abs(off).mean()), scale, float(pass_ms), float(np.sqrt((off**2).mean()))))
    _, scale, pass_ms, spread = min(found)
    return replace(lut, scale=scale, pass_ms=pass_ms, spread=spread, _inferred={})
