"""`strategy=fsdp`: weights, gradients and optimiser state in shares, one a device (PyTorch's FSDP2).

The whole network is one unit: its weights are gathered before the forward pass.  Networks of this package are small;
what sharing saves is the optimiser's state, the gradients and the weights between the steps.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def shard(net: nn.Module, device: torch.device, world: int) -> None:
    """Share the weights out among the processes, in place; all must hold the same."""
    fully_shard(net.to(device), mesh=init_device_mesh(device.type, (world,)))


def weights_of(net: nn.Module) -> Mapping[str, Tensor]:
    """The weights as one process would have them.

    Of a network in shares all processes must ask, and the first one alone gets them.
    """
    whole: Any = get_model_state_dict(net, options=_WHOLE) if isinstance(net, FSDPModule) else net.state_dict()
    return whole


def optimizer_state(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state, like `weights_of`; that of a network in shares goes by the names of parameters."""
    if isinstance(net, FSDPModule):
        return get_optimizer_state_dict(net, optimizer, options=_WHOLE)
    return optimizer.state_dict()


def load_optimizer(net: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Inverse of `optimizer_state`."""
    if isinstance(net, FSDPModule):
        set_optimizer_state_dict(net, optimizer, state, options=_WHOLE)
    else:
        optimizer.load_state_dict(state)
