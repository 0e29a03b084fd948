"""ESP, EESP and the pyramid pool against their equations, computed another way."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.build import build
from pumice.nn.eesp import EESP, DepthwisePyramid, StridedEESP
from pumice.nn.esp import ESP
from pumice.nn.pyramid_pool import PyramidPool


def lively(module: nn.Module) -> nn.Module:
    """Random weights, statistics and slopes, double, in evaluation."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.6, 0.6)
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return module.double().eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    mean, var, scale, shift = (
        t.view(1, -1, 1, 1)
        for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)  # type: ignore[union-attr]
    )
    return (x - mean) / (var + norm.eps).sqrt() * scale + shift


def sloped(x: Tensor, act: nn.Module) -> Tensor:
    return torch.where(x > 0, x, x * act.weight.view(1, -1, 1, 1))  # type: ignore[operator]


def dense(conv: nn.Module, side: int) -> Tensor:
    """A dilated kernel as a side x side one, with the zeros written out."""
    weight, d = conv.weight, conv.dilation[0]  # type: ignore[index]
    full = torch.zeros(*weight.shape[:2], side, side, dtype=weight.dtype)  # type: ignore[misc]
    reach = side // 2
    full[:, :, reach - d : reach + d + 1 : d, reach - d : reach + d + 1 : d] = weight
    return full


@pytest.mark.parametrize("hff", [True, False])
@pytest.mark.parametrize(("out", "stride", "residual"), [(23, 1, True), (20, 2, False)])
def test_esp_is_one_convolution_with_dense_kernels(out: int, stride: int, residual: bool, hff: bool) -> None:
    """Fusion is linear: branch k convolves with the sum of the kernels of branches 2 to k."""
    inside = 23 if residual else 7
    esp = lively(ESP(inside, out, stride, residual=residual, hff=hff))
    x = noise(2, inside, 21, 18)
    kernels = [dense(branch, 33) for branch in esp.branches]  # type: ignore[union-attr]
    n = out // 5
    assert [k.shape[0] for k in kernels] == [out - 4 * n, n, n, n, n]
    rows = [kernels[0], *(sum(kernels[1 : k + 1]) if hff else kernels[k] for k in range(1, 5))]
    r = F.conv2d(x, esp.reduce.weight, stride=stride, padding=0 if stride == 1 else 1)  # type: ignore[arg-type]
    z = F.conv2d(r, torch.cat(rows), padding=16)
    z = z + x if residual else z
    torch.testing.assert_close(esp(x), sloped(normed(z, esp.norm), esp.act), rtol=1e-9, atol=1e-9)


def test_fusion_fills_the_holes_of_the_widest_branch() -> None:
    def pixels(hff: bool) -> list[int]:
        esp = ESP(1, 5, hff=hff).eval()
        for conv in esp.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.ones_(conv.weight)
        x = torch.zeros(1, 1, 41, 41)
        x[..., 20, 20] = 1
        return [int((branch > 0).sum()) for branch in esp(x)[0]]

    assert pixels(hff=False) == [9] * 5
    assert pixels(hff=True) == [9, 9, 17, 25, 33]  # one centre, and 8 more for each dilation


@pytest.mark.parametrize(("dilations", "stride"), [((1, 2, 3, 4), 1), ((1, 1, 2, 3), 2)])
def test_k_pointwise_convolutions_are_one_in_k_groups(dilations: tuple[int, ...], stride: int) -> None:
    """ESPNetV2's step: a 1 x 1 convolution for each fused branch, a block-diagonal matrix, one grouped convolution."""
    pyramid = lively(DepthwisePyramid(16, 48, dilations, stride))
    x, n, k = noise(2, 16, 15, 20), 12, 4
    weight = pyramid.reduce.conv.weight[:, :, 0, 0]  # type: ignore[union-attr,index]
    parts = [torch.einsum("oc,nchw->nohw", weight[i * 3 : i * 3 + 3], x[:, i * 4 : i * 4 + 4]) for i in range(k)]
    r = sloped(normed(torch.cat(parts, 1), pyramid.reduce.norm), pyramid.reduce.act)  # type: ignore[union-attr,arg-type]
    fused, kernel = [], torch.zeros(n, 1, 9, 9, dtype=torch.float64)
    for branch in pyramid.branches:  # type: ignore[union-attr]
        kernel = kernel + dense(branch, 9)
        fused.append(F.conv2d(r, kernel, stride=stride, padding=4, groups=n))
    a = sloped(normed(torch.cat(fused, 1), pyramid.norm), pyramid.act)  # type: ignore[arg-type]
    blocks = pyramid.merge.conv.weight[:, :, 0, 0].split(n)  # type: ignore[union-attr,index]
    separate = torch.cat([torch.einsum("oc,nchw->nohw", w, m) for w, m in zip(blocks, a.split(n, 1), strict=True)], 1)
    whole = torch.einsum("oc,nchw->nohw", torch.block_diag(*blocks), a)
    torch.testing.assert_close(separate, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(pyramid(x), normed(separate, pyramid.merge.norm), rtol=1e-9, atol=1e-9)  # type: ignore[union-attr,arg-type]


def test_eesp_adds_its_input_only_where_widths_agree() -> None:
    same, wider = lively(EESP(16, 16, (1, 2, 3, 4))), lively(EESP(16, 32, (1, 2, 3, 4)))
    x = noise(1, 16, 9, 9)
    torch.testing.assert_close(same(x), sloped(same.pyramid(x) + x, same.act))  # type: ignore[operator,arg-type]
    torch.testing.assert_close(wider(x), sloped(wider.pyramid(x), wider.act))  # type: ignore[operator,arg-type]


def test_strided_eesp_keeps_the_mean_and_adds_the_image() -> None:
    unit, image = lively(StridedEESP(16, 32, (1, 2, 3, 4), 3)), noise(2, 3, 7, 5)
    x = noise(2, 16, 13, 9)
    mean = F.conv2d(x, torch.full((16, 1, 3, 3), 1 / 9, dtype=torch.float64), stride=2, padding=1, groups=16)
    z = torch.cat((mean, unit.pyramid(x)), 1)  # type: ignore[operator]
    assert unit.image is not None
    i = F.conv2d(image, unit.image[0].conv.weight, padding=1)  # type: ignore[index]
    i = sloped(normed(i, unit.image[0].norm), unit.image[0].act)  # type: ignore[index]
    i = normed(F.conv2d(i, unit.image[1].conv.weight), unit.image[1].norm)  # type: ignore[index]
    torch.testing.assert_close(unit(x, image), sloped(z + i, unit.act), rtol=1e-9, atol=1e-9)  # type: ignore[arg-type]
    blind = StridedEESP(16, 32, (1, 2, 3, 4))
    assert not [key for key in blind.state_dict() if "image" in key]


def mean_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Cell i covers floor(i n / m) to ceil((i + 1) n / m)."""
    (h, w), (oh, ow) = x.shape[2:], size
    out = x.new_empty(*x.shape[:2], oh, ow)
    for i in range(oh):
        for j in range(ow):
            rows = slice(i * h // oh, -(-(i + 1) * h // oh))
            out[:, :, i, j] = x[:, :, rows, j * w // ow : -(-(j + 1) * w // ow)].mean((2, 3))
    return out


def line(n: int, m: int) -> Tensor:
    """(m, n): weights of linear interpolation from n to m points whose ends coincide."""
    weights = torch.zeros(m, n, dtype=torch.float64)
    for i in range(m):
        place = i * (n - 1) / (m - 1)
        low = min(int(place), n - 2)
        weights[i, low], weights[i, low + 1] = 1 - (place - low), place - low
    return weights


def stretched(x: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.einsum("yh,nchw,xw->ncyx", line(x.shape[2], size[0]), x, line(x.shape[3], size[1]))


def test_pyramid_pool_is_its_equation() -> None:
    scales = (2.0, 1.5, 1.0, 0.5, 0.1)
    pool = lively(PyramidPool(8, 6, scales))
    x, h, w = noise(2, 8, 7, 13), 7, 13
    p = F.conv2d(x, pool.reduce.conv.weight)  # type: ignore[union-attr,arg-type]
    p = sloped(normed(p, pool.reduce.norm), pool.reduce.act)  # type: ignore[union-attr,arg-type]
    maps = []
    for scale, branch in zip(scales, pool.branches, strict=True):  # type: ignore[arg-type]
        size = (max(5, math.ceil(h * scale)), max(5, math.ceil(w * scale)))
        there, back = (stretched, mean_pool) if scale > 1 else (mean_pool, stretched)
        y = p if scale == 1 else there(p, size)
        y = F.conv2d(y, branch.weight, padding=1, groups=6)
        maps.append(y if scale == 1 else back(y, (h, w)))
    z = sloped(normed(torch.cat(maps, 1), pool.norm), pool.act)  # type: ignore[arg-type]
    z = z[:, [scale * 6 + channel for channel in range(6) for scale in range(5)]]
    y = F.conv2d(z, pool.merge.conv.weight, padding=1, groups=6)  # type: ignore[union-attr,arg-type]
    y = sloped(normed(y, pool.merge.norm), pool.merge.act)  # type: ignore[union-attr,arg-type]
    torch.testing.assert_close(pool(x), y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["espnet_p2_q3", "espnet_a_p2_q8", "espnetv2_050", "espnetv2_seg_050"])
def test_a_net_without_fusion_has_the_same_weights_and_other_answers(name: str) -> None:
    torch.manual_seed(0)
    fused, sparse = build(name).eval(), build(name, hff=False).eval()
    sparse.load_state_dict(fused.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert (fused(x) - sparse(x)).abs().max() > 1e-3 * fused(x).abs().max()
