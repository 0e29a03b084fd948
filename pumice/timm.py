"""`import pumice.timm` registers with timm every network that timm lacks; a name that timm has is never replaced.

>>> import timm, pumice.timm
>>> timm.create_model("micronet_m1", num_classes=10)  # doctest: +SKIP
"""

import sys
from typing import Any

import timm
from timm.models import register_model
from torch import nn

from pumice.models.create import create_model
from pumice.models.described import preprocess_of
from pumice.models.families import variant, variants


def _register(name: str) -> None:
    def entry(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        # timm hands its own bookkeeping to every entry point; ours comes with the network.
        own = {k: v for k, v in kwargs.items() if v is not None and not k.startswith(("pretrained_cfg", "cache_dir"))}
        model = create_model(name, pretrained=pretrained, **own)
        how = preprocess_of(model)
        model.__dict__["pretrained_cfg"] = model.__dict__["default_cfg"] = {
            "architecture": name,
            "input_size": (own.get("in_chans", 3), *how.size),
            "num_classes": own.get("num_classes", variant(name).num_classes),
            "crop_pct": how.crop_pct,
            "interpolation": how.interpolation,
            "mean": how.mean,
            "std": how.std,
        }
        return model

    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = f"{name} of Pumice."
    setattr(sys.modules[__name__], name, entry)
    register_model(entry)


REGISTERED = tuple(name for name in variants() if name not in timm.list_models())
for _name in REGISTERED:
    _register(_name)
