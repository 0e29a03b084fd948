"""The life of a net with learned group convolutions: prune it while it trains, then condense it.

Huang et al., "CondenseNet", CVPR 2018, arXiv:1711.09224, section 3, for every net that is built from
`pumice.nn.learned_group` and has the options `condensed` and `classifier`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.build import rebuild
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.families import options_of, variants
from pumice.nn.learned_group import LearnedGroupConv, stage_at


def learned(model: nn.Module) -> Iterator[tuple[str, LearnedGroupConv]]:
    """The learned group convolutions of a net that have yet to be condensed, by path."""
    return ((path, module) for path, module in model.named_modules() if isinstance(module, LearnedGroupConv))


def has_forms(name: str) -> bool:
    """Whether a name of ours stands for a net with a form that learns, `condensed=False`, and one that runs."""
    return name in variants() and "condensed" in options_of(name)


def set_progress(model: nn.Module, progress: float) -> None:
    """Do every pruning that is due when `progress` in [0, 1] of the training is done.

    The authors' code does at most one pruning in a forward pass, and takes the others that are due for done; so runs of
    few steps, and runs resumed without their buffers, end with too many weights.  Here all that are due are done.
    """
    for _, layer in learned(model):
        layer.prune(stage_at(progress, layer.condense_factor))


def prunings_due(model: nn.Module, progress: float) -> frozenset[int]:
    """What `set_progress` would bring the net's convolutions to, without a look at their tensors."""
    return frozenset(stage_at(progress, layer.condense_factor) for _, layer in learned(model))


def group_lasso(model: nn.Module) -> Tensor:
    """The sum of `LearnedGroupConv.lasso` over the net: times 1e-5, the authors' addition to the loss on ImageNet.

    On CIFAR they add none.

    Raises:
        BadInput: the net has none of these convolutions.
    """
    terms = [layer.lasso() for _, layer in learned(model)]
    if not terms:
        raise BadInput("this net has no learned group convolutions, so it has no group lasso; leave group_lasso at 0")
    return torch.stack(terms).sum()


def is_pruned(model: nn.Module) -> bool:
    """Whether every pruning is done, so that the net can be condensed."""
    return all(layer.stage == layer.condense_factor - 1 for _, layer in learned(model))


@torch.no_grad()
def condense(model: nn.Module, classifier: Literal["full", "half"]) -> nn.Module:
    """A new net in the form that runs: grouped convolutions in place of the learned ones.

    classifier: "full" answers what `model` answers.  "half" is the authors' conversion: the classifier keeps the half
        of its inputs with the largest sums of |W| over the classes, and the answers change.  Whichever is the name's
        own gives the net that `create_model(name)` builds.

    Raises:
        BadInput: the net has nothing to condense, or prunings are missing.
    """
    config = config_of(model)
    if config is None or not any(True for _ in learned(model)):
        name = type(model).__name__ if config is None else config.name
        raise BadInput(f"{name} has no learned group convolutions to condense; build it with condensed=False")
    own = options_of(config.name)
    form: dict[str, Any] = {"condensed": True, "classifier": classifier}
    options = {key: value for key, value in config.options.items() if key not in form}
    options |= {key: value for key, value in form.items() if value != own[key]}
    state = dict(model.state_dict())
    for path, layer in learned(model):
        state = {key: value for key, value in state.items() if not key.startswith(f"{path}.")}
        state |= {f"{path}.{key}": value for key, value in layer.condensed().state_dict().items()}
    if classifier == "half":
        if config.num_classes == 0:
            raise BadInput("a net without classes has no classifier to halve; condense it with classifier='full'")
        weight = state["head.classifier.weight"]
        index = weight.abs().sum(0).topk(weight.shape[1] // 2).indices.sort().values
        state |= {"head.select.index": index, "head.classifier.weight": weight[:, index]}
    net = rebuild(replace(config, options=options)).to(next(model.parameters()))
    net.load_state_dict(state)
    describe(net, preprocess=preprocess_of(model))
    return net.train(model.training)
