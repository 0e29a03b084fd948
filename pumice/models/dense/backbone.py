"""Published weights of the backbone alone into a dense network."""

from dataclasses import replace

from torch import nn

from pumice.errors import BadInput
from pumice.models.build import build, set_eps
from pumice.models.dense.names import split
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external, is_external
from pumice.models.pretrained import load_pretrained
from pumice.nn.conv import set_padding


def load_backbone(model: nn.Module) -> None:
    """Load them in place; the head keeps its fresh weights, padding, eps and colours become those of the weights.

    Raises:
        BadInput: none are known or can be fetched; the head has changed the backbone, so that they do not fit.
    """
    config = config_of(model)
    assert config is not None
    _, name, options = split(config.name, config.options)
    if is_external(name):
        theirs = create_external(name, pretrained=True, in_chans=config.in_chans, features_only=True, **options)
        trained, config_there = {f"encoder.trunk.{k}": v for k, v in theirs.state_dict().items()}, None
    else:
        classifier = build(name, in_chans=config.in_chans, **options)
        load_pretrained(classifier)
        theirs, config_there = classifier, config_of(classifier)
        trained = {f"encoder.{k}": v for k, v in classifier.state_dict().items() if k.startswith("blocks.")}
    own = {k: v for k, v in model.state_dict().items() if k.startswith("encoder.")}
    if wrong := [k for k, v in own.items() if k not in trained or trained[k].shape != v.shape]:
        raise BadInput(
            f"published weights of {name} do not fit {config.name}, whose head has changed {wrong[0]}; "
            "train it from fresh weights, or leave out the option that changes the backbone"
        )
    model.load_state_dict({k: trained[k] for k in own}, strict=False)
    if config_there is not None:
        changed = replace(config, padding=config_there.padding, bn_eps=config_there.bn_eps)
        set_padding(model, changed.padding)
        set_eps(model, changed)
        describe(model, changed)
    colours, mine = preprocess_of(theirs), preprocess_of(model)
    fed = replace(colours, size=mine.size, crop_pct=mine.crop_pct, resize=mine.resize)
    describe(model, preprocess=fed)
