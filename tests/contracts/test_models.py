"""What every network promises: timm's interface, checked over all of them.

Shapes and structure, on the meta device where nothing has to be computed; tests/models compares what they compute.
The smallest networks of a family's first functions run in the fast tier (what takes long: the smallest alone), all of
them in the slow one.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pumice.errors import BadInput
from pumice.models import catalogue
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.convnet import ConvNet, FeatureNet
from pumice.models.create import create_model
from pumice.models.dense.spec import DenseSpec
from pumice.models.described import config_of
from pumice.models.families import family_of, options_of, spec_of, variant, variants
from pumice.models.manifest import ModelConfig
from pumice.models.net import FeatureInfo, Net
from pumice.models.plainnet import PlainTrunk
from pumice.models.rows import Row
from pumice.models.spec import NetSpec
from pumice.nn.drop_path import DropPath

BATCH = 2
ODD_MAPS = (
    "squeezenet",
    "squeezenext",
    "fbnetv3",
)  # they pad less than half a kernel
KINDS = 2  # of classifiers of a family in the fast tier
ELSEWHERE = ("espnet_c_p2_q3", "fbnet_96", "fbnetv3_a0")  # tests/benchmarks/test_formats.py exports these very nets
HEAVY = 30e6  # parameters: beyond, a net is built for real in the slow tier only


def kind(name: str) -> tuple[Any, ...]:
    """What makes a network another program than its siblings: its family's function."""
    return family_of(name), variant(name).net


def tiers(kinds_of_a_family: int) -> list[Any]:
    """Every network; those that repeat a kind, or are of their family's further kinds, in the slow tier."""
    params = {e.name: e.params for e in catalogue.entries()}
    smallest: dict[Any, dict[Any, str]] = {}
    for name in sorted(variants(), key=lambda n: params.get(n, math.inf)):
        family, function = kind(name)
        kinds = smallest.setdefault(family, {})
        if len(kinds) < kinds_of_a_family or variant(name).task != "classify":
            kinds.setdefault(function, name)
    chosen = {name for kinds in smallest.values() for name in kinds.values()}
    return [
        pytest.param(n, marks=() if n in chosen and params.get(n, 0) < HEAVY else pytest.mark.slow) for n in variants()
    ]


EVERY = tiers(KINDS)
LONG = tiers(1)  # for what takes seconds a net


def every_second(cases: list[Any]) -> list[Any]:
    """The same cases; every second of those that are quick, and what is done elsewhere, goes to the slow tier."""
    quick = [case for case in cases if not case.marks]
    slow = [case for case in quick if case in quick[1::2] or case.values[0] in ELSEWHERE]
    return [pytest.param(*case.values, id=case.id, marks=pytest.mark.slow) if case in slow else case for case in cases]


CHAINS = [p for p in EVERY if isinstance(spec_of(p.values[0], {}), NetSpec)]
PLAIN = [p for p in EVERY if p not in CHAINS]
ON_A_BACKBONE = [p for p in PLAIN if isinstance(spec_of(p.values[0], {}), DenseSpec)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class ShapesOnly(TorchFunctionMode):
    """On meta, draws of weights, norms and activations take most of the time, and give what they are given: at once."""

    DRAWS = ("normal_", "uniform_", "kaiming_uniform_", "xavier_uniform_")
    POINTWISE = ("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "sigmoid", "prelu")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.batch_norm and args[0].is_meta:
            vectors = (*args[1:], kwargs["weight"], kwargs["bias"])
            assert {len(v) for v in vectors if v is not None} == {args[0].shape[1]}
            return torch.empty_like(args[0])
        if func.__name__ in self.POINTWISE and args[0].is_meta:
            return torch.empty_like(args[0])
        if func is nn.functional.interpolate and args[0].is_meta and len(args) > 1:
            return args[0].new_empty((*args[0].shape[:2], *args[1]))
        if func.__name__ in self.DRAWS and (tensor := kwargs.get("tensor", args[0] if args else None)) is not None:
            return tensor if tensor.is_meta else func(*args, **kwargs)
        return func(*args, **kwargs)


def on_meta(name: str, **arguments: Any) -> Net:
    with ShapesOnly(), torch.device("meta"):
        model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


@cache
def plain(name: str) -> Net:
    """The net as published, without storage, shared by tests that only look at it."""
    return on_meta(name)


def sides(name: str) -> tuple[int, int]:
    """A small image that the net takes."""
    limits = plain(name).sides
    return next((s, s) for s in (64, 224, *range(32, 512, 32)) if limits.allow(s, s))


def run(model: nn.Module, size: tuple[int, int], chans: int = 3) -> Any:
    device = next(model.parameters()).device
    with torch.no_grad(), ShapesOnly():
        return model.eval()(torch.zeros(BATCH, chans, *size, device=device))


def fits(output: Any, name: str, classes: int, size: tuple[int, int]) -> None:
    """The output has the shape that the net's task asks for."""
    task = variant(name).task
    if task == "classify":
        assert output.shape == (BATCH, classes)
    elif task == "segment":
        assert output.shape[:2] == (BATCH, classes)
        assert tuple(output.shape[2:]) in (size, (size[0] // 8, size[1] // 8))
    elif task == "keypoints":
        assert output.shape == (BATCH, classes, size[0] // 4, size[1] // 4)
    else:
        assert (output.ndim, output.shape[0], output.shape[2]) == (3, BATCH, 4 + classes)


def test_which_nets_are_no_chains() -> None:
    families = {family_of(p.values[0]).__name__.rpartition(".")[2] for p in PLAIN}
    assert families <= {"espnet", "espnet_v2", "peleenet"} | {
        family_of(p.values[0]).__name__.rpartition(".")[2] for p in ON_A_BACKBONE
    }


def config(name: str, classes: int) -> ModelConfig:
    """The record of a net as published but for its classes."""
    spec = spec_of(name, {})
    return ModelConfig(name, classes, output_stride=spec.output_stride if isinstance(spec, DenseSpec) else 32)


@pytest.mark.parametrize("name", EVERY)
def test_classes(name: str) -> None:
    size = sides(name)
    model = on_meta(name, num_classes=7)
    assert (model.num_classes, config_of(model)) == (7, config(name, 7))
    fits(run(model, size), name, 7, size)
    model.reset_classifier(9)
    assert config_of(model) == config(name, 9)
    assert config_of(plain(name)) == config(name, variant(name).num_classes)
    if variant(name).task != "classify":
        fits(run(model, size), name, 9, size)
        with pytest.raises(BadInput, match="class"):
            create_model(name, num_classes=0)
        return

    with ShapesOnly():
        features = model.forward_features(torch.zeros(BATCH, 3, *size, device="meta"))
    assert isinstance(features, Tensor)
    assert features.ndim == 4
    assert model.forward_head(features, pre_logits=True).shape == (BATCH, model.num_features)
    assert model.forward_head(features).shape == (BATCH, 9)
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    assert run(model, size).shape == (BATCH, model.num_features)
    assert not [key for key in model.state_dict() if "classifier" in key or key.startswith("head.norm")]
    none = on_meta(name, num_classes=0)
    assert run(none, size).shape == (BATCH, model.num_features)
    assert none.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", EVERY)
def test_sizes_of_input(name: str) -> None:
    """From 32 to 512 pixels, odd and oblong, or one sentence that says what the net takes."""
    model = plain(name)
    for size in {(32, 32), (33, 47), (224, 224), (160, 512), *[(s, s) for s in variant(name).image]}:
        if model.sides.allow(*size):
            fits(run(model, size), name, variant(name).num_classes, size)
        else:
            with pytest.raises(BadInput, match="takes images whose sides are") as raised:
                run(model, size)
            assert "\n" not in str(raised.value)
    assert model.sides.allow(*variant(name).image)


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("chans", [1, 4])
def test_input_channels(name: str, chans: int) -> None:
    model = on_meta(name, in_chans=chans)
    fits(run(model, sides(name), chans), name, variant(name).num_classes, sides(name))
    ours, usual = model.state_dict(), plain(name).state_dict()
    differs = [key for key, value in ours.items() if value.shape != usual[key].shape]
    if isinstance(model, ConvNet):
        assert len(differs) == 1, "only the first convolution changes"
        assert ours[differs[0]].shape[1] == chans
    else:
        assert differs


@pytest.mark.parametrize("name", EVERY)
def test_feature_maps_are_what_feature_info_says(name: str) -> None:
    whole, size = plain(name), sides(name)
    info = whole.feature_info
    own = [r for r in (1, 2, 4, 8, 16, 32) if r >= info.reduction()[0]]
    assert info.reduction() == own[: len(info)]
    assert [set(entry) for entry in info] == [{"num_chs", "reduction", "module"}] * len(info)
    with ShapesOnly(), torch.device("meta"):
        trunk = create_model(name, features_only=True)
    assert isinstance(trunk, FeatureNet | PlainTrunk)
    maps = run(trunk, size)
    assert trunk.feature_info == info
    assert [m.shape[1] for m in maps] == info.channels()
    for found, reduction in zip(maps, info.reduction(), strict=True):
        ideal = math.ceil(size[0] / reduction)
        assert ideal - 3 <= found.shape[2] <= ideal
        assert name.startswith(ODD_MAPS) or found.shape[2] == ideal
    if isinstance(whole, ConvNet):
        with ShapesOnly():
            last = whole.forward_features(torch.zeros(BATCH, 3, *size, device="meta"))
        assert maps[-1].shape == last.shape, "the finest choice ends with the trunk"
        modules = dict(whole.named_modules())
        assert all(path in modules for path in info.module_name())
    kept = tuple(key for key in whole.state_dict() if key.startswith(("blocks.", "encoder.")))
    assert tuple(trunk.state_dict()) == kept


@pytest.mark.parametrize("name", EVERY)
def test_widths_told_anew_are_those_told_before(name: str) -> None:
    net = plain(name)
    told, wide, modes = net.feature_info, net.num_features, [module.training for module in net.modules()]
    net.feature_info = FeatureInfo({**info, "num_chs": 0} for info in told)
    net.num_features = 0
    net.tell_widths()
    assert (net.feature_info, net.num_features) == (told, wide)
    assert [module.training for module in net.modules()] == modes


@pytest.mark.parametrize("name", EVERY)
def test_chosen_feature_maps(name: str) -> None:
    net, size = plain(name), sides(name)
    info, last = net.feature_info, len(net.feature_info) - 1
    several = (((1, -1), sorted({1, last})), ((-2, 0), sorted({0, last - 1}))) if last else ()
    for indices, chosen in (((0,), [0]), *several):
        trunk = net.trunk(indices)
        assert trunk.feature_info == [info[i] for i in chosen]
        assert [m.shape[1] for m in run(trunk, size)] == [info[i]["num_chs"] for i in chosen]
        if isinstance(trunk, FeatureNet):
            end = int(info[chosen[-1]]["module"].split(".")[1]) + 1
            assert len(trunk.blocks) == end, "no row beyond the last map"
    for wrong in ((last + 1,), (-last - 2,), ()):
        with pytest.raises(BadInput, match="out_indices"):
            net.trunk(wrong)


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", CHAINS)
def test_output_stride(name: str, output_stride: int) -> None:
    whole, dense = plain(name), on_meta(name, output_stride=output_stride)
    assert isinstance(dense, ConvNet)
    shapes = {key: value.shape for key, value in whole.state_dict().items()}
    assert {key: value.shape for key, value in dense.state_dict().items()} == shapes
    assert config_of(dense) == ModelConfig(name, variant(name).num_classes, output_stride=output_stride), (
        "a head that needs a map of one size cannot be dense"
    )
    assert dense.feature_info.module_name() == whole.feature_info.module_name()
    assert dense.feature_info.channels() == whole.feature_info.channels()
    assert dense.feature_info.reduction() == [min(r, output_stride) for r in whole.feature_info.reduction()]
    side = sides(name)[0]
    maps = run(dense.trunk(None), (side, side))
    for found, reduction in zip(maps, dense.feature_info.reduction(), strict=True):
        assert side // reduction - 3 <= found.shape[2] <= side // reduction
        assert name.startswith(ODD_MAPS) or tuple(found.shape[2:]) == (side // reduction, side // reduction)


@pytest.mark.parametrize("name", [p for p in PLAIN if p not in ON_A_BACKBONE])
def test_plain_modules_keep_their_stride(name: str) -> None:
    with pytest.raises(BadInput, match="output_stride 16 cannot be had"):
        on_meta(name, output_stride=16)


@pytest.mark.parametrize("name", ON_A_BACKBONE)
def test_output_stride_of_a_backbone(name: str) -> None:
    """Strides become dilation in the backbone, and the record says so; the weights are the same."""
    whole = plain(name)
    for output_stride in (8, 16, 32):
        dense = on_meta(name, output_stride=output_stride)
        assert config_of(dense) == ModelConfig(name, variant(name).num_classes, output_stride=output_stride)
        assert dense.feature_info.reduction()[-1] == output_stride
        shapes, own = ({k: v.shape for k, v in net.state_dict().items()} for net in (whole, dense))
        assert own == shapes or variant(name).task == "keypoints", "whose head has a block for each doubling"
        assert {k: own[k] for k in own if k.startswith("encoder")} == {
            k: shapes[k] for k in shapes if k.startswith("encoder")
        }
        fits(run(dense, sides(name)), name, variant(name).num_classes, sides(name))


@pytest.mark.parametrize("name", CHAINS)
def test_dilation_follows_tensorflow(name: str) -> None:
    """The row whose stride goes keeps the dilation before it; the rows after it take the product."""
    spec = spec_of(name, {})
    assert isinstance(spec, NetSpec)
    reached = removed = 1
    for row, dense in zip(spec.rows, spec.dilated(8).rows, strict=True):
        assert dense.dilation == removed
        if reached * row.stride > 8:
            assert dense.stride == 1
            removed *= row.stride
        else:
            assert dense.stride == row.stride
            reached *= row.stride
    assert removed == max(1, plain(name).feature_info.reduction()[-1] // 8)
    width, found = 3, set()
    with ShapesOnly(), torch.device("meta"):
        for row in spec.dilated(8).rows:
            convs = [m for m in row.build(width).modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
            found |= {(row.dilation, max(m.dilation)) for m in convs}
            width = row.width(width)
    assert all(row == conv for row, conv in found), "the row's dilation is that of its convolutions"


@pytest.mark.parametrize("output_stride", [0, -8, 3, 12, 64])
def test_impossible_output_strides(output_stride: int) -> None:
    for make in (lambda: create_model("micronet_m0", output_stride=output_stride), lambda: bad(output_stride)):
        with pytest.raises(BadInput, match=f"output_stride {output_stride} cannot be had; choose 8, 16 or 32"):
            make()


def bad(output_stride: int) -> object:
    spec = spec_of("squeezenet1_0", {})
    assert isinstance(spec, NetSpec)
    return spec.dilated(output_stride)


@pytest.mark.parametrize("name", EVERY)
def test_drop_rate_is_the_heads_dropout(name: str) -> None:
    def rates(model: Net) -> list[float]:
        return [m.p for m in model.head.modules() if isinstance(m, nn.Dropout)]

    own, given = rates(plain(name)), rates(on_meta(name, drop_rate=0.37))
    assert given == [0.37] * len(own)
    if variant(name).task == "classify":
        assert len(own) == 1 or family_of(name).__name__.endswith(("condensenet", "channelnet"))


@pytest.mark.parametrize("name", EVERY)
def test_drop_path_rate(name: str) -> None:
    if not [m for m in plain(name).modules() if isinstance(m, DropPath)]:
        with pytest.raises(BadInput, match="no residual branches"):
            on_meta(name, drop_path_rate=0.2)
        return
    rates = [m.p for m in on_meta(name, drop_path_rate=0.2).modules() if isinstance(m, DropPath)]
    assert rates == sorted(rates)
    assert len(rates) == 1 or (rates[0], rates[-1]) == (0, pytest.approx(0.2))
    assert all(m.p == 0 for m in plain(name).modules() if isinstance(m, DropPath))


@pytest.mark.parametrize("name", EVERY)
def test_specs_are_json(name: str) -> None:
    spec = spec_of(name, {})
    assert is_dataclass(spec)
    for part in (spec, *((*spec.rows, spec.head) if isinstance(spec, NetSpec) else ())):
        assert is_dataclass(part)
        assert type(part).__dataclass_params__.frozen  # type: ignore[attr-defined]
        json.dumps(asdict(part))
    if isinstance(spec, NetSpec):
        assert all(isinstance(row, Row) for row in spec.rows)
    assert json.loads(json.dumps(options_of(name))) == options_of(name)
    assert catalogue.entry(name).options == options_of(name)


@pytest.mark.parametrize("name", CHAINS)
def test_rows_know_their_width_and_stride(name: str) -> None:
    spec, channels, side = spec_of(name, {}), 3, sides(name)[0]
    assert isinstance(spec, NetSpec)
    with ShapesOnly(), torch.device("meta"):
        for row in spec.rows:
            out = row.build(channels).eval()(torch.zeros(BATCH, channels, side, side))
            channels = row.width(channels)
            assert out.shape[1] == channels
            assert name.startswith(ODD_MAPS) or out.shape[2] == -(-side // row.stride)
            side = out.shape[2]


@pytest.mark.parametrize("name", LONG)
def test_every_layer_runs_in_order_and_learns(name: str) -> None:
    """Registered in order of execution (weights rely on it), and reached by the gradient."""
    torch.manual_seed(0)
    model = create_model(name, drop_rate=0.0).train()
    assert isinstance(model, Net)
    order: list[str] = []
    for path, module in model.named_modules():
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear | nn.modules.batchnorm._BatchNorm):
            module.register_forward_hook(lambda *_, path=path: order.append(path))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model(torch.randn(4, 3, *sides(name))).square().sum().backward()
    if isinstance(model, ConvNet):
        assert order == [p for p, m in model.named_modules() if p in set(order)]
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())


# tests/benchmarks/test_formats.py has torch export the other families, too.
@pytest.mark.parametrize("name", every_second(LONG))
def test_the_exported_program_answers_the_same(name: str) -> None:
    torch.manual_seed(0)
    model, x = create_model(name).eval(), torch.randn(1, 3, *sides(name))
    program = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LONG)
def test_a_checkpoint_brings_the_net_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model(name, in_chans=1).eval()
    save_checkpoint(tmp_path / "net.safetensors", model, manifest_of(model))
    again, manifest = load_checkpoint(tmp_path / "net.safetensors")
    assert manifest == manifest_of(model)
    assert again.state_dict().keys() == model.state_dict().keys()
    x = torch.randn(1, 1, *sides(name))
    with torch.no_grad():
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
