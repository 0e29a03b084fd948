"""How the output of a built network is read."""

import copy
from typing import Any

import torch
from torch import nn

from pumice.models.described import config_of
from pumice.models.heads import DenseHead


def decoding_of(model: nn.Module, height: int, width: int) -> dict[str, Any]:
    """`Manifest.decode` of a network for inputs of that size; {} where the output says all by itself."""
    head, encoder = getattr(model, "head", None), getattr(model, "encoder", None)
    if not isinstance(head, DenseHead) or encoder is None:
        return {}
    # Families round odd sides up or down, so the sizes of the maps are asked of the encoder itself, without arithmetic.
    blank = copy.deepcopy(encoder).to("meta").eval()
    config = config_of(model)
    x = torch.empty(1, 3 if config is None else config.in_chans, height, width, device="meta")
    with torch.no_grad():
        maps = [(int(m.shape[2]), int(m.shape[3])) for m in blank(x)]
    return head.decoding_on(maps, height, width)
