"""Light-Head R-CNN: its parts against torchvision and loops, its outputs, its graph."""

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.graph.trace import trace
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.models.dense.decoding import decoding_of
from pumice.models.dense.light_head import LargeSeparable, anchors, centred, moved, overlaps, position_sensitive
from pumice.tasks.detect.priors import corners, priors_of, restored


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    """(2, count, 4) corners inside the input."""
    torch.manual_seed(seed)
    low = torch.rand(2, count, 2) * 0.7
    return torch.cat((low, (low + 0.02 + torch.rand(2, count, 2) * 0.5).clamp(max=1)), dim=2)


def test_pooling_is_torchvisions():
    ops = pytest.importorskip("torchvision.ops")
    torch.manual_seed(1)
    x, b = torch.randn(2, 490, 12, 16), boxes(30)
    sides = torch.tensor([16.0, 12, 16, 12])
    theirs = ops.ps_roi_align(x, [one * sides for one in b], (7, 7), 1.0, 2)
    assert (position_sensitive(x, b, 7, 2) - theirs.reshape(2, 30, 490)).abs().max() < 1e-5


def test_the_separable_convolution_is_its_two_kernels():
    torch.manual_seed(0)
    layer = LargeSeparable(3, 4, 5, 15).double()
    x = torch.randn(1, 3, 20, 24, dtype=torch.float64)
    (a, b), (c, d) = layer.tall_wide, layer.wide_tall
    assert (a.kernel_size, b.kernel_size, c.kernel_size, d.kernel_size) == ((15, 1), (1, 15), (1, 15), (15, 1))
    y = torch.zeros(1, 5, 20, 24, dtype=torch.float64)
    for first, second in ((a, b), (c, d)):
        # Without padding inside the image, both together are one 15 x 15 kernel.
        whole = torch.einsum("ohij,hcij->ocij", second.weight.expand(5, 4, 15, 15), first.weight.expand(4, 3, 15, 15))
        inside = torch.nn.functional.conv2d(x, whole, second.bias + second.weight.sum((2, 3)) @ first.bias)
        y[:, :, 7:13, 7:17] += inside
    assert (layer(x)[:, :, 7:13, 7:17] - y[:, :, 7:13, 7:17].relu()).abs().max() < 1e-10


def test_what_is_chosen_overlaps_nothing_better():
    net = create_model("lighthead:shufflenetv2_050", num_classes=3, proposals=20)
    b = boxes(200)
    scores = torch.randn(2, 200)
    found = net.head.chosen(scores, b)
    for image in range(2):
        order = scores[image].argsort(descending=True).tolist()
        table = overlaps(b[image][None])[0]
        stands = [i for k, i in enumerate(order) if not any(table[i, j] > 0.7 for j in order[:k])]
        assert len(stands) < 200
        rest = [i for i in order if i not in stands]
        assert torch.equal(found[image], b[image][(stands + rest)[:20]])
    # Too few stand: the best of the others fill up.
    same = b[:, :1].expand(-1, 40, -1)
    assert net.head.chosen(torch.randn(2, 40), same).shape == (2, 20, 4)


def test_boxes_are_those_of_the_description():
    net = create_model("lighthead:shufflenetv2_050", num_classes=3)
    priors = priors_of(decoding_of(net, 96, 160))
    found = net.head.priors(torch.zeros(1, 1, 6, 10)).numpy()
    assert priors.shape == (6 * 10 * 15, 4)
    assert np.abs(found - priors).max() < 1e-6
    assert [round(800 * max(box)) for box in anchors()[::3]] == [32, 64, 128, 256, 512]
    torch.manual_seed(0)
    offsets = torch.randn(len(priors), 4)
    expected = restored(offsets.numpy(), priors, [0.1, 0.2]).clip(0, 1)
    assert np.abs(moved(torch.from_numpy(priors).float(), offsets).numpy() - expected).max() < 1e-6
    back = corners(centred(torch.from_numpy(expected)).numpy())
    assert np.abs(back - expected).max() < 1e-12


@pytest.mark.parametrize("backbone", ["shufflenetv2_050", "mobilenetv2_035", "timm:mobilenetv3_small_050"])
def test_one_output_of_a_fixed_number_of_rows(backbone):
    torch.manual_seed(0)
    net = create_model(f"lighthead:{backbone}", num_classes=3, proposals=30)
    assert net.encoder.reductions == (16, 16)
    x = torch.rand(2, 3, 96, 128)
    net.eval()
    with torch.no_grad():
        y = net(x)
        # A row is its box refined: the same as from the training output.
        net.head.train()
        more = net(x)
    assert y.shape == (2, 30, 4 + 3)
    assert more.shape == (2, 30 + 6 * 8 * 15, 8 + 3)
    assert torch.equal(more[:, :30, 4:7], y[:, :, 4:])
    assert torch.allclose(moved(centred(more[:, :30, 7:]), more[:, :30, :4]), y[:, :, :4])
    assert not more[:, 30:, 5:].any()
    assert (y[0] - y[1]).abs().max() > 1e-4
    manifest = manifest_of(net.eval())
    assert (manifest.task, manifest.decode["proposals"], manifest.preprocess.size) == ("detect", 30, (640, 640))


def test_it_is_traced_and_counted():
    with torch.device("meta"):
        net = create_model("lighthead:shufflenetv2_100", num_classes=3).eval()
    small, large = (trace(net, (3, side, side)) for side in (128, 256))
    assert small.params == sum(p.numel() for p in net.parameters())
    assert large.madds > 3 * small.madds  # but for the fixed number of proposals
    with torch.device("meta"):
        wide = create_model("lighthead:shufflenetv2_100", num_classes=3, hidden=256)
    assert sum(p.numel() for p in wide.parameters()) - small.params == 192 * (2 * 15 * (1024 + 490) + 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"proposals": 0}, "proposals=0 cannot be had"),
        ({"proposals": 601}, "proposals=601 cannot be had"),
        ({"num_classes": 1}, "cannot have 1 classes"),
        ({"hidden": 0}, "hidden=0"),
    ],
)
def test_what_cannot_be_had(options, said):
    with pytest.raises(BadInput, match=said):
        create_model("lighthead:shufflenetv2_050", **options)
