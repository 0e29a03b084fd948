"""Weights of any origin into our networks.

Every convolution, linear layer and norm of ours is called, and registered, in order of execution.  So are those of
timm, torchvision and pytorchcv, with exceptions that `conversion` declares family by family: a file fits when its
tensors, in order, have our shapes.  Padding, eps and preprocessing belong to the weights, and are declared beside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.build import become, build, set_eps
from pumice.models.catalogue import entry
from pumice.models.checkpoint import read_manifest
from pumice.models.conversion.rule import Settings
from pumice.models.conversion.tables import conversion, source_by_keys
from pumice.models.dense.names import is_dense
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external
from pumice.models.families import family_of, variants
from pumice.models.manifest import Manifest
from pumice.models.peers import PEERS, Source
from pumice.nn.conv import set_padding

StateDict = Mapping[str, Tensor]
SHOWN = 3  # tensors of another shape that a report names


@dataclass(frozen=True)
class Loaded:
    """What `load_weights` did.  missing: our tensors that the file lacks (only with strict=False)."""

    source: Source
    missing: tuple[str, ...] = ()


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of a `.pth` file that holds nothing but tensors and plain values.

    Raises:
        BadInput: the file is missing, is of another kind, or holds Python code.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"no weights file {path}")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise BadInput(f"{path} is not a safetensors file: {error}") from error
    if path.suffix not in (".pth", ".pt", ".bin", ".ckpt", ".tar"):
        raise BadInput(f"{path} is no weights file; give a .safetensors or a .pth file")
    import pickle

    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds Python objects, not only tensors, and Pumice runs no code from files; "
            "save its state_dict() as .safetensors"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0] or "it ends too early"
        raise BadInput(f"{path} cannot be read as weights: {reason}") from error
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    tensors = {k: v for k, v in value.items() if isinstance(v, Tensor)} if isinstance(value, Mapping) else {}
    if not tensors:
        raise BadInput(f"{path} holds no tensors by name; save a state_dict() there")
    return {k.removeprefix("module."): v for k, v in tensors.items()}


def source_of(state: StateDict, model: nn.Module) -> Source:
    """Whose file this is, by its keys."""
    if state.keys() == model.state_dict().keys():
        return "pumice"
    if (source := source_by_keys(_family(model), state)) is not None:
        return source
    raise BadInput("these weights have keys of no known source; name it: timm, torchvision, pytorchcv or official")


def load_weights(
    model: nn.Module, weights: str | Path | StateDict, source: Source = "auto", *, strict: bool = True
) -> Loaded:
    """Load weights into a network in place, and take over their padding, eps and preprocessing.

    A checkpoint of a pruned network prunes the network likewise.

    Args:
        model: a network of `create_model`.
        weights: a file (`read_state_dict`) or a state dict.
        source: "auto" goes by the keys; a checkpoint of Pumice says itself how it was made.  timm's `tf_*` files hold
            TensorFlow's weights: say "official" for them.
        strict: False accepts a file that ends early (a trunk without its head).

    Raises:
        BadInput: the tensors do not fit this network; the first that differ are named, and nothing is loaded.
    """
    state = weights if isinstance(weights, Mapping) else read_state_dict(weights)
    origin = "these weights" if isinstance(weights, Mapping) else str(weights)
    config = config_of(model)
    made = None if isinstance(weights, Mapping) else record_of(weights)
    if made is not None and config is not None and made.model.name == config.name and not config.widths:
        become(model, made.model.widths)
        config = config_of(model)
    if source == "auto":
        source = source_of(state, model)
    fitted = match(model, state, source, origin=origin, strict=strict)
    missing = tuple(k for k in model.state_dict() if k not in fitted and not k.endswith("num_batches_tracked"))
    if missing and strict:
        raise BadInput(f"{origin}: not weights of {_name(model)}: {missing[0]} is missing")
    model.load_state_dict(fitted, strict=False)

    settings = None
    if source != "pumice":
        settings = conversion(_family(model), source, _name(model)).settings
        own = preprocess_of(model)
        kept: dict[str, Any] = {"size": own.size}
        if not _classifies(model):
            kept |= {"crop_pct": own.crop_pct, "resize": own.resize}
        settings = replace(settings, preprocess=replace(settings.preprocess, **kept))
    elif made is not None:
        settings = Settings(made.model.padding, made.model.bn_eps, made.preprocess)
    if settings is not None and config is not None and _family(model):
        changed = replace(config, padding=settings.padding, bn_eps=settings.bn_eps)
        set_padding(model, settings.padding)
        set_eps(model, changed)
        describe(model, changed, settings.preprocess)
    return Loaded(source, missing)


def load_indices(model: nn.Module, path: str | Path) -> None:
    """Load what a checkpoint of a pruned network says of its channels' order, in place; weights stay as they are."""
    state = {k: v for k, v in read_state_dict(path).items() if not v.is_floating_point()}
    model.load_state_dict({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, strict=False)


def match(
    model: nn.Module, state: StateDict, source: Source, *, origin: str = "these weights", strict: bool = True
) -> dict[str, Tensor]:
    """The tensors of a state dict under our names, in our shapes.

    Raises:
        BadInput: they do not fit this network.
    """
    name, own = _name(model), model.state_dict()
    keys = registered([key for key in state if not key.endswith("num_batches_tracked")], name)
    state = {key: state[key] for key in keys}
    pairs = [(key, key) for key in keys]
    if source != "pumice":
        state = conversion(_family(model), source, name)(state)
        keys = list(state)
        ours = [key for key in own if not key.endswith("num_batches_tracked")]
        if len(keys) > len(ours) or (strict and len(keys) < len(ours)):
            raise BadInput(f"{origin}: not weights of {name}, which has {len(ours)} tensors; these are {len(keys)}")
        pairs = list(zip(ours, keys, strict=False))
    fitted, wrong = {}, []
    for our, theirs in pairs:
        want, value = own.get(our), state[theirs]
        # A 1 x 1 convolution on a 1 x 1 map and a linear layer are the same thing.
        if want is None or want.squeeze().shape != value.squeeze().shape:
            net = "no such tensor" if want is None else f"the net {tuple(want.shape)}"
            wrong.append(f"{theirs} has shape {tuple(value.shape)}, {net}")
        else:
            fitted[our] = value.reshape(want.shape)
    if wrong:
        more = f" (and {len(wrong) - SHOWN} more of {len(pairs)})" if len(wrong) > SHOWN else ""
        raise BadInput(f"{origin}: not weights of {name}: {'; '.join(wrong[:SHOWN])}{more}")
    return fitted


def _name(model: nn.Module) -> str:
    config = config_of(model)
    return type(model).__name__ if config is None else config.name


def _family(model: nn.Module) -> str:
    """The family file of a network of ours, "" for others."""
    name = _name(model)
    return family_of(name).__name__.rpartition(".")[2] if name in variants() else ""


def _classifies(model: nn.Module) -> bool:
    """Whether images are cropped for it; a net of ours for a dense task sees all of them."""
    name = _name(model)
    return not is_dense(name) and (name not in variants() or variants()[name].task == "classify")


def record_of(path: str | Path) -> Manifest | None:
    """What a checkpoint of ours says of itself; None of any other file."""
    return read_manifest(path) if Path(path).suffix == ".safetensors" else None


def registered(keys: list[str], name: str) -> list[str]:
    """The keys in the order in which their library registers them.

    A safetensors file sorts its keys, so they go by the library's own net, built without its weights.
    """
    if keys != sorted(keys):
        return keys
    for peer in PEERS.get(name, ()):
        try:
            with torch.device("meta"):
                order = list(create_external(peer.name, **peer.options).state_dict())
        except BadInput:  # that library is not installed; another may have the same keys
            continue
        if set(order) >= set(keys):
            return [key for key in order if key in set(keys)]
    return keys


def owner_of(path: str | Path) -> str:
    """The network of ours that a weights file belongs to, by the number and shapes of its tensors.

    Raises:
        BadInput: it fits none of them.
    """
    if Path(path).suffix == ".safetensors" and (manifest := read_manifest(path)) is not None:
        return manifest.model.name
    state = read_state_dict(path)
    size = sum(value.numel() for value in state.values())
    # A file holds a net's parameters and the statistics of its norms, rarely anything else.
    near = [name for name in variants() if entry(name).params <= size <= 1.5 * entry(name).params]
    for name in sorted(near, key=lambda name: size - entry(name).params):
        with torch.device("meta"):
            model = build(name)
        try:
            match(model, state, source_of(state, model))
        except BadInput:
            continue
        return name
    raise BadInput(f"{path} fits no network of Pumice; train with --model NAME --weights {path} to see what differs")
