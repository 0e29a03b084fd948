"""Sensitivity: the layer that 8 bits hurt most comes first, and the network is as before."""

import numpy as np
import pytest
import torch
from torch import nn

from pumice.deploy.schemes.sensitivity import sensitive_layers
from pumice.errors import BadInput


def test_the_layer_that_loses_most_comes_first() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()
    images = np.random.default_rng(0).standard_normal((6, 3, 12, 12)).astype(np.float32)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    usual = dict(sensitive_layers(net, images))
    assert set(usual) == {"0", "2", "6"}
    assert all(15 < figure < 80 for figure in usual.values())
    # One channel a thousand times as large as the others, read by next to nothing: its range drowns them.
    net[0].weight.data[3] *= 1000
    net[2].weight.data[:, 3] /= 1e6
    order = sensitive_layers(net, images)
    assert order == sorted(order, key=lambda entry: entry[1])
    assert {order[0][0], order[1][0]} == {"0", "2"}
    assert order[0][1] < min(usual.values()) - 10
    net[0].weight.data[3] /= 1000
    net[2].weight.data[:, 3] *= 1e6
    for key, tensor in net.state_dict().items():
        assert torch.allclose(tensor, before[key], rtol=1e-6)


def test_two_images_at_least() -> None:
    with pytest.raises(BadInput, match="at least 2 images"):
        sensitive_layers(nn.Conv2d(3, 3, 1), np.zeros((1, 3, 8, 8), np.float32))
