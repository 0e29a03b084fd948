"""`create_model`: a network by name, with timm's arguments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from torch import nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet, FeatureNet
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external, is_external
from pumice.models.families import spec_of, variant
from pumice.models.manifest import ModelConfig, Padding
from pumice.nn.conv import set_norm, set_padding


def create_model(
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
    checkpoint_path: str | None = None,
    padding: Padding = "symmetric",
    bn_eps: float | None = None,
    **options: Any,
) -> nn.Module:
    """Build a network: (N, in_chans, H, W) -> logits (N, num_classes), or maps with features_only.

    Args:
        name: a name of `list_models()`, or `timm:NAME`, `torchvision:NAME`, `pytorchcv:NAME`.
        pretrained: load published weights; this is the one argument that may download.
        num_classes: 1000 if not given; 0 leaves pooled features.
        in_chans: channels of the input.
        features_only: return a list of maps, finest first.
        out_indices: which maps; None is all.
        output_stride: 8, 16 or 32; strides beyond it become dilation.
        drop_rate: dropout before the classifier; None is the paper's own.
        drop_path_rate: stochastic depth of the last residual branch; the rate rises linearly to it.
        checkpoint_path: a `.safetensors` or weights-only `.pth` file to load.
        padding: "same" is TensorFlow's rule.
        bn_eps: eps of every batch norm; None is torch's 1e-5.
        options: the family's own (`pumice info NAME` lists them), `width=0.6` say.

    Raises:
        BadInput: an unknown name, option or value; no published weights.
    """
    if is_external(name):
        if padding != "symmetric" or bn_eps is not None:
            raise BadInput(f"{name} keeps its own padding and eps; they are settings of Pumice's networks only")
        model = create_external(
            name,
            pretrained=pretrained,
            num_classes=num_classes,
            in_chans=in_chans,
            features_only=features_only,
            out_indices=out_indices,
            output_stride=output_stride,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
            **options,
        )
        if checkpoint_path is not None:
            from pumice.models.weights import load_weights

            load_weights(model, checkpoint_path)
        return model

    classes = 1000 if num_classes is None else num_classes
    spec = spec_of(name, options)
    size = variant(name).input_size
    if classes < 0 or in_chans < 1:
        raise BadInput(f"{name} cannot have {classes} classes and {in_chans} input channels")
    if not (0 <= (drop_rate or 0) < 1 and 0 <= drop_path_rate < 1):
        raise BadInput(f"drop_rate {drop_rate} and drop_path_rate {drop_path_rate} must be from 0 to below 1")
    if padding not in get_args(Padding):
        raise BadInput(f"padding {padding!r} is unknown; choose {' or '.join(get_args(Padding))}")
    config = ModelConfig(name, classes, in_chans, options, padding, bn_eps, output_stride)
    model = ConvNet(
        spec,
        num_classes=classes,
        in_chans=in_chans,
        output_stride=output_stride,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    describe(model, config, Preprocess(size=(size, size)))
    set_padding(model, padding)
    set_norm(model, eps=bn_eps)
    if pretrained:
        from pumice.models.pretrained import load_pretrained

        load_pretrained(model)
    if checkpoint_path is not None:
        from pumice.models.weights import load_weights

        load_weights(model, checkpoint_path)
    if not features_only:
        return model
    trunk = FeatureNet(model, None if out_indices is None else tuple(out_indices))
    describe(trunk, model.config, model.preprocess)
    return trunk


def rebuild(config: ModelConfig, *, drop_rate: float | None = None, drop_path_rate: float = 0.0) -> nn.Module:
    """The network that a config describes, with fresh weights."""
    settings: dict[str, Any] = {} if is_external(config.name) else {"padding": config.padding, "bn_eps": config.bn_eps}
    return create_model(
        config.name,
        num_classes=config.num_classes,
        in_chans=config.in_chans,
        output_stride=config.output_stride,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
        **settings,
        **config.options,
    )


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
    if callable(reset):
        reset(num_classes)
    else:
        fresh = rebuild(changed)
        kept = {k: v for k, v in model.state_dict().items() if fresh.state_dict()[k].shape == v.shape}
        fresh.load_state_dict(kept, strict=False)
        describe(fresh, preprocess=preprocess_of(model))
        model = fresh
    describe(model, changed)
    return model
