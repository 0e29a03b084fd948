from itertools import islice

import pytest
import torch
from torch import nn

from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.search.netadapt.cuts import cuts


def test_cuts_are_narrower_forms_of_the_network_and_equal_for_equal_seeds():
    size = (3, 64, 64)
    network = create_model("micronet_m1", num_classes=10).eval()
    jobs = list(islice(cuts(network, size, seed=1), 7))
    assert jobs[0][1]()[0] is network
    madds = []
    for name, make in jobs[1:]:
        cut, at = make()
        assert at == size
        assert cut(torch.zeros(1, *size)).shape == (1, 10)
        madds.append(trace(cut, size).madds)
        assert trace(dict(cuts_by_name(network, size, 7))[name]()[0], size).madds == madds[-1]
    whole = trace(network, size).madds
    assert len(set(madds)) == 6
    assert max(madds) < whole
    assert min(madds) < 0.6 * whole


def cuts_by_name(network, size, count):
    return islice(cuts(network, size, seed=1), count)


def test_a_network_without_a_free_group_is_refused():
    with pytest.raises(BadInput, match=r"no channel group of .* can be narrowed, so there are no cuts of it"):
        next(cuts(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (3, 2, 2)))
