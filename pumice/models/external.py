"""Other people's networks, `timm:NAME`, `torchvision:NAME` and `pytorchcv:NAME`, wherever a model name is accepted."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, nearest
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.manifest import ModelConfig

INSTALL = {
    "timm": "pip install 'pumice[train]'",
    "torchvision": "pip install 'pumice[train]'",
    "pytorchcv": "pip install pytorchcv",
}


def is_external(name: str) -> bool:
    """Whether the name has the prefix of a library."""
    return name.partition(":")[0] in INSTALL and ":" in name


def create_external(
    name: str,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int = 3,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    output_stride: int = 32,
    drop_rate: float | None = None,
    drop_path_rate: float = 0.0,
    **options: Any,
) -> nn.Module:
    """A network of timm, torchvision or pytorchcv, with `config` and `preprocess` like our own.

    Raises:
        BadInput: the library is not installed, has no such net, or cannot do what is asked.
    """
    library, _, net = name.partition(":")
    if find_spec(library) is None:
        raise BadInput(f"{name} needs {library}; install it with {INSTALL[library]}")
    classes = 1000 if num_classes is None else num_classes
    if library == "timm":
        given = {
            "features_only": features_only or None,
            "out_indices": None if out_indices is None else tuple(out_indices),
            "output_stride": None if output_stride == 32 else output_stride,
            "drop_rate": drop_rate,
            "drop_path_rate": drop_path_rate or None,
        }
        arguments = {**options, **{k: v for k, v in given.items() if v is not None}}
        model, preprocess = _timm(net, pretrained, classes, in_chans, arguments)
    else:
        if features_only or output_stride != 32 or drop_path_rate:
            raise BadInput(f"{name}: {library} has no features_only, output_stride or drop_path_rate; take a timm: net")
        extra = options if drop_rate is None else {**options, "dropout": drop_rate}
        build = _torchvision if library == "torchvision" else _pytorchcv
        model, preprocess = build(net, pretrained, classes, in_chans, extra)
    describe(model, ModelConfig(name, classes, in_chans, options, output_stride=output_stride), preprocess)
    return model


def _timm(
    net: str, pretrained: bool, classes: int, in_chans: int, options: dict[str, Any]
) -> tuple[nn.Module, Preprocess]:
    import timm
    from timm.data import resolve_model_data_config

    known = timm.list_models()
    if net.partition(".")[0] not in known:
        raise BadInput(f"timm has no net {net!r}{nearest(net, known)}")
    model = _made(
        f"timm:{net}", lambda: timm.create_model(net, pretrained, num_classes=classes, in_chans=in_chans, **options)
    )
    data = resolve_model_data_config(model)
    return model, Preprocess(
        size=tuple(data["input_size"][1:]),
        crop_pct=data["crop_pct"],
        interpolation=data["interpolation"],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def _torchvision(
    net: str, pretrained: bool, classes: int, in_chans: int, options: dict[str, Any]
) -> tuple[nn.Module, Preprocess]:
    from torchvision import models

    if net not in models.list_models(models):
        raise BadInput(f"torchvision has no classification net {net!r}{nearest(net, models.list_models(models))}")
    if in_chans != 3:
        raise BadInput(f"torchvision:{net} reads 3 channels, not {in_chans}; take a net of Pumice or timm")
    model = _made(f"torchvision:{net}", lambda: models.get_model(net, weights=None, num_classes=classes, **options))
    default = models.get_model_weights(net).DEFAULT
    preset = default.transforms()
    if pretrained:
        state = _made(f"torchvision:{net}", lambda: default.get_state_dict(progress=True, check_hash=True))
        kept = {k: v for k, v in state.items() if model.state_dict()[k].shape == v.shape}
        model.load_state_dict(kept, strict=False)
    return model, Preprocess(
        size=(preset.crop_size[0], preset.crop_size[0]),
        crop_pct=preset.crop_size[0] / preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _pytorchcv(
    net: str, pretrained: bool, classes: int, in_chans: int, options: dict[str, Any]
) -> tuple[nn.Module, Preprocess]:
    from pytorchcv.model_provider import _models, get_model

    if net not in _models:
        raise BadInput(f"pytorchcv has no net {net!r}{nearest(net, list(_models))}")
    arguments = {"num_classes": classes, "in_channels": in_chans, **options}
    model = _made(f"pytorchcv:{net}", lambda: get_model(net, pretrained=pretrained, **arguments))
    size = tuple(getattr(model, "in_size", (224, 224)))
    return model, Preprocess(size=size, interpolation="bilinear")


def _made(name: str, build: Callable[[], Any]) -> Any:
    """build(), with the library's own complaint in one sentence."""
    try:
        return build()
    except (OSError, RuntimeError, TypeError, ValueError, LookupError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(f"{name} could not be made: {reason}") from error


def tell_widths(model: nn.Module) -> None:
    """Let a cut network of timm say how wide its maps are now: `feature_info` and `num_features`, in place.

    None stands for what its modules do not show: a map in another layout than (N, C, H, W).
    """
    info = model.__dict__.get("feature_info")
    if not (isinstance(info, list) and all(isinstance(one, dict) for one in info)):
        return
    modules, seen, modes = dict(model.named_modules()), dict[str, int](), [(m, m.training) for m in model.modules()]
    height, width = preprocess_of(model).size
    like, config = next(model.parameters()), config_of(model)
    image = torch.zeros(1, 3 if config is None else config.in_chans, height, width, device=like.device)

    def hook(path: str, reduction: int) -> Callable[[nn.Module, Any, Any], None]:
        def see(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and abs(output.shape[2] - height / reduction) <= 1:
                seen[path] = output.shape[1]

        return see

    places = [one for one in info if one.get("module") in modules]
    hooks = [modules[one["module"]].register_forward_hook(hook(one["module"], one["reduction"])) for one in places]
    try:
        with torch.no_grad():
            model.eval()(image.to(like.dtype))
    except RuntimeError as error:
        raise BadInput(f"this network's layers do not fit together: {str(error).partition(chr(10))[0]}") from error
    finally:
        for one in hooks:
            one.remove()
        for module, mode in modes:
            module.training = mode
    told = [{**one, "num_chs": seen.get(one.get("module", ""))} for one in info]
    if info and model.__dict__.get("num_features") == info[-1]["num_chs"]:  # where they are the classifier's, it told
        model.__dict__["num_features"] = told[-1]["num_chs"]
    model.__dict__["feature_info"] = told
