"""DMaskingNAS: Wan et al., "FBNetV2: Differentiable Neural Architecture Search for Spatial and Channel Dimensions",
CVPR 2020, arXiv:2004.05565.

DNAS that also chooses widths, expansions and the input side, at nearly the memory of one width.  The loss and the
training in turn are FBNet's, by recollection: the search code was never released.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.spaces.fbnet_v2 import BLOCKS, MaskableSpace
from pumice.search.problem import Problem
from pumice.search.supernet.alternate import Record
from pumice.search.supernet.gates import one_hot, probabilities
from pumice.search.supernet.images import Feeding
from pumice.search.supernet.learn import Learnt, learn
from pumice.search.supernet.masked_net import Counted, MaskedNet
from pumice.search.supernet.schedule import Schedule


@dataclass(frozen=True)
class Masked(Learnt):
    """What was learnt, and the values between the options that it means.

    effective: position -> sum_i p_i v_i of its widths, expansions or sides; the expansions of the released FBNetV2s
        (5.4566, ...) are such numbers.  A network built from them costs other than expected: count it anew.
    """

    effective: dict[str, float]


def dmasking(
    problem: Problem,
    splits: Splits,
    *,
    counted: Counted = "madds",
    unit: float = 1e6,
    schedule: Schedule | None = None,
    feeding: Feeding | None = None,
    seed: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    told: Callable[[Record], None] | None = None,
) -> Masked:
    """Train a masked supernet on the training images and return what it prefers.

    Args:
        problem: of FBNetV2's space or another MaskableSpace; drawn networks keep its target.  The loss does not ask its
            cost, which knows whole networks alone.
        counted: what the loss weighs against the error, multiply-adds (the paper's F and L) or parameters (its P).
        unit: of that inside the logarithm.
        schedule: None is FBNet's.
        feeding: its images have the space's largest side; None is batches of 192 and the default augmentation.
        seed, device, folder, told: see `dnas`.

    Raises:
        BadInput: another space or another size of images; the least count is not above 1 in that unit.
        CheckFailed: see `alternate`.
    """
    space, schedule = problem.space, schedule or Schedule()
    if not isinstance(space, MaskableSpace):
        raise BadInput(f"dmasking searches widths, blocks and sides of the space fbnet_v2, not of {space.name}")
    feeding = feeding or Feeding(Preprocess(space.image, crop_pct=1.0))
    if feeding.preprocess.size != space.image:
        raise BadInput(
            f"dmasking reads lower resolutions out of images of {space.image[0]} x {space.image[1]} pixels, the "
            f"largest side of its space, not {feeding.preprocess.size[0]} x {feeding.preprocess.size[1]}"
        )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = MaskedNet(space, num_classes=len(splits.classes), counted=counted, unit=unit).to(device)
    if (lowest := _least(net)) <= 1:
        raise BadInput(
            f"the least network of {space.name} has {lowest:g} times {unit:g} {counted}, and the loss takes the "
            f"logarithm of a number above 1; give a smaller unit than {lowest * unit:g}"
        )
    what = {"counted": counted, "unit": float(unit)}
    learnt = learn(net, problem, splits, schedule, feeding, seed=seed, folder=folder, what=what, told=told)
    return Masked(**vars(learnt), effective=effective(space, learnt.theta))


def effective(space: MaskableSpace, theta: Sequence[Sequence[float]]) -> dict[str, float]:
    """sum_i p_i v_i of every position whose options are numbers."""
    shares = probabilities([torch.tensor(logits, dtype=torch.float64) for logits in theta])
    named = zip(space.positions, space.values, shares, strict=True)
    return {
        position.name: float(share @ torch.tensor(values, dtype=torch.float64))
        for position, values, share in named
        if values
    }


def _least(net: MaskedNet) -> float:
    """The count of the narrowest network of skips at the lowest side."""
    space = net.space
    choice = tuple(
        min(range(len(values)), key=values.__getitem__) if values else list(BLOCKS).index("skip")
        for values in space.values
    )
    with torch.no_grad():
        return float(net.cost(one_hot(space, choice, net.theta[0].device)))
