"""A head that learns faster, or hardly at all, beside the rest of the network."""

import pytest
import torch
from torch import nn

from pumice.data.digits import open_digits
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.train.config import TrainConfig
from pumice.train.optimizer import create_optimizer
from pumice.train.trainer import train_once


@pytest.mark.parametrize("norm_bias", [True, False])
def test_the_head_has_groups_of_its_own(norm_bias: bool) -> None:
    net = create_model("mobilenetv3_small_035", num_classes=5)
    plain = create_optimizer(net, TrainConfig(decay_norm_bias=norm_bias))
    optimizer = create_optimizer(net, TrainConfig(head_lr=10.0, decay_norm_bias=norm_bias))
    scales = {id(p): g.get("scale_of_lr", 1.0) for g in optimizer.param_groups for p in g["params"]}
    decays = [{id(p): g["weight_decay"] for g in o.param_groups for p in g["params"]} for o in (plain, optimizer)]
    assert decays[0] == decays[1]
    for key, parameter in net.named_parameters():
        assert scales[id(parameter)] == (10.0 if key.startswith("head.") else 1.0), key
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))


def test_the_rate_of_the_head_is_a_multiple_of_the_rest() -> None:
    torch.manual_seed(0)
    net = create_model("mobilenetv3_small_035", num_classes=10)
    before = {k: v.detach().clone() for k, v in net.named_parameters()}
    splits = open_digits()
    config = TrainConfig(
        model="mobilenetv3_small_035", epochs=1, img_size=32, lr=0.01, head_lr=1e-6, optimizer="adamw", batch_size=256
    )
    train_once(net, splits, config)
    moved = {k: float((v.detach() - before[k]).abs().max()) for k, v in net.named_parameters()}
    assert max(v for k, v in moved.items() if k.startswith("head.")) < 1e-6  # steps x 0.01 x 1e-6
    assert min(v for k, v in moved.items() if k.endswith("conv.weight")) > 1e-3


def test_a_net_without_a_named_head_is_refused() -> None:
    with pytest.raises(BadInput, match="does not name its head"):
        create_optimizer(nn.Linear(2, 2), TrainConfig(head_lr=2.0))
