"""What is held still: everything but the last layer, the statistics of batch norms."""

from torch import nn

from pumice.errors import BadInput


def backbone(net: nn.Module) -> list[nn.Module]:
    """The modules of a network that neither are its classifier nor hold it.

    Raises:
        BadInput: the network does not say which layer its classifier is.
    """
    get_classifier = getattr(net, "get_classifier", None)
    if get_classifier is None:
        raise BadInput(f"{type(net).__name__} does not name its classifier, so nothing can be frozen; use freeze=none")
    found = get_classifier()
    heads = found if isinstance(found, tuple | list) else (found,)
    inside = {id(m) for head in heads for m in head.modules()}
    return [m for m in net.modules() if not inside & {id(part) for part in m.modules()}]


def set_frozen(net: nn.Module, frozen: bool) -> None:
    """Freeze the backbone or free it: no gradients, batch norms keep their statistics, no dropout inside.

    Raises:
        BadInput: see `backbone`.
    """
    for module in backbone(net):
        module.training = not frozen
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(not frozen)


def freeze_norms(net: nn.Module) -> None:
    """Let batch norms normalise by their running statistics, and keep these; their weights and biases are trained."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
