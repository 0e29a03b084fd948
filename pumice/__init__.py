"""Pumice: images and a budget in, a trained, measured and verified model file out.

The public names, loaded on first use so that `import pumice` costs nothing:

list_models     names of networks, within limits
create_model    a network by name, with timm's arguments
load_weights    weights of timm, torchvision, pytorchcv or the authors into a network
load_source     the network of a run folder, a checkpoint or a name, with its manifest
profile         parameters, multiply-adds, memory access and peak memory of any module
benchmark       honest latency of any module or file in any runtime
export          a network as a file of another format, checked
open_session    any network or file, ready to run
verify          whether a file computes and describes what its checkpoint does
prune           a network that loses channels until it keeps a target
quantize        a network as a file of 8-bit integers, where that pays
fit             images and a budget -> a run folder with the model file
BadInput, CheckFailed      what the functions raise
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumice.cost.count import profile as profile
    from pumice.cost.latency import benchmark as benchmark
    from pumice.cost.query import list_models as list_models
    from pumice.deploy.export import export as export
    from pumice.deploy.session import open_session as open_session
    from pumice.deploy.verify import verify as verify
    from pumice.errors import BadInput as BadInput
    from pumice.errors import CheckFailed as CheckFailed
    from pumice.loop.fit import fit as fit
    from pumice.loop.quantising.quantize import quantize as quantize
    from pumice.models.create import create_model as create_model
    from pumice.models.source import load_source as load_source
    from pumice.models.weights import load_weights as load_weights
    from pumice.search.prune.prune import prune as prune

__version__ = "0.1.0"
_HOMES = {
    "BadInput": "pumice.errors",
    "CheckFailed": "pumice.errors",
    "benchmark": "pumice.cost.latency",
    "create_model": "pumice.models.create",
    "export": "pumice.deploy.export",
    "fit": "pumice.loop.fit",
    "list_models": "pumice.cost.query",
    "load_source": "pumice.models.source",
    "load_weights": "pumice.models.weights",
    "open_session": "pumice.deploy.session",
    "profile": "pumice.cost.count",
    "prune": "pumice.search.prune.prune",
    "quantize": "pumice.loop.quantising.quantize",
    "verify": "pumice.deploy.verify",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pumice' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
