"""SqueezeNet's bypasses; pytorchcv's squeezeresnets, with every other peer, are in test_peers."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.squeezenet import Fire, FireModule


@pytest.mark.parametrize("layout", ["squeezenet1_0", "squeezenet1_1"])
@pytest.mark.parametrize(
    ("bypass", "identities", "convolutions"),
    [("none", "", ""), ("simple", "3579", ""), ("complex", "3579", "2468")],
)
def test_which_fires_have_a_bypass(layout: str, bypass: str, identities: str, convolutions: str) -> None:
    with torch.device("meta"):
        model: Any = create_model(layout, bypass=bypass)
    fires = dict(enumerate((m for m in model.modules() if isinstance(m, FireModule)), 2))
    assert list(fires) == [2, 3, 4, 5, 6, 7, 8, 9]
    adds = {i: fire for i, fire in fires.items() if fire.drop_path is not None}
    learned = {i for i, fire in adds.items() if list(fire.bypass.parameters())}
    assert "".join(map(str, sorted(learned))) == convolutions
    assert "".join(map(str, sorted(set(adds) - learned))) == identities


@pytest.mark.parametrize("out", [8, 10])
def test_a_bypass_adds_to_the_plain_module_and_nothing_follows(out: int) -> None:
    torch.manual_seed(0)
    plain, simple, learned = (
        FireModule(8, Fire(3, out // 2, out // 2, bypass=kind)).double() for kind in ("none", "simple", "complex")
    )
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    for other in (simple, learned):
        other.load_state_dict(plain.state_dict(), strict=False)
    y = plain(x).detach()
    if out == 8:
        torch.testing.assert_close(simple(x), x + y)
        torch.testing.assert_close(learned(x), x + y)
        assert float((x + y).min()) < -0.5, "no ReLU after the sum"
    else:
        torch.testing.assert_close(simple(x), y)
        conv: Any = learned.bypass
        torch.testing.assert_close(learned(x), F.conv2d(x, conv.weight, conv.bias) + y)
        assert float(learned(x).detach().min()) < -0.1


def test_a_bypass_by_another_word() -> None:
    with pytest.raises(BadInput, match="bypass must be 'none' or 'simple' or 'complex', not 'full'"):
        create_model("squeezenet1_1", bypass="full")
