"""EfficientNet at scales that no name has, its large nets, and files in the layout of TensorFlow's ports."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pumice.models.create import create_model
from pumice.models.weights import load_weights

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]


def shapes(model: nn.Module) -> list[torch.Size]:
    return [value.squeeze().shape for key, value in model.state_dict().items() if "num_batches" not in key]


@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize(("width", "depth"), [(0.6, 0.5), (1.05, 1.9), (0.2, 3.0)])
def test_compound_scaling_is_timms(width: float, depth: float, lite: bool) -> None:
    efficientnet = pytest.importorskip("timm.models.efficientnet")
    build = efficientnet._gen_efficientnet_lite if lite else efficientnet._gen_efficientnet
    name = "efficientnet_lite0" if lite else "efficientnet_b0"
    with torch.device("meta"):
        theirs, ours = build(name, width, depth), create_model(name, width=width, depth=depth)
    assert shapes(ours) == shapes(theirs)


@pytest.mark.parametrize("name", ["b5", "b6", "b7", "b8", "l2"])
def test_large_nets_are_timms_tensor_by_tensor(name: str) -> None:
    pytest.importorskip("timm")
    with torch.device("meta"):
        theirs, ours = create_model(f"timm:efficientnet_{name}"), create_model(f"efficientnet_{name}")
    assert shapes(ours) == shapes(theirs)


def test_gates_are_a_quarter_of_the_input_cut_down(realistic: Make, images: Images, compare: Compare) -> None:
    """24 channels give 6: neither a quarter of the expansion nor a multiple of 8."""
    block = create_model("efficientnet_b0").blocks[3]
    assert tuple(block.se.reduce.weight.shape) == (6, 144, 1, 1)
    realistic(block, (24, 9, 9))
    h = block.depthwise(block.expand(images(3, (24, 9, 9), 4)))
    w1, b1, w2, b2 = (p.squeeze() for p in block.se.parameters())
    s = h.mean((2, 3)) @ w1.T + b1
    gate = torch.sigmoid((s * torch.sigmoid(s)) @ w2.T + b2)
    assert compare(block.se(h), h * gate[:, :, None, None]) < 1e-12


@pytest.mark.parametrize(
    ("name", "rate"), [("b0", 0.2), ("b3", 0.3), ("b5", 0.4), ("b7", 0.5), ("lite1", 0.2), ("lite4", 0.3)]
)
def test_dropout_is_that_of_the_table(name: str, rate: float) -> None:
    with torch.device("meta"):
        assert create_model(f"efficientnet_{name}").head.dropout.p == rate
        assert create_model(f"efficientnet_{name}", drop_rate=0.05).head.dropout.p == 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "peer", "source"),
    [
        ("efficientnet_b5", "torchvision:efficientnet_b5", "torchvision"),
        ("efficientnet_b6", "timm:efficientnet_b6", "timm"),
        ("efficientnet_b7", "timm:tf_efficientnet_b7", "official"),
    ],
)
def test_outputs_of_large_nets_are_the_peers(
    name: str, peer: str, source: str, realistic: Make, images: Images, compare: Compare
) -> None:
    pytest.importorskip(peer.partition(":")[0])
    theirs = realistic(create_model(peer), batches=1)
    ours = create_model(name).double().eval()
    load_weights(ours, theirs.state_dict(), source)
    x = images(2, (3, 51, 78), 9)
    with torch.no_grad():
        assert compare(ours(x), theirs(x)) < 1e-9


def test_a_file_of_the_tensorflow_port_says_what_it_is(realistic: Make, images: Images, compare: Compare) -> None:
    """Its keys begin with underscores; its tensors are in order of execution, as timm's `tf_*` have them."""
    pytest.importorskip("timm")
    theirs = realistic(create_model("timm:tf_efficientnet_b0"))
    state = {("_" + key if key.startswith("conv_stem") else key): v for key, v in theirs.state_dict().items()}
    ours = create_model("efficientnet_b0").double().eval()
    assert load_weights(ours, state).source == "official"
    x = images(2, (3, 51, 78), 9)
    with torch.no_grad():
        assert compare(ours(x), theirs(x)) < 1e-9
