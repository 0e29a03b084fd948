"""From images to what a supernet prefers."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from pumice.data.images import Splits
from pumice.models.spaces.space import Choice
from pumice.search.problem import Problem
from pumice.search.supernet.alternate import Record, alternate
from pumice.search.supernet.images import Feeding, two_parts
from pumice.search.supernet.relaxed import Relaxed
from pumice.search.supernet.sampled import Sampled
from pumice.search.supernet.schedule import Schedule


@dataclass(frozen=True)
class Learnt:
    """What a supernet has learnt.

    theta: of each position, the logits of its options.  choice: the most probable network.
    searcher: proposes it and draws others.  history: see `alternate`.
    """

    theta: tuple[tuple[float, ...], ...]
    choice: Choice
    searcher: Sampled
    history: list[Record]


def learn(
    net: Relaxed,
    problem: Problem,
    splits: Splits,
    schedule: Schedule,
    feeding: Feeding,
    *,
    seed: int,
    folder: Path | None,
    what: dict[str, Any],
    told: Callable[[Record], None] | None,
) -> Learnt:
    """Train a supernet in place on the training images; see `alternate`."""
    if feeding.channels_last:
        net.to(memory_format=torch.channels_last)
    space = problem.space
    key = {
        "space": [space.name, [[position.name, *position.options] for position in space.positions]],
        "options": str(space.options),
        "data": [splits.source, len(splits.train)],
        "feeding": {name: str(value) for name, value in asdict(feeding).items() if name != "workers"},
        **what,
    }
    parts = two_parts(splits.train, feeding, seed)
    history = alternate(net, *parts, schedule, seed=seed, folder=folder, what=key, told=told)
    theta = tuple(tuple(logits) for logits in history[-1]["theta"])
    return Learnt(theta, tuple(history[-1]["choice"]), Sampled(problem, theta, seed), history)
