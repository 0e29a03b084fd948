"""The optimiser that a configuration asks for, and which parameters it decays."""

from functools import partial
from typing import Any

import torch
from torch import nn

from pumice.errors import BadInput, nearest
from pumice.train.config import TrainConfig


def create_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """timm's optimiser of that name; norms and biases are not decayed unless `decay_norm_bias`.

    Raises:
        BadInput: timm does not know the name, or that optimiser has no eps to set; a net of another library does not
            say what its head is.
    """
    from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers

    name = {"rmsprop": "rmsproptf"}.get(config.optimizer, config.optimizer)
    known = list_optimizers()
    if name not in known:
        raise BadInput(f"there is no optimiser {config.optimizer!r}{nearest(name, known)}")
    if config.opt_eps is not None and not get_optimizer_info(name).has_eps:
        raise BadInput(f"{config.optimizer} has no eps; leave optim.opt_eps out, or choose rmsprop")
    optimizer = create_optimizer_v2(
        net,
        opt=name,
        lr=config.lr,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        filter_bias_and_bn=not config.decay_norm_bias,
        param_group_fn=None if config.decay_depthwise else partial(_sparing_depthwise, config),
        **({} if config.opt_eps is None else {"eps": config.opt_eps}),
    )
    if config.head_lr != 1:
        _scale_head(optimizer, net, config.head_lr)
    return optimizer


def _scale_head(optimizer: torch.optim.Optimizer, net: nn.Module, scale: float) -> None:
    """Give the head's parameters groups of their own, whose `scale_of_lr` says how much faster they learn."""
    head = getattr(net, "head", None)
    if not isinstance(head, nn.Module):
        raise BadInput(f"{type(net).__name__} does not name its head, so optim.head_lr must stay 1")
    of_head = {id(p) for p in head.parameters()}
    for group in list(optimizer.param_groups):
        fast = [p for p in group["params"] if id(p) in of_head]
        if fast:
            group["params"] = [p for p in group["params"] if id(p) not in of_head]
            optimizer.add_param_group({**group, "params": fast, "scale_of_lr": scale})


def _sparing_depthwise(config: TrainConfig, net: nn.Module) -> list[dict[str, Any]]:
    """timm's groups of parameters, with depthwise kernels among those that are not decayed."""
    from timm.optim import param_groups_weight_decay

    spared = {
        f"{name}.weight" if name else "weight"
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels
    }
    own: set[str] = getattr(net, "no_weight_decay", set)()
    groups: list[dict[str, Any]] = param_groups_weight_decay(
        net,
        config.weight_decay,
        weight_decay_exclude_1d=not config.decay_norm_bias,
        no_weight_decay_list=spared | set(own),
    )
    return groups
