"""`create_model`: a network by name, with timm's arguments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from pumice.errors import BadInput
from pumice.models.build import become, build
from pumice.models.dense.backbone import load_backbone
from pumice.models.dense.names import is_dense
from pumice.models.described import describe, preprocess_of
from pumice.models.external import create_external, is_external
from pumice.models.manifest import Padding
from pumice.models.net import Net
from pumice.models.network_file import is_network_file, read_network, weights_beside
from pumice.models.pretrained import load_pretrained
from pumice.models.weights import load_indices, load_weights, record_of


def create_model(
    name: str,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int = 3,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    output_stride: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float = 0.0,
    checkpoint_path: str | None = None,
    padding: Padding = "symmetric",
    bn_eps: float | None = None,
    **options: Any,
) -> nn.Module:
    """Build a network: (N, in_chans, H, W) -> logits (N, num_classes), or maps with features_only.

    Args:
        name: a name of `list_models()`, or `timm:NAME`, `torchvision:NAME`, `pytorchcv:NAME`, `HEAD:BACKBONE`,
            `space:NAME` with the option `choice`, or a network file, whose weights this leaves to `load_source`,
            but for the indices of a pruned one's channels.
        pretrained: load published weights, a dense net's backbone alone; this is the one argument that may download.
        num_classes: that of the published net (1000 of most) if not given; 0 leaves pooled features.
        in_chans: channels of the input.
        features_only: return a list of maps, finest first.
        out_indices: which maps; None is all.
        output_stride: 8, 16 or 32; strides beyond it become dilation.  None is 32, or what a dense net's head asks for.
        drop_rate: dropout before the classifier; None is the paper's own.
        drop_path_rate: stochastic depth of the last residual branch; the rate rises linearly to it.
        checkpoint_path: a `.safetensors` or weights-only `.pth` file to load.
        padding: "same" is TensorFlow's rule.
        bn_eps: eps of every batch norm; None is the paper's own, mostly torch's 1e-5.
        options: the family's own (`pumice info NAME` lists them), `width=0.6` say; `depth=1.4` of every
            network that is a chain of rows.

    Raises:
        BadInput: an unknown name, option or value; no published weights.
    """
    file = read_network(name) if is_network_file(name) else None
    indices = None if file is None else weights_beside(name)
    if file is not None:
        name, options = file.model, {**file.options, **options}
        num_classes = file.num_classes if num_classes is None else num_classes
        in_chans = file.in_chans if in_chans == 3 else in_chans
    widths = {} if file is None else file.widths
    if widths and pretrained:
        raise BadInput(f"a pruned {name} has no published weights; leave out pretrained")
    whole = not features_only
    if is_external(name):
        if padding != "symmetric" or bn_eps is not None:
            raise BadInput(f"{name} keeps its own padding and eps; they are settings of Pumice's networks only")
        if features_only and (widths or _pruned(checkpoint_path)):
            raise BadInput(f"the maps alone of a pruned {name} cannot be had; leave out features_only")
        model, whole = (
            create_external(
                name,
                pretrained=pretrained,
                num_classes=num_classes,
                in_chans=in_chans,
                features_only=features_only,
                out_indices=out_indices,
                output_stride=32 if output_stride is None else output_stride,
                drop_rate=drop_rate,
                drop_path_rate=drop_path_rate,
                **options,
            ),
            True,
        )
    else:
        model = build(
            name,
            num_classes=num_classes,
            in_chans=in_chans,
            output_stride=output_stride,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
            padding=padding,
            bn_eps=bn_eps,
            **options,
        )
        if pretrained and is_dense(name):
            load_backbone(model)
        elif pretrained:
            load_pretrained(model)
    if widths:
        become(model, widths)
        if indices is not None:
            load_indices(model, indices)
    if checkpoint_path is not None:
        load_weights(model, checkpoint_path)
    if file is not None:
        describe(model, preprocess=replace(preprocess_of(model), size=file.input_size[1:]))
    if whole:
        return model
    assert isinstance(model, Net)
    trunk = model.trunk(out_indices)
    describe(trunk, model.config, model.preprocess)
    return trunk


def _pruned(checkpoint: str | None) -> bool:
    made = None if checkpoint is None else record_of(checkpoint)
    return made is not None and bool(made.model.widths)
