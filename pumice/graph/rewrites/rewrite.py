"""The passes in their order, and the one way in."""

from collections.abc import Callable, Sequence

from torch import fx, nn

from pumice.errors import BadInput, nearest
from pumice.graph.rewrites.activations import name_activations
from pumice.graph.rewrites.arithmetic import merge_arithmetic
from pumice.graph.rewrites.constants import fold_constants
from pumice.graph.rewrites.movement import select_channels, shuffles_as_selections
from pumice.graph.rewrites.noops import drop_noops
from pumice.graph.rewrites.norms import depthwise_norms, fold_norms, multiply_add
from pumice.graph.rewrites.program import LAST, program
from pumice.graph.rewrites.written import relabel, relabel_to_slices

PASSES: dict[str, Callable[[fx.GraphModule], None]] = {
    "constants": fold_constants,
    "noops": drop_noops,
    "activations": name_activations,
    "norms": fold_norms,
    "depthwise_norms": depthwise_norms,
    "multiply_add": multiply_add,
    "arithmetic": merge_arithmetic,
    "indexing": select_channels,
    "selections": shuffles_as_selections,
    "relabel_to_slices": relabel_to_slices,
    "relabel": relabel,
}
"""By name, in the order in which they run."""
USUAL = tuple(name for name in PASSES if name not in ("depthwise_norms", "selections", "relabel_to_slices"))
"""Without the alternative forms of what other passes do."""


def rewritten(
    model: nn.Module, input_size: tuple[int, int, int], *, batch: int = 1, passes: Sequence[str] = USUAL
) -> nn.Module:
    """A program that computes what the network computes in evaluation mode, with less; the network is not changed.

    Every pass is exact: outputs differ by rounding alone.  What pays depends on the runtime (`pumice.deploy.lower`).

    Args:
        model: any network of one image tensor and one answer, best with its batch norms folded (`pumice.graph.fold`).
        input_size: (C, H, W), fixed in what is returned, as the batch is.
        batch: images a pass.
        passes: of `PASSES`; they run in the order of that table.

    Raises:
        BadInput: torch cannot export the network, or there is no such pass.
    """
    for name in passes:
        if name not in PASSES:
            raise BadInput(f"no rewrite {name!r}{nearest(name, list(PASSES)) or '; choose ' + ', '.join(PASSES)}")
    gm = program(model, input_size, batch)
    for name, rewrite in PASSES.items():
        if name in passes:
            rewrite(gm)
    for node in gm.graph.nodes:
        node.meta.pop(LAST, None)  # in a copy of the program it would hold on to this one
    return gm
