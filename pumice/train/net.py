"""The network that a configuration asks for, with a head for the data's classes and the weights to start from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.begun import load_begun, related
from pumice.models.build import become, reset_classes
from pumice.models.checkpoint import read_manifest
from pumice.models.create import create_model
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.manifest import ModelConfig
from pumice.models.weights import load_weights, read_state_dict
from pumice.tasks.names import CLASSIFY, create_task
from pumice.train.config import TrainConfig


def build_net(config: TrainConfig, classes: tuple[str, ...]) -> nn.Module:
    """Build it; the same seed gives the same weights.

    Interpolation is that of the weights, and so are mean, deviation and channel order where the configuration names
    none; see `fed`.

    Raises:
        BadInput: no such network or weights, or weights of another network.
    """
    torch.manual_seed(config.seed)
    settings: dict[str, Any] = {
        "drop_rate": config.drop_rate,
        "drop_path_rate": config.drop_path_rate,
        **({} if config.bn_eps is None else {"bn_eps": config.bn_eps}),
        **config.model_options,
    }
    outputs = (
        len(classes) if config.task == CLASSIFY else create_task(config.task, config.task_options).outputs(classes)
    )
    if config.weights is None:
        net = create_model(config.model, pretrained=config.pretrained, num_classes=outputs, **settings)
    else:
        net = _started(config, Path(config.weights), outputs, settings, classes)
    if config.bn_momentum is not None:
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = config.bn_momentum
    describe(net, preprocess=fed(config, preprocess_of(net)))
    return net


def fed(config: TrainConfig, preprocess: Preprocess) -> Preprocess:
    """How a run feeds a network: as the network says, but for what the configuration names."""
    if config.size is not None:
        preprocess = replace(preprocess, size=config.size)
    if config.crop_pct is not None:
        preprocess = replace(preprocess, crop_pct=config.crop_pct)
    named: dict[str, Any] = {"mean": config.mean, "std": config.std, "channels": config.channels}
    return replace(preprocess, **{k: v for k, v in named.items() if v is not None})


def _started(
    config: TrainConfig, path: Path, num_classes: int, settings: dict[str, Any], classes: tuple[str, ...]
) -> nn.Module:
    """The network with the weights of a file, or with the trunk of one that it is built on; its head is new unless the
    file says that it is for these classes."""
    if config.pretrained:
        raise BadInput("pretrained weights and a weights file exclude each other; give one of them")
    manifest = read_manifest(path) if path.suffix == ".safetensors" else None
    if manifest is not None and config.task != CLASSIFY and related(config.model, manifest.model.name):
        of_file = {"padding": manifest.model.padding, "bn_eps": manifest.model.bn_eps}
        net = create_model(config.model, num_classes=num_classes, **{**settings, **of_file})
        if load_begun(net, read_state_dict(path), manifest):
            return net
    net = with_weights(config.model, path, config.model_options, settings)
    same = manifest is not None and config.task == CLASSIFY and manifest.classes == classes
    return net if same else reset_classes(net, num_classes)


def with_weights(name: str, path: Path, options: dict[str, Any], settings: dict[str, Any] | None = None) -> nn.Module:
    """A network with the weights of a file, and as many classes as they are for.

    Args:
        name: of `create_model`.
        path: see `read_state_dict`.
        options: of the network, which the file must have been made with.
        settings: all arguments of `create_model`; the options if None.

    Raises:
        BadInput: no such network or file, or weights of another network.
    """
    manifest = read_manifest(path) if path.suffix == ".safetensors" else None
    settings = dict(options if settings is None else settings)
    if manifest is not None:
        made = manifest.model
        if (made.name, made.options) != (name, options):
            raise BadInput(f"{path} holds {described(made)}, not {name}; train that network, or give other weights")
        settings |= {"padding": made.padding, "bn_eps": made.bn_eps}
    state = read_state_dict(path)
    net = create_model(name, **settings)
    net = reset_classes(net, _classes_in(state, net) if manifest is None else manifest.model.num_classes)
    if manifest is not None:
        become(net, manifest.model.widths)
    load_weights(net, state)
    if manifest is not None:
        describe(net, config_of(net), manifest.preprocess)
    return net


def _classes_in(state: Mapping[str, Tensor], net: nn.Module) -> int:
    """How many classes weights are for: the length of the last tensor, in the network's order if its keys are there."""
    keys = net.state_dict().keys()
    ordered = [state[key] for key in keys] if keys == state.keys() else list(state.values())
    return len([tensor for tensor in ordered if tensor.ndim][-1])


def described(config: ModelConfig) -> str:
    """A network in words: its name and the options that differ."""
    return " ".join([config.name, *(f"{k}={v}" for k, v in config.options.items())])
