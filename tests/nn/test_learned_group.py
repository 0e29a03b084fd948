"""Learned group convolution against the authors' own layer and against plain loops."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pumice.errors import BadInput
from pumice.nn.learned_group import CondensedConv, LearnedGroupConv, SelectChannels, stage_at

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "learned_group.json").read_text(encoding="utf-8")
)["cases"]


def layer_of(case: dict[str, Any]) -> LearnedGroupConv:
    """The layer that the authors' code was run on."""
    i, o = case["in_channels"], case["out_channels"]
    layer = LearnedGroupConv(i, o, case["groups"], case["condense_factor"]).double()
    weight = np.random.default_rng(case["seed"]).standard_normal((o, i))
    layer.conv.weight.data = torch.from_numpy(weight).view(o, i, 1, 1)
    return layer


def trained(layer: LearnedGroupConv) -> LearnedGroupConv:
    """With norms that differ from channel to channel; evaluation mode."""
    draw = torch.Generator().manual_seed(1)
    for name in ("weight", "running_var"):
        getattr(layer.norm, name).data.uniform_(0.5, 1.5, generator=draw)
    for name in ("bias", "running_mean"):
        getattr(layer.norm, name).data.uniform_(-0.5, 0.5, generator=draw)
    return layer.eval()


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"G{c['groups']} C{c['condense_factor']}")
def test_prunings_and_lasso_are_the_authors(case: dict[str, Any]) -> None:
    layer = layer_of(case)
    for step in case["steps"]:
        layer.prune(stage_at(step["progress"], case["condense_factor"]))
        assert (layer.stage, int(layer.count)) == (step["stage"], step["count"])
        assert float(layer.conv.mask.mean()) == pytest.approx(step["density"])
        for group, kept in enumerate(step["kept"]):
            rows = layer.conv.mask[group :: case["groups"], :, 0, 0]
            assert all(row.nonzero().flatten().tolist() == kept for row in rows)
        assert layer.lasso().item() == pytest.approx(step["lasso"], rel=1e-12)
    assert layer.stage == case["condense_factor"] - 1, "the last step is the end of training"


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"G{c['groups']} C{c['condense_factor']}")
def test_prunings_that_were_missed_are_made_up_for(case: dict[str, Any]) -> None:
    """The authors' layer would do one of them."""
    layer = layer_of(case)
    layer.prune(stage_at(1.0, case["condense_factor"]))
    last = case["steps"][-1]["kept"]
    assert [layer.conv.mask[g, :, 0, 0].nonzero().flatten().tolist() for g in range(case["groups"])] == last


def test_a_pruning_that_is_done_is_not_done_again() -> None:
    layer = layer_of(CASES[0])
    layer.prune(2)
    before = layer.conv.mask.clone()
    layer.conv.weight.data.normal_()
    layer.prune(2)
    layer.prune(1)
    assert torch.equal(layer.conv.mask, before)


def test_weights_that_are_zero_by_themselves_do_not_spoil_the_count() -> None:
    layer = LearnedGroupConv(16, 8, groups=4, condense_factor=4)
    layer.conv.weight.data.zero_()
    for stage in (1, 2, 3):
        layer.prune(stage)
        assert (layer.conv.mask[:4, :, 0, 0].sum(1) == 16 - 4 * stage).all()


def test_a_pruned_weight_neither_counts_nor_learns() -> None:
    layer = trained(layer_of(CASES[0])).train()
    layer.prune(2)
    gone = layer.conv.mask == 0
    x = torch.randn(4, 16, 3, 3, dtype=torch.float64)
    y = layer.eval()(x)
    layer.conv.weight.data[gone] = 100.0
    assert torch.equal(layer(x), y)
    layer(x).square().sum().backward()
    gradient = layer.conv.weight.grad
    assert gradient is not None
    assert (gradient[gone] == 0).all()
    assert (gradient[~gone] != 0).all()


def by_loops(layer: LearnedGroupConv, x: Tensor) -> Tensor:
    """Each output from the inputs that its group kept."""
    norm, weight = layer.norm, layer.conv.weight[:, :, 0, 0]
    h = F.relu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps))
    y = x.new_zeros(x.shape[0], layer.out_channels, *x.shape[2:])
    for row in range(layer.out_channels):
        kept = layer.conv.mask[row % layer.groups, :, 0, 0].nonzero().flatten()
        y[:, row] = torch.einsum("i,nihw->nhw", weight[row, kept], h[:, kept])
    return y


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"G{c['groups']} C{c['condense_factor']}")
def test_both_forms_are_the_same_function(case: dict[str, Any]) -> None:
    layer = trained(layer_of(case))
    layer.prune(case["condense_factor"] - 1)
    x = torch.randn(3, case["in_channels"], 5, 4, dtype=torch.float64)
    small = layer.condensed()
    with torch.no_grad():
        expected = by_loops(layer, x)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(small(x), expected, rtol=0, atol=1e-12)
    assert small.conv.in_channels == case["in_channels"] * case["groups"] // case["condense_factor"]
    assert small.conv.groups == case["groups"]
    assert small.state_dict().keys() == CondensedConv(16, 16, 4, 4).state_dict().keys()
    groups = small.select.index.view(case["groups"], -1)
    assert (groups.diff() > 0).all(), "the inputs of a group, in their order"


def test_the_forms_agree_while_training_too() -> None:
    """Batch statistics and running ones: the norm of a chosen channel is that channel's."""
    layer = trained(layer_of(CASES[0]))
    layer.prune(3)
    small = layer.condensed().train()
    layer.train()
    x = torch.randn(6, 16, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(small(x), layer(x), rtol=0, atol=1e-12)
    assert layer.norm.running_mean is not None
    torch.testing.assert_close(small.norm.running_mean, layer.norm.running_mean[small.select.index])


def test_a_layer_that_is_not_pruned_through_cannot_be_condensed() -> None:
    layer = layer_of(CASES[0])
    layer.prune(2)
    with pytest.raises(BadInput, match="has done 2 of its 3 prunings") as raised:
        layer.condensed()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shape", [(18, 16, 4, 2), (18, 16, 2, 4), (16, 18, 4, 4), (16, 16, 0, 4), (16, 16, 4, 0)])
@pytest.mark.parametrize("form", [LearnedGroupConv, CondensedConv])
def test_channels_that_cannot_be_shared_out(form: Any, shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInput, match="groups must divide both widths, the factor the first") as raised:
        form(*shape)
    assert "\n" not in str(raised.value)


def test_dropout_is_between_activation_and_convolution() -> None:
    for form in (LearnedGroupConv, CondensedConv):
        layer = form(16, 8, 4, 4, dropout=0.5).train()
        seen: list[Tensor] = []
        layer.conv.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        torch.manual_seed(0)
        layer(torch.rand(8, 16, 8, 8))
        zero = (seen[0] == 0).double().mean().item()
        assert 0.7 < zero < 0.8, "half by ReLU, half of the rest by dropout"
    pruned = LearnedGroupConv(16, 8, 4, 4, dropout=0.3)
    pruned.prune(3)
    assert pruned.condensed().dropout.p == 0.3


def test_chosen_channels() -> None:
    x = torch.randn(2, 5, 3)
    index = torch.tensor([4, 0, 0])
    assert torch.equal(SelectChannels(index)(x), torch.stack((x[:, 4], x[:, 0], x[:, 0]), dim=1))


def test_layout_in_memory_does_not_matter() -> None:
    layer, other = layer_of(CASES[0]), layer_of(CASES[0]).to(memory_format=torch.channels_last)
    layer.prune(2)
    other.prune(2)
    assert torch.equal(layer.conv.mask, other.conv.mask)
