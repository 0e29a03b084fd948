"""What the loop of a training is made of besides the network: batches, objective, judging."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from pumice.data.pipeline import Batches
from pumice.train.objective import Objective

if TYPE_CHECKING:
    from pumice.train.judging import Judging


@dataclass(frozen=True)
class Place:
    """Which of how many processes this is, and whether it works on a GPU."""

    rank: int
    world: int
    on_gpu: bool


@dataclass(frozen=True)
class Parts:
    """One training's own.

    train: batches of (inputs, targets), whose `sampler` is an EpochSampler or StreamLoader.  called: names of the
    samples, by index; none of a stream.  val: batches as `judging` takes them.
    """

    train: Batches
    val: DataLoader[Any]
    objective: Objective
    judging: "Judging"
    called: Sequence[str]
