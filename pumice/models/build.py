"""Networks with fresh weights: ours by name and options, any by the config that a file carries."""

from dataclasses import replace
from typing import Any, get_args

from torch import nn

from pumice.data.preprocess import Preprocess, Resize
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.dense.names import dense_spec, is_dense
from pumice.models.dense.net import DenseNet
from pumice.models.dense.spec import DenseSpec
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external, is_external, tell_widths
from pumice.models.families import spec_of, variant
from pumice.models.heads import DenseHead
from pumice.models.manifest import ModelConfig, Padding
from pumice.models.narrow import Widths, narrow, replace_classifier
from pumice.models.net import Net
from pumice.models.plainnet import PlainNet
from pumice.models.spaces.names import canonical, chosen, is_space
from pumice.models.spec import NetSpec, PlainSpec
from pumice.nn.conv import set_norm, set_padding


def build(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    output_stride: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float = 0.0,
    padding: Padding = "symmetric",
    bn_eps: float | None = None,
    **options: Any,
) -> Net:
    """One of our networks; the arguments are those of `create_model`.

    Raises:
        BadInput: an unknown name, option or value.
    """
    options = canonical(name, options)
    spec, classes, preprocess = plan_of(name, options, output_stride)
    classes = classes if num_classes is None else num_classes
    if classes < 0 or in_chans < 1:
        raise BadInput(f"{name} cannot have {classes} classes and {in_chans} input channels")
    if not (0 <= (drop_rate or 0) < 1 and 0 <= drop_path_rate < 1):
        raise BadInput(f"drop_rate {drop_rate} and drop_path_rate {drop_path_rate} must be from 0 to below 1")
    if padding not in get_args(Padding):
        raise BadInput(f"padding {padding!r} is unknown; choose {' or '.join(get_args(Padding))}")
    if isinstance(spec, DenseSpec):
        output_stride = spec.output_stride
    elif output_stride is None:
        output_stride = 32
    config = ModelConfig(name, classes, in_chans, options, padding, bn_eps, output_stride)
    settings: dict[str, Any] = {
        "num_classes": classes,
        "in_chans": in_chans,
        "output_stride": output_stride,
        "drop_rate": drop_rate,
        "drop_path_rate": drop_path_rate,
    }
    model: Net
    if isinstance(spec, NetSpec):
        model = ConvNet(spec, **settings)
    elif isinstance(spec, DenseSpec):
        model = DenseNet(spec, **{**settings, "output_stride": 32})  # which the spec has seen to
    else:
        model = PlainNet(spec, **settings)
    describe(model, config, preprocess)
    set_padding(model, padding)
    set_norm(model, eps=bn_eps)
    return model


def plan_of(
    name: str, options: dict[str, Any], output_stride: int | None = None
) -> tuple[NetSpec | PlainSpec, int, Preprocess]:
    """The spec of a network, the classes that it has where none are named, and how it is fed.

    Raises:
        BadInput: an unknown name, option or value.
    """
    if is_dense(name):
        spec = dense_spec(name, options, output_stride)
        return spec, spec.plan.num_classes, Preprocess(spec.plan.input_size, crop_pct=1.0, resize="stretch")
    if is_space(name):
        space, choice = chosen(name, options)
        return space.spec(choice), space.num_classes, Preprocess(space.image_of(choice))
    published = variant(name)
    resize: Resize = "crop" if published.task == "classify" else "stretch"
    preprocess = Preprocess(published.image, crop_pct=published.crop_pct, resize=resize)
    own = spec_of(name, options)
    if isinstance(own, DenseSpec) and output_stride:
        own = replace(own, output_stride=output_stride)
    return own, published.num_classes, preprocess


def set_eps(model: nn.Module, config: ModelConfig) -> None:
    """Give every norm of one of our networks the eps that its config names, else the paper's own, in place."""
    eps = plan_of(config.name, dict(config.options))[0].bn_eps if config.bn_eps is None else config.bn_eps
    set_norm(model, eps=eps)


def rebuild(config: ModelConfig, *, drop_rate: float | None = None, drop_path_rate: float = 0.0) -> nn.Module:
    """The network that a config describes, with fresh weights."""
    settings: dict[str, Any] = {
        "num_classes": config.num_classes,
        "in_chans": config.in_chans,
        "output_stride": config.output_stride,
        "drop_rate": drop_rate,
        "drop_path_rate": drop_path_rate,
        **config.options,
    }
    if is_external(config.name):
        model = create_external(config.name, **settings)
    else:
        model = build(config.name, padding=config.padding, bn_eps=config.bn_eps, **settings)
    become(model, config.widths)
    return model


def become(model: nn.Module, widths: Widths) -> None:
    """Make a network of `create_model` the pruned one that its widths say, in place, and let its config say so."""
    config = config_of(model)
    if widths and config is not None:
        narrow(model, widths)
        if isinstance(model, Net):
            model.tell_widths()
        elif is_external(config.name):
            tell_widths(model)
        describe(model, replace(config, widths=widths))


def reset_classes(model: nn.Module, num_classes: int) -> nn.Module:
    """The net with a new classifier: ours and timm's in place, others rebuilt around the same trunk.

    Returns:
        the net to use, whose config says `num_classes`.

    Raises:
        BadInput: the module was not made by `create_model`.
    """
    config = config_of(model)
    if config is None:
        raise BadInput(f"{type(model).__name__} was not made by create_model, so its classifier is not known")
    changed = replace(config, num_classes=num_classes)
    reset = getattr(model, "reset_classifier", None)
    if config.widths and is_external(config.name) and replace_classifier(model, num_classes):
        pass  # other libraries' ways of doing it trust their own widths
    elif config.widths and isinstance(model, Net) and isinstance(model.head, DenseHead):
        _replace_head(model, changed)
    elif callable(reset):
        reset(num_classes)
    else:
        fresh = rebuild(changed)
        kept = {k: v for k, v in model.state_dict().items() if fresh.state_dict()[k].shape == v.shape}
        fresh.load_state_dict(kept, strict=False)
        describe(fresh, preprocess=preprocess_of(model))
        model = fresh
    describe(model, changed)
    return model


def _replace_head(model: Net, changed: ModelConfig) -> None:
    """Give a pruned dense net the head of one with other classes, in place; all but the classifier keeps its weights.

    Raises:
        BadInput: the head was cut where its widths follow from the classes, and cannot be cut so with fewer.
    """
    fresh = rebuild(changed)
    assert isinstance(fresh, Net)
    own, old = fresh.head.state_dict(), model.head.state_dict()
    same = {k: v for k, v in old.items() if k in own and own[k].shape == v.shape and not k.startswith("classifier.")}
    fresh.head.load_state_dict(same, strict=False)
    model.head = fresh.head.train(model.head.training).to(next(model.parameters()).device)
    model.num_classes = changed.num_classes
