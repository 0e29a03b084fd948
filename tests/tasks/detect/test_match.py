"""Which prior learns which object, against a matching written with loops."""

import numpy as np
import pytest
import torch

from pumice.tasks.detect.match import match, offsets
from pumice.tasks.detect.priors import corners, restored


def by_loops(truth, priors, threshold):
    """The greatest IoU of all that are left gives a pair, again and again; then the threshold for the other priors."""

    def iou(a, b):
        w = min(a[2], b[2]) - max(a[0], b[0])
        h = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(w, 0) * max(h, 0)
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    table = np.array([[iou(t, p) for p in priors] for t in truth])
    chosen = [int(table[:, p].argmax()) if table[:, p].max() >= threshold else -1 for p in range(len(priors))]
    left = table.copy()
    for _ in truth:
        t, p = np.unravel_index(left.argmax(), left.shape)
        if left[t, p] <= 0:
            break
        chosen[p] = int(t)
        left[t], left[:, p] = -1, -1
    return chosen


@pytest.mark.parametrize("seed", range(30))
def test_it_is_the_authors_matching(seed):
    rng = np.random.default_rng(seed)
    count, places = int(rng.integers(1, 12)), int(rng.integers(12, 40))
    # Few places and objects close together: many objects want the same prior.
    middle = rng.uniform(0.3, 0.7, (count + places, 2))
    boxes = corners(np.concatenate((middle, rng.uniform(0.1, 0.6, (count + places, 2))), axis=1))
    truth, priors = torch.from_numpy(boxes[:count]), torch.from_numpy(boxes[count:])
    found = match(truth, priors, 0.5).tolist()
    assert found == by_loops(truth.tolist(), priors.tolist(), 0.5)
    assert set(range(count)) <= set(found)  # every object has one


def test_objects_that_want_the_same_prior_get_one_each():
    priors = torch.tensor([[0.0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]])
    truth = torch.tensor([[0.0, 0, 0.8, 1], [0, 0, 0.9, 1], [0, 0, 1, 1]])
    assert match(truth, priors, 0.5).tolist() == [2, 0, 1]
    assert match(truth[:1], priors, 0.9).tolist() == [0, -1, -1]  # below the threshold, but its best
    assert match(torch.zeros(0, 4), priors, 0.5).tolist() == [-1, -1, -1]
    far = torch.tensor([[2.0, 2, 3, 3]])
    assert match(far, priors, 0.5).tolist() == [-1, -1, -1]


def test_offsets_are_undone_by_decoding():
    rng = np.random.default_rng(0)
    priors = np.concatenate((rng.uniform(0, 1, (50, 2)), rng.uniform(0.05, 0.9, (50, 2))), axis=1)
    truth = corners(np.concatenate((rng.uniform(0, 1, (50, 2)), rng.uniform(0.05, 0.9, (50, 2))), axis=1))
    said = offsets(torch.from_numpy(truth), torch.from_numpy(priors), [0.1, 0.2])
    assert np.abs(restored(said.numpy(), priors, [0.1, 0.2]) - truth).max() < 1e-12
    one = offsets(torch.tensor([[0.4, 0.4, 0.8, 0.8]]), torch.tensor([[0.5, 0.5, 0.2, 0.4]]), [0.1, 0.2])
    assert one[0].tolist() == pytest.approx([5.0, 2.5, np.log(2) / 0.2, 0.0], abs=1e-6)
    assert torch.isfinite(offsets(torch.zeros(1, 4), torch.full((1, 4), 0.5), [0.1, 0.2])).all()
