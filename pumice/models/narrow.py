"""A pruned network as data: by how much its modules are narrower than those of the network that its config names.

    widths = widths_of(pruned, full)        {"stages.1.conv": {"in_channels": 12, "out_channels": 20}, ...}
    narrow(full, widths)                    the same shape, in place; the weights come from a file

Of each module that differs: the numbers that it keeps of its sizes, and the shapes of its tensors where these numbers
do not say them; of a buffer that only the cut module has, its type and shape.  What a narrower network needs other
values of, and a wide one works out for itself (indices of channels, mostly), becomes part of the state dict, so that it
lies beside the weights and not in the record.
"""

import copy
from collections.abc import Iterator
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from pumice.errors import BadInput

Sizes = dict[str, int | list[Any]]
Widths = dict[str, Sizes]
MOST = 1 << 20  # elements of a buffer that only a cut module has


def widths_of(model: nn.Module, full: nn.Module) -> Widths:
    """How `model`, a cut copy of `full`, differs from it.

    Raises:
        BadInput: it is not the same network cut.
    """
    wide, found = dict(full.named_modules()), Widths()
    for path, module in model.named_modules():
        whole = wide.get(path)
        if whole is None or type(whole) is not type(module):
            raise BadInput(f"{type(model).__name__}.{path} has no counterpart in the network that it was cut from")
        sizes = _differing(module, whole)
        if sizes:
            found[path] = sizes
    return found


def narrow(model: nn.Module, widths: Widths) -> None:
    """Give a network the sizes of a pruned one, in place; one that has them already stays as it is.

    Tensors keep the beginning of what they held along each dimension; whole numbers, which are indices, become 0.  A
    classifier that was taken out since stays out.

    Raises:
        BadInput: the record is not of this network; then nothing was changed.
    """
    modules = dict(model.named_modules())
    widths = {path: sizes for path, sizes in widths.items() if not isinstance(modules.get(path), nn.Identity)}
    for path, sizes in widths.items():
        _check(modules.get(path), path, sizes)
    for path, sizes in widths.items():
        _narrow(modules[path], sizes)


def follow_classifier(model: nn.Module, full: nn.Module) -> None:
    """Let the width of features that a net and its head remember be that of the cut classifier, so that it can be
    replaced."""
    before, after = (inputs_of(classifier_of(one)) for one in (full, model))
    if before is None or before == after:
        return
    for module in (model, *(child for name, child in model.named_children() if name == "head")):
        if module.__dict__.get("num_features") == before:
            module.__dict__["num_features"] = after


def replace_classifier(model: nn.Module, num_classes: int) -> bool:
    """Give a network another last layer for what reaches it now, in place; whether it says which layer that is."""
    last = classifier_of(model)
    path = next((path for path, module in model.named_modules() if module is last), "")
    new = copy.deepcopy(last)  # which may be of a class of its library
    if num_classes == 0:
        new = nn.Identity()
    elif isinstance(new, nn.Linear):
        fresh = nn.Linear(new.in_features, num_classes, new.bias is not None)
        new.weight, new.bias, new.out_features = fresh.weight, fresh.bias, num_classes
    elif isinstance(new, nn.Conv2d) and new.kernel_size == (1, 1):
        made = nn.Conv2d(new.in_channels, num_classes, 1, bias=new.bias is not None)
        new.weight, new.bias, new.out_channels = made.weight, made.bias, num_classes
    else:
        return False
    model.set_submodule(path, new.to(next(model.parameters())))
    model.__dict__["num_classes"] = num_classes
    return True


def classifier_of(model: nn.Module) -> nn.Module | None:
    """What a network of timm's interface calls its classifier."""
    get = getattr(model, "get_classifier", None)
    found = get() if callable(get) else None
    return found if isinstance(found, nn.Module) else None


def inputs_of(layer: nn.Module | None) -> int | None:
    """Channels that a linear layer or convolution reads, None of anything else."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels if isinstance(layer, nn.Conv2d) else None


def _differing(module: nn.Module, full: nn.Module) -> Sizes:
    sizes: Sizes = {}
    for name, value in _numbers(module):
        if value != full.__dict__.get(name):
            sizes[name] = list(value) if isinstance(value, tuple | list) else value
    implied = _implied(module)
    for name, tensor in _tensors(module):
        whole = getattr(full, name)
        values = name in module._buffers and name in full._non_persistent_buffers_set
        if whole is None:
            sizes[name] = ["float32" if tensor.is_floating_point() else "int64", *tensor.shape]
        elif tuple(tensor.shape) != tuple(whole.shape):
            if values or implied.get(name) != tuple(tensor.shape):
                sizes[name] = list(tensor.shape)
        elif values and not torch.equal(tensor.cpu(), whole.cpu()):
            sizes[name] = list(tensor.shape)
    return sizes


def _check(module: nn.Module | None, path: str, sizes: Any) -> None:
    if module is None or not isinstance(sizes, dict):
        raise BadInput(f"this record of a pruned network names {path!r}, which the network does not have")
    known, tensors, absent = dict(_numbers(module)), dict(_tensors(module)), _absent(module)
    for name, value in sizes.items():
        if isinstance(value, list) and value[:1] in (["int64"], ["float32"]):
            held = list(tensors[name].shape) if name in tensors else value[1:]
            right = name in absent or name in tensors
            right = right and _whole(value[1:]) and prod(value[1:]) <= MOST and held == value[1:]
        elif name in tensors:
            shape = tensors[name].shape
            right = isinstance(value, list) and _whole(value) and len(value) == len(shape)
            right = right and all(n <= s for n, s in zip(value, shape, strict=True))
        else:
            right = name in known and isinstance(value, list) == isinstance(known[name], tuple | list)
            right = right and _whole(value if isinstance(value, list) else [value])
            if right and name in _MAKES:  # a layer's tensors are made by these, and none is wider than before
                right = 0 < value <= (known[name] if _implied(module) else value)
        if not right:
            raise BadInput(f"this record of a pruned network gives {path}.{name} the impossible size {value}")


def _whole(numbers: list[Any]) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)


def _narrow(module: nn.Module, sizes: Sizes) -> None:
    for name in _absent(module) & sizes.keys():
        kind, *shape = cast("list[Any]", sizes[name])
        module.register_buffer(name, torch.zeros(shape, dtype=getattr(torch, kind)))
    tensors = dict(_tensors(module))
    for name, value in sizes.items():
        if name not in tensors:
            kind = type(module.__dict__[name])
            module.__dict__[name] = kind(value) if isinstance(value, list) else value
    listed = {name: value for name, value in sizes.items() if isinstance(value, list) and name in tensors}
    given = {name: tuple(n for n in value if not isinstance(n, str)) for name, value in listed.items()}
    for name, shape in (_implied(module) | given).items():
        tensor = tensors.get(name)
        if tensor is not None and tuple(tensor.shape) != shape:
            _resize(module, name, tensor, shape)
        if name in given:
            module._non_persistent_buffers_set.discard(name)


def _resize(module: nn.Module, name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    part = tensor.detach()[tuple(slice(n) for n in shape)].clone()
    if name in module._parameters:
        module._parameters[name] = nn.Parameter(part, tensor.requires_grad)
    else:
        module._buffers[name] = part if part.is_floating_point() else torch.zeros_like(part)


def _numbers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Attributes that may be sizes: whole numbers, and tuples and lists of them."""
    for name, value in module.__dict__.items():
        numbers = value if isinstance(value, tuple | list) else [value]
        whole = bool(numbers) and all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        if whole and not name.startswith("_"):
            yield name, value


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for tensors in (module._parameters, module._buffers):
        yield from ((name, tensor) for name, tensor in tensors.items() if tensor is not None)


def _absent(module: nn.Module) -> set[str]:
    """Buffers that only a cut module has."""
    return {name for name, tensor in module._buffers.items() if tensor is None}


_MAKES = ("groups", "in_channels", "out_channels", "in_features", "out_features", "num_features", "num_parameters")


def _implied(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors that a layer's own numbers say."""
    if isinstance(module, _ConvNd):
        into, out = module.in_channels, module.out_channels // module.groups
        if not module.transposed:
            into, out = module.out_channels, module.in_channels // module.groups
        return {"weight": (into, out, *module.kernel_size), "bias": (module.out_channels,)}
    if isinstance(module, nn.Linear):
        return {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    if isinstance(module, _NormBase):
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (module.num_features,))
    if isinstance(module, nn.PReLU):
        return {"weight": (module.num_parameters,)}
    return {}
