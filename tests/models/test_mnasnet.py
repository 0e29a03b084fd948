"""MnasNet at any width: what no name has, against timm's builders of the official definition."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.models.create import create_model
from pumice.models.weights import load_weights

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]
BUILDERS = {"semnasnet_100": "_gen_mnasnet_a1", "mnasnet_100": "_gen_mnasnet_b1", "mnasnet_small": "_gen_mnasnet_small"}


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("semnasnet_100", 0.35),  # semnasnet_035, for which timm has no name
        ("semnasnet_100", 0.25),  # stem and first stage are 8 wide, and the first stage still has no residual
        ("mnasnet_100", 0.25),
        ("mnasnet_small", 1.7),
    ],
)
def test_outputs_at_any_width_are_timms(
    name: str, width: float, realistic: Make, images: Images, compare: Compare
) -> None:
    efficientnet = pytest.importorskip("timm.models.efficientnet")
    theirs = realistic(getattr(efficientnet, BUILDERS[name])(name, width))
    ours = create_model(name, width=width).double().eval()
    load_weights(ours, theirs.state_dict(), "timm")
    with torch.no_grad():
        for size in ((3, 64, 64), (3, 51, 78)):
            x = images(2, size, 9)
            assert compare(ours(x), theirs(x)) < 1e-9


def test_the_first_stage_of_the_small_net_has_a_residual() -> None:
    """Its stem is as wide as it; the released block list says 16 there, and nothing reads that."""
    first = create_model("mnasnet_small").blocks[1].eval()
    nn.init.zeros_(first.project.norm.weight)
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(first(x), x)
    assert create_model("mnasnet_100", width=0.25).blocks[1].drop_path is None


@pytest.mark.parametrize(
    ("name", "side", "millions"),
    [("semnasnet_100", 96, 58.48), ("semnasnet_140", 160, 300.02), ("semnasnet_035", 128, 21.02)],
)
def test_counts_at_the_papers_other_sizes(name: str, side: int, millions: float) -> None:
    with torch.device("meta"):
        model = create_model(name)
    assert profile(model, (3, side, side)).madds / 1e6 == pytest.approx(millions, abs=0.006)
