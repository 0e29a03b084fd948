"""Costs of the networks of a space: counts that are sums over rows, weighted sums of costs, measurements.

Predictions by a lookup table are in `table_latency`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from statistics import median

import torch
from torch import nn

from pumice.cost.audit.run import violations
from pumice.cost.database import lookup, measurement_key, store
from pumice.cost.latency import benchmark
from pumice.cost.machine import check_threads
from pumice.cost.timing import Timing
from pumice.deploy.network import folded
from pumice.deploy.session import require
from pumice.errors import BadInput
from pumice.graph.records import Graph
from pumice.graph.trace import trace
from pumice.models.convnet import ConvNet
from pumice.models.described import describe
from pumice.models.manifest import ModelConfig
from pumice.models.spaces.space import Choice, Space
from pumice.search.cost import Cost
from pumice.search.pieces import Pieces, one_by_one


class SumOfRows(Cost):
    """A count that is the sum over the rows of a network and its head; exact, some microseconds a choice.

    num_classes: None is the space's own.
    terms, constant: where every position chooses one row, a choice costs constant + sum of terms[position][option];
        None and 0 elsewhere.
    """

    def __init__(self, space: Space, num_classes: int | None = None) -> None:
        self.space = space
        self._pieces = Pieces(space, space.num_classes if num_classes is None else num_classes, self.count)

    @abstractmethod
    def count(self, module: nn.Module, graph: Graph) -> int:
        """Of one row: the module in evaluation mode, and its trace."""

    def of(self, choice: Choice) -> float:
        """The sum."""
        if self.terms is None:
            return float(sum(self._pieces.of(choice)))
        return float(self.constant + sum(terms[option] for terms, option in zip(self.terms, choice, strict=True)))

    @cached_property
    def terms(self) -> tuple[tuple[int, ...], ...] | None:
        """By position and option, beyond the network of all first options."""
        rows = one_by_one(self.space)
        if rows is None:
            return None
        first = (0,) * len(self.space.positions)
        counts = [
            [self._pieces.at(place, row, first) for row in candidates] if place is not None else []
            for place, candidates in zip(rows.places, rows.rows, strict=True)
        ]
        return tuple(
            tuple(n - of_row[0] for n in of_row) if of_row else (0,) * len(position.options)
            for of_row, position in zip(counts, self.space.positions, strict=True)
        )

    @cached_property
    def constant(self) -> int:
        """Of the network of all first options."""
        return sum(self._pieces.of((0,) * len(self.space.positions))) if self.terms is not None else 0

    @cached_property
    def least(self) -> float | None:  # worked out once
        """The sum of the least terms."""
        return None if self.terms is None else float(self.constant + sum(map(min, self.terms)))


class MAdds(SumOfRows):
    """Multiply-adds of one image."""

    unit = "multiply-adds"

    def count(self, module: nn.Module, graph: Graph) -> int:
        """Of convolutions and matrix products."""
        return graph.madds


class Params(SumOfRows):
    """Learnable parameters."""

    unit = "parameters"

    def count(self, module: nn.Module, graph: Graph) -> int:
        """Elements of the tensors that the inference graph uses."""
        return graph.params


class Violations(SumOfRows):
    """How often a network breaks the four guidelines of ShuffleNetV2, as `audit` finds them: a term for `Sum`."""

    unit = "guideline violations"

    def count(self, module: nn.Module, graph: Graph) -> int:
        """Layers at fault, the norms of the row folded."""
        if not graph.nodes:
            return 0
        channels, height, width = graph.input_size
        return violations(trace(folded(module, (channels, height, width)), graph.input_size))


class Sum(Cost):
    """Costs added up, each times its weight, in the unit of the first: `Sum((latency, 1.0), (violations, 0.05))`."""

    def __init__(self, *terms: tuple[Cost, float]) -> None:
        if not terms:
            raise BadInput("a sum of costs needs at least one; give (cost, weight)")
        self.terms = terms
        self.unit = terms[0][0].unit

    def of(self, choice: Choice) -> float:
        """The weighted sum."""
        return sum(weight * cost.of(choice) for cost, weight in self.terms)


class Measured(Cost):
    """Latency of exported files, measured on this machine: the median of several series, each of a choice once.

    Measurements are kept in the machine's database, so that a search that is resumed, and other searches, have the same
    numbers.  Every choice asked for takes seconds: take a table where many are asked for.

    runtime: as `pumice benchmark` names it.
    repeats: series of `time_limit_s` seconds each.
    """

    unit = "ms"

    def __init__(
        self,
        space: Space,
        runtime: str,
        num_classes: int | None = None,
        *,
        threads: int = 1,
        repeats: int = 3,
        time_limit_s: float = 1.0,
    ) -> None:
        self.runtime = require(runtime)
        check_threads(threads)
        self.space, self.threads = space, threads
        self.num_classes = space.num_classes if num_classes is None else num_classes
        self.repeats, self.time_limit_s = repeats, time_limit_s

    def of(self, choice: Choice) -> float:
        """ms of one image; of CPU time where the machine was busy."""
        return self.timing(choice).figure_ms

    def timing(self, choice: Choice) -> Timing:
        """The measurement that counts."""
        height, width = self.space.image_of(choice)
        size = (3, height, width)
        options = {**self.space.options, "choice": list(choice)}
        config = ModelConfig(f"space:{self.space.name}", self.num_classes, options=options)
        key = measurement_key(config, runtime=self.runtime, input_size=size, threads=self.threads)
        kept = lookup(key, allow_busy=True)
        if kept is not None:
            return kept
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = ConvNet(self.space.spec(choice), num_classes=self.num_classes).eval()
        describe(net, config)
        timings = [self._series(net, size) for _ in range(self.repeats)]
        middle = median(t.figure_ms for t in timings)
        chosen = min(timings, key=lambda t: abs(t.figure_ms - middle))
        store(chosen, key)
        return chosen

    def _series(self, net: nn.Module, size: tuple[int, int, int]) -> Timing:
        timings: Timing | Sequence[Timing] = benchmark(
            net, size, runtime=self.runtime, threads=self.threads, time_limit_s=self.time_limit_s
        )
        assert isinstance(timings, Timing)
        return timings
