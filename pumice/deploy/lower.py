"""What a network becomes before it is written: norms folded, and the exact rewrites that pay in the format's runtime.

`PASSES` says which, from measurements of each rewrite alone (`benchmarks/rewrites.py`, docs/log.md): what made a
runtime slower is not used for it, whatever it saves elsewhere.
"""

from torch import nn

from pumice.deploy.baked import Baked
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.rewrites.rewrite import rewritten

PASSES: dict[str, tuple[str, ...]] = {
    # ONNX Runtime: 0.81 to 0.97 of the time on nets that shuffle; a batch norm stays one operator (1.07 as two).
    "onnx": ("noops", "constants", "activations", "norms", "arithmetic", "indexing", "relabel"),
    # OpenVINO: slices instead of shuffles take 0.77 (IGCV3) and 0.90 (ShuffleNetV2) of the time, but shuffles of blocks
    # 1.08 (CondenseNet) and 1.31 (MicroNet-M0): it has code for shuffles of single channels alone.
    "openvino": ("noops", "constants", "activations", "norms", "arithmetic", "indexing", "relabel_to_slices"),
}
"""Format -> passes of `pumice.graph.rewrites.rewrite`; a format that is not here is folded and no more."""


def lowered(
    model: nn.Module, input_size: tuple[int, int, int], *, batch: int = 1, format: str, dynamic: bool = False
) -> nn.Module:
    """A network that computes the same, for the writer of a format: frozen, folded, rewritten.

    A network that cannot be rewritten (torch cannot export it, say) is folded and no more: it is slower, not wrong.

    Args:
        model: any network of one image tensor; it is not changed.
        input_size: (C, H, W) of the file.
        batch: of the file.
        format: whose passes.
        dynamic: a size stays open, which rewrites would fix: the network is folded and no more.
    """
    if isinstance(model, Baked):
        inner = lowered(model.network, input_size, batch=batch, format=format, dynamic=dynamic)
        return model.around(inner)
    still = folded(model, input_size)
    passes = PASSES.get(format, ())
    if dynamic or not passes:
        return still
    try:
        return rewritten(still, input_size, batch=batch, passes=passes)
    except BadInput:
        return still
