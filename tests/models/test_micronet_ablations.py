"""MicroNet's ablations: counts of the authors' code, the ranks that the paper argues with, and solved widths.

tests/models/test_official.py compares what ablated nets compute with what the authors' code computes.
"""

import json
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.families import spec_of, variant
from pumice.models.micronet import Places
from pumice.models.micronet_blocks import Last, Lite, Regular, Stem
from pumice.models.micronet_widths import groups_for, madds_of
from pumice.models.weights import source_of
from pumice.nn.dynamic_relu import DynamicReLU
from pumice.nn.factorised import FactorisedDepthwise
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shift_max import DynamicShiftMax, StaticShiftMax

NETS = ("m0", "m1", "m2", "m3", "44m")


def on_meta(name: str = "micronet_m2", **options: Any) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


def counts(name: str = "micronet_m2", **options: Any) -> tuple[int, int, int]:
    found = profile(on_meta(name, **options), (3, 224, 224))
    return found.params, found.madds, found.extra_madds


def widths(name: str, **options: Any) -> list[int]:
    return [row.out_channels for row in spec_of(name, options).rows if isinstance(row, Lite | Regular)]


# ---- the released nets stay what they are


@pytest.mark.parametrize(
    ("net", "keys", "crc"),
    [("m0", 218, 4263561063), ("m1", 218, 4263561063), ("m2", 290, 3778138246), ("m3", 322, 286783601)],
)
def test_keys_of_released_nets_are_those_of_the_first_checkpoints(net: str, keys: int, crc: int) -> None:
    found = list(on_meta(f"micronet_{net}").state_dict())
    assert (len(found), zlib.crc32("\n".join(found).encode())) == (keys, crc)


@pytest.mark.parametrize("net", NETS)
def test_the_rule_gives_every_group_number_of_the_tables(net: str) -> None:
    name = f"micronet_{net}"
    table, by_rule = spec_of(name, {}).rows, spec_of(name, {"groups": "adaptive"}).rows
    assert by_rule == table
    assert len(by_rule) > 6
    assert spec_of(name, {"groups": "adaptive", "lambda_": 2.0}).rows != table


def test_the_authors_keys_tell_their_source() -> None:
    fixture = json.loads((Path(__file__).parents[1] / "golden" / "official" / "micronet_m0.json").read_text())
    keys = {key: torch.empty(shape, device="meta") for key, shape in fixture["tensors"]}
    assert source_of(keys, on_meta("micronet_m0")) == "official"


# ---- counts of the authors' code with other places and activations (M2; parameters in millions)


@pytest.mark.parametrize(
    ("places", "millions"),
    [
        ("none", 1.876),
        ("A1", 2.074),
        ("A2", 2.002),
        ("A3", 2.070),
        ("A1+A2", 2.200),
        ("A1+A3", 2.268),
        ("A2+A3", 2.196),
        ("all", 2.394),
        ("released", 2.394),
    ],
)
def test_parameters_by_place(places: Places, millions: float) -> None:
    params, _, extra = counts(places=places)
    assert params / 1e6 == pytest.approx(millions, abs=0.00095)  # some of the figures were cut, not rounded
    assert (extra == 0) == (places == "none")


def test_places_of_m3_start_from_its_own() -> None:
    assert spec_of("micronet_m3", {"places": "A1"}).rows[:-1] == spec_of("micronet_m3", {}).rows[:-1]
    every = [m for m in on_meta("micronet_m3", places="all").modules() if isinstance(m, DynamicShiftMax)]
    assert len(every) == 3 * 2 + 8 * 3 + 1


@pytest.mark.parametrize(
    ("options", "params", "kind"),
    [
        ({"activation": "se"}, 2_114_725, SqueezeExcite),
        ({"activation": "relu"}, 1_876_172, None),
        ({"activation": "static_shift_max"}, 1_890_868, StaticShiftMax),
        ({"activation": "dynamic_relu"}, 2_393_876, DynamicReLU),  # as many coefficients as Shift-Max, J = K = 2
        ({"j": 1, "k": 1}, 2_114_848, DynamicShiftMax),
    ],
)
def test_parameters_by_activation(options: dict[str, Any], params: int, kind: type[nn.Module] | None) -> None:
    assert counts(**options)[0] == params
    kinds = (SqueezeExcite, StaticShiftMax, DynamicReLU, DynamicShiftMax)
    found = [type(m) for m in on_meta(**options).modules() if isinstance(m, kinds)]
    assert found == [kind] * (0 if kind is None else 21)


@pytest.mark.parametrize(
    ("j", "k", "printed"), [(1, 1, 2.1), (2, 1, 2.2), (2, 2, 2.4), (2, 3, 2.6), (1, 2, 2.2), (3, 2, 2.6), (3, 3, 2.8)]
)
def test_parameters_by_j_and_k_are_those_that_the_paper_prints(j: int, k: int, printed: float) -> None:
    params, _, extra = counts(j=j, k=k)
    assert round(params / 1e6, 1) == printed
    squeezed = 285_376 // 2 * j  # places A2 always have K = 1
    assert extra == squeezed + (2_405_312 - 285_376) // 4 * j * k
    assert counts(j=j, k=k, form="paper") == counts(j=j, k=k)


# ---- ranks


def pointwise_blocks(**options: Any) -> list[Tensor]:
    """W from the squeeze of M1's row 5 to the expansion of row 6, without their norms: its 8 x 8 blocks, row by row."""
    torch.manual_seed(0)
    net = create_model("micronet_m1", **options).double().eval()
    squeeze, expand = net.blocks[5], net.blocks[6].expand.conv
    if isinstance(squeeze.act3, StaticShiftMax):
        nn.init.normal_(squeeze.act3.coefficients)
    hidden = squeeze.squeeze.conv.in_channels
    with torch.no_grad():
        y = squeeze.act3(squeeze.squeeze.conv(torch.eye(hidden).double()[:, :, None, None]))
        w = expand(squeeze.mix3(squeeze.shuffle3(y)))[:, :, 0, 0].T
    return [block for row in w.chunk(8, 0) for block in row.chunk(8, 1)]


def test_two_group_adaptive_convolutions_make_blocks_of_rank_one() -> None:
    assert groups_for(384, 6) == (8, 8)
    assert [int(torch.linalg.matrix_rank(block)) for block in pointwise_blocks(places="none")] == [1] * 64


@pytest.mark.parametrize("form", ["released", "paper"])
def test_a_static_shift_between_them_makes_rank_two(form: str) -> None:
    shifted = pointwise_blocks(places="A2", activation="static_shift_max", form=form)
    assert [int(torch.linalg.matrix_rank(block)) for block in shifted] == [2] * 64
    # It takes both: the release's second shuffle alone leaves half of the blocks empty.
    mixed = [int(torch.linalg.matrix_rank(block)) for block in pointwise_blocks(places="A2", activation="relu")]
    assert sorted(mixed) == [0] * 32 + [2] * 32


# ---- the full-rank partner


@pytest.mark.parametrize("net", ["m0", "m3"])
def test_the_full_rank_partner_has_maps_of_the_same_shape_and_no_group_convolutions(net: str) -> None:
    name = f"micronet_{net}"
    small, partner = create_model(name), create_model(name, full_rank=True)
    x = torch.zeros(1, 3, 64, 64)
    for ours, theirs in zip(small.blocks, partner.blocks, strict=True):
        y = ours.eval()(x)
        assert y.shape == theirs.eval()(x).shape
        x = y
    for path, module in partner.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            assert module.groups == 1, path
    assert not [m for m in partner.modules() if isinstance(m, FactorisedDepthwise)]
    depthwise = [block.depthwise.conv for block in partner.blocks if hasattr(block, "depthwise")]
    assert [conv.kernel_size for conv in depthwise] == [2 * (row.kernel_size,) for row in small.spec.rows[1:-1]]
    assert all(conv.kernel_size[0] == conv.kernel_size[1] > 1 for conv in depthwise)
    released = create_model(name, full_rank=True, full_rank_rows="regular")
    assert len([m for m in released.modules() if isinstance(m, FactorisedDepthwise)]) == 3, "the lite rows"
    with pytest.raises(BadInput, match="full_rank_rows needs full_rank=true"):
        create_model(name, full_rank_rows="regular")


# ---- widths


@pytest.mark.parametrize("width", [0.2, 0.5, 0.77, 1.3])
@pytest.mark.parametrize("net", ["m0", "m1", "m3"])
def test_any_width_gives_a_net_whose_group_numbers_multiply_to_the_width(net: str, width: float) -> None:
    rows = spec_of(f"micronet_{net}", {"width": width}).rows
    for row, after in pairwise(rows[3:]):
        assert isinstance(after, Regular | Last)
        assert row.squeeze_groups * after.expand_groups == row.out_channels
    net_ = create_model(f"micronet_{net}", width=width, places="all", num_classes=3).eval()
    assert net_(torch.zeros(1, 3, 33, 47)).shape == (1, 3)


def test_widths_scale_as_the_rule_says() -> None:
    assert widths("micronet_m2") == [12, 16, 24, 32, 32, 64, 96, 128]
    assert widths("micronet_m2", width=0.75) == [12, 12, 20, 24, 24, 48, 72, 96]
    stems = [spec_of(f"micronet_{net}", {"width": 0.75}).rows[0] for net in ("m2", "m3", "m1")]
    assert [(stem.q, stem.e) for stem in stems if isinstance(stem, Stem)] == [(3, 2), (4, 3), (2, 2)]


@pytest.mark.parametrize(
    ("channels", "expansion", "before", "pair"),
    [
        (16 * 6, 6, 0, (4, 4)),
        (80 * 6, 6, 0, (8, 10)),
        (128 * 6, 6, 0, (8, 16)),
        (7 * 4, 4, 0, (1, 7)),
        (12, 1, 32, (4, 3)),  # 3 does not divide 32
        (40, 1, 48, (8, 5)),
    ],
)
def test_pairs_of_group_numbers(channels: int, expansion: int, before: int, pair: tuple[int, int]) -> None:
    assert groups_for(channels, expansion, before) == pair


@pytest.mark.parametrize(
    "options",
    [
        {"lite": "none", "full_rank": True},
        {"lite": "none", "groups": "adaptive"},
        {"lite": "both"},
        {"groups": "fixed", "fixed_groups": 4},
        {"groups": "adaptive", "lambda_": 0.5},
        {"groups": "adaptive", "lambda_": 4.0},
    ],
)
def test_solved_widths_cost_what_was_asked(options: dict[str, Any]) -> None:
    most = 10_600_000
    net = on_meta(madds=most, activation="relu", **options)
    found = profile(net, (3, 224, 224))
    assert 10_450_000 <= found.madds <= most
    assert found.madds == madds_of(net.spec.rows, 1024)
    rows = net.spec.rows
    assert [type(row) for row in rows if isinstance(row, Lite)] == [Lite] * {"none": 0, "both": 8}.get(
        options.get("lite", ""), 3
    )
    assert all(row.expand == 6 for row in rows if isinstance(row, Regular | Last))
    assert [row.stride for row in rows] == [row.stride for row in spec_of("micronet_m2", {}).rows]
    if "fixed_groups" in options:
        assert {row.squeeze_groups for row in rows if isinstance(row, Lite | Regular)} == {4}


@pytest.mark.parametrize("rows", ["all", "regular"])
def test_a_full_rank_partner_costs_what_its_widths_say(rows: str) -> None:
    net = on_meta(activation="relu", full_rank=True, full_rank_rows=rows)
    assert profile(net, (3, 224, 224)).madds == madds_of(net.spec.rows, 1024)


def test_equal_options_give_equal_nets() -> None:
    rows = spec_of("micronet_m2", {"madds": 10_600_000, "activation": "relu"}).rows
    plain = spec_of("micronet_m2", {"madds": 10_600_000}).rows
    assert tuple(replace(r, activation="shift_max") if not isinstance(r, Stem) else r for r in rows) == plain


# ---- options as a user gives them


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "options",
    [
        {"form": "paper", "j": 3, "k": 3},
        pytest.param({"form": "paper", "j": 2, "k": 1}, marks=SLOW),
        {"activation": "static_shift_max", "k": 3},
        pytest.param({"activation": "dynamic_relu", "lite": "both"}, marks=SLOW),
        pytest.param({"activation": "se", "places": "all", "lite": "none"}, marks=SLOW),
        pytest.param({"full_rank": True, "width": 0.5}, marks=SLOW),
    ],
)
def test_ablated_nets_learn_and_export(options: dict[str, Any], realistic: Any, images: Any) -> None:
    torch.manual_seed(0)
    net = realistic(create_model("micronet_m0", num_classes=3, **options), batches=1)
    x = images(4, (3, 32, 32), 1)
    exported = torch.export.export(net, (x,)).module()
    y = net(x).detach()
    torch.testing.assert_close(exported(x), y)
    assert float(y.std(0).max()) > 1e-6 * float(y.abs().max())
    net.train()(x).square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_static_candidates_start_apart() -> None:
    """Two that start equal would get equal gradients for ever: a dynamic one's random weights part them."""
    for k in (2, 3):
        net = create_model("micronet_m0", activation="static_shift_max", k=k)
        layers = [m for m in net.modules() if isinstance(m, StaticShiftMax) and m.terms > 1]
        x = torch.randn(1, layers[0].channels, 2, 2)
        torch.testing.assert_close(layers[0](x), x.relu())
        for layer in layers:
            assert len(layer.coefficients[:, 0].view(k, 2).unique(dim=0)) == k


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"j": 4}, "option j must be 1, 2 or 3, not 4"),
        ({"k": 0}, "option k must be 1, 2 or 3, not 0"),
        ({"activation": "dynamic_relu", "k": 1}, "needs an option k of 2 or 3"),
        ({"fixed_groups": 4}, "fixed_groups 4 must be above 0 and needs groups='fixed'"),
        ({"groups": "fixed", "fixed_groups": 0}, "fixed_groups 0 must be above 0"),
        ({"lambda_": 2.0}, "lambda_ 2.0 needs groups='adaptive'"),
        ({"madds": 10_000_000, "width": 0.5}, "so its option width must stay 1"),
        ({"madds": 1000}, "as few as 1000 multiply-adds"),
        ({"places": "A4"}, " or ".join(map(repr, get_args(Places)))),
        ({"form": "printed"}, "form must be 'released' or 'paper', not 'printed'"),
    ],
)
def test_impossible_options_are_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model("micronet_m2", **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_invented_net_says_so() -> None:
    found = variant("micronet_44m")
    assert (found.status, found.published) == ("reconstruction", "M3 (first arXiv version)")
    for words in ("invented here from the published rules and budget", "accuracy is not known", "2011.12289"):
        assert words in found.note
