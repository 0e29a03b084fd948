"""Activations in place change the speed of a step, and nothing else."""

import pytest
import torch
from torch import nn

from pumice.models.create import create_model
from pumice.nn.conv import ConvNormAct
from pumice.train.in_place import in_place

WITHOUT = ("micronet_m0", "espnetv2_050")  # whose activations are all of other kinds


def gradients(net: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)  # of dropout
    net.zero_grad()
    loss = nn.functional.cross_entropy(net(x), torch.arange(4))
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv3_small_050", "mobilenetv2_035", "mnasnet_small", "ghostnet_050", "shufflenetv2_050"),
        *("squeezenet1_1", "micronet_m0", "espnetv2_050", "efficientnet_b0", "weightnet_shufflenetv2_050"),
    ],
)
def test_the_gradients_stay_the_same_to_the_last_bit(name: str) -> None:
    torch.manual_seed(0)
    net = create_model(name, num_classes=4).train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    loss, plain = gradients(net)
    net.load_state_dict(state)
    with in_place(net):
        over = [m for m in net.modules() if getattr(m, "inplace", False)]
        again, written_over = gradients(net)
    assert over or name in WITHOUT
    assert torch.equal(loss, again)
    assert len(plain) == len(written_over)
    for one, other in zip(plain, written_over, strict=True):
        assert torch.equal(one, other)
    assert not any(getattr(m, "inplace", False) for m in net.modules())


def test_what_others_read_is_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 8, 1), nn.ReLU()
            self.rest = nn.Sequential(nn.Dropout(), nn.ReLU(), nn.BatchNorm2d(8), nn.Hardswish())
            self.unit = ConvNormAct(8, 8, act="RE")

    net = Twice()
    with in_place(net, None):
        assert net.unit.act.inplace
        assert net.rest[3].inplace
        assert not net.act.inplace  # a residual may read what it reads
        assert not net.rest[1].inplace
