"""Which prior box learns which object (Liu et al., "SSD", ECCV 2016, 2.2)."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

LEAST_SIDE = 1e-6  # whose logarithm is still a number


def match(truth: Tensor, priors: Tensor, threshold: float, *, each: bool = True) -> Tensor:
    """(B,) the object of each prior, -1 for the background.

    A prior takes the object that it overlaps most if their IoU is at least the threshold.  Beyond that, with `each`,
    every object has a prior of its own, the one that it overlaps most among those still free, the pair of the greatest
    IoU first, as the authors' bipartite matching has it.

    truth: (n, 4), priors: (B, 4), left, top, right, bottom.
    """
    if not len(truth):
        return torch.full((len(priors),), -1, dtype=torch.int64, device=priors.device)
    iou = box_iou(truth, priors)
    best, chosen = iou.max(dim=0)
    chosen = torch.where(best >= threshold, chosen, -1)
    if not each:
        return chosen
    tops, places = (values.tolist() for values in iou.max(dim=1))
    waiting, taken = set(range(len(truth))), dict[int, int]()
    while waiting:
        one = max(waiting, key=lambda i: (tops[i], -i))
        waiting.remove(one)
        if tops[one] <= 0:
            continue
        place = places[one]
        taken[place] = one
        for other in waiting:
            if places[other] == place:
                free = iou[other].clone()
                free[list(taken)] = -1
                top, where = free.max(dim=0)
                tops[other], places[other] = top.item(), int(where)
    if taken:
        chosen[list(taken)] = torch.tensor(list(taken.values()), device=chosen.device)
    return chosen


def offsets(truth: Tensor, priors: Tensor, variances: list[float]) -> Tensor:
    """(n, 4) what a prior must say to give a box; `pumice.tasks.detect.priors.restored` is the inverse.

    truth: (n, 4) left, top, right, bottom.  priors: (n, 4) centre x, centre y, width, height.
    """
    sides = (truth[:, 2:] - truth[:, :2]).clamp(min=LEAST_SIDE)
    centres = (truth[:, :2] + truth[:, 2:]) / 2
    shifts = (centres - priors[:, :2]) / (variances[0] * priors[:, 2:])
    return torch.cat((shifts, (sides / priors[:, 2:]).log() / variances[1]), dim=1)
