"""Layers that compute with rounded weights, inputs and outputs while they train, so that they learn to bear it.

B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018 (arXiv:1712.05877), section 3: gradients pass through the rounding where nothing is clipped, weights take the range
that they have now, activations a moving average of the ranges of batches.  The rounding is torch's own.

As in `sensitivity` every layer is rounded as all toolkits do it: weights symmetric, a scale for each output channel;
activations asymmetric, one scale.  So the tuned weights serve every scheme.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_LEVEL = 63
"""Largest integer of a weight: the 7 bits of the "reduced" range, and so on the safe side of 8."""
_KEPT = 0.95  # of the range so far, at each step
_ORIGINAL = "parametrizations.weight.original"
_BEFORE, _BEHIND = "rounded_input", "rounded_output"
_Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.Linear


class RoundedWeight(nn.Module):
    """W -> s round(W / s), s = max |W| / 63 of each slice along `axis`."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, weight: Tensor) -> Tensor:
        """The shape stays."""
        others = [i for i in range(weight.dim()) if i != self.axis]
        scale = weight.detach().abs().amax(others).clamp_min(1e-12) / _LEVEL
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, self.axis, -_LEVEL, _LEVEL)


class RoundedActivation(nn.Module):
    """x -> x on a grid of 256 values that holds 0; any shape.

    low, high: ends of the grid, of the moving average over the batches seen in training mode, the first of which begins
        it.
    """

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        if self.training:
            self._see(x.detach())
        scale = ((self.high - self.low) / 255).clamp_min(1e-12)
        zero = (-self.low / scale).round().clamp(0, 255).int()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255)

    def _see(self, x: Tensor) -> None:
        fresh = (self.low == self.high).float()
        kept = _KEPT * (1 - fresh)
        for end, now in ((self.low, x.min().clamp_max(0)), (self.high, x.max().clamp_min(0))):
            end.copy_(kept * end + (1 - kept) * now)


def rounding(model: nn.Module) -> nn.Module:
    """A copy whose convolutions and linear layers round what they compute with; all its weights can be trained.

    Layers that share a weight, or have none of their own, stay as they are.

    Args:
        model: float network with its norms folded (`pumice.deploy.network.folded`), so that it is the weights of the
            file that are rounded.
    """
    rounded = copy.deepcopy(model).requires_grad_(True)
    owners: dict[int, list[nn.Module]] = {}
    for module in rounded.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(module)
    for layer in list(rounded.modules()):
        weight = layer._parameters.get("weight")
        if not isinstance(layer, _Layer) or weight is None or len(owners[id(weight)]) > 1:
            continue
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) and layer.groups == 1 else 0
        parametrize.register_parametrization(layer, "weight", RoundedWeight(axis))
        layer.add_module(_BEFORE, RoundedActivation())
        layer.add_module(_BEHIND, RoundedActivation())
        layer.register_forward_pre_hook(lambda own, given: (own.get_submodule(_BEFORE)(given[0]), *given[1:]))
        layer.register_forward_hook(lambda own, given, result: own.get_submodule(_BEHIND)(result))
    return rounded


def take_weights(model: nn.Module, rounded: nn.Module) -> None:
    """Put the weights of `rounding(model)`, not rounded, into the model."""
    state = {name: value for name, value in rounded.state_dict().items() if not _is_range(name)}
    model.load_state_dict({name.replace(_ORIGINAL, "weight"): value for name, value in state.items()})


def _is_range(name: str) -> bool:
    return name.split(".")[-2:-1] in ([_BEFORE], [_BEHIND])
