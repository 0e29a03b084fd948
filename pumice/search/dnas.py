"""DNAS: Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019, arXiv:1812.03443.

A supernet of every candidate is trained; the probability of each candidate learns by gradient from cross-entropy *
alpha * log(cost)^beta.  What it ends with is a distribution, from which networks are drawn and judged as the trials of
any other search.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.spaces.layered import Layered
from pumice.search.problem import Problem
from pumice.search.supernet.additive import additive, least
from pumice.search.supernet.alternate import Record
from pumice.search.supernet.images import Feeding
from pumice.search.supernet.learn import Learnt, learn
from pumice.search.supernet.mixed import Supernet
from pumice.search.supernet.schedule import Schedule

UNITS = {"multiply-adds": 1e6, "parameters": 1e6, "ms": 1e-3}  # FBNet's tables are in microseconds


def dnas(
    problem: Problem,
    splits: Splits,
    *,
    schedule: Schedule | None = None,
    feeding: Feeding | None = None,
    unit: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    told: Callable[[Record], None] | None = None,
) -> Learnt:
    """Train a supernet on the training images and return what it prefers; the validation images are not looked at.

    Args:
        problem: its space a chain; its cost, where it has one, a sum over the layers; drawn networks keep its target,
            while the loss weighs cost against error as alpha and beta say.
        schedule: None is FBNet's.
        feeding: None is the space's image size, batches of 192 and the default augmentation.
        unit: of the cost inside the logarithm, in units of the problem's cost; None is a million of multiply-adds or
            parameters, and a microsecond.  It matters: the larger the numbers, the less a per cent of cost counts.
        seed: of the split, the weights, the images and the gates.
        device: where it trains.
        folder: for the state; see `alternate`.
        told: called with the record of each epoch.

    Raises:
        BadInput: the space is no chain; the cost is no sum, or not above 1 in that unit; see `alternate`.
        CheckFailed: see `alternate`.
    """
    space, schedule = problem.space, schedule or Schedule()
    if not isinstance(space, Layered):
        raise BadInput(f"dnas searches chains of layers; {space.name} is none, take another method or space")
    costs = None
    if problem.cost is not None:
        unit = UNITS.get(problem.cost.unit, 1.0) if unit is None else unit
        costs = additive(problem.cost, space, scale=unit)
        if (lowest := least(costs, space)) <= 1:
            raise BadInput(
                f"the least cost of {space.name} is {lowest:g} times {unit:g} {problem.cost.unit}, and the loss takes "
                f"the logarithm of a cost above 1; give a smaller unit than {lowest * unit:g}"
            )
    feeding = feeding or Feeding(Preprocess(space.image, crop_pct=1.0))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = Supernet(space, costs, num_classes=len(splits.classes)).to(device)
    what = {"costs": None if costs is None else [costs.terms.tolist(), costs.constant]}
    return learn(net, problem, splits, schedule, feeding, seed=seed, folder=folder, what=what, told=told)
