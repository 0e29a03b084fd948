"""Weights of a net trained before into one that is built on it: a classifier's, or another task's, into a dense net on
the same backbone; ESPNet-C's, its first stage, into ESPNet."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from pumice.models.dense.names import is_dense
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import is_external
from pumice.models.families import family_of
from pumice.models.manifest import Manifest


def backbone_of(name: str) -> str:
    """What stands behind the colon of HEAD:BACKBONE; other names as they are."""
    return name.partition(":")[2] if is_dense(name) else name


def related(name: str, other: str) -> bool:
    """Whether two nets of ours may share a trunk: one backbone, or nets of one family."""
    first, second = backbone_of(name), backbone_of(other)
    if is_external(first) or is_external(second):
        return False
    return name != other and family_of(first) is family_of(second)


def load_begun(model: nn.Module, state: Mapping[str, Tensor], made: Manifest) -> bool:
    """Load the trunk of a related net in place, and take over its colours; the head keeps its fresh weights.

    What the head says it `continues` is loaded too, where it has the same shape.  Padding and eps are the caller's.

    Args:
        model: a dense net.
        state: weights of the other one.
        made: its record.

    Returns:
        whether it is such a trunk; if not, nothing is loaded.
    """
    own = model.state_dict()
    given = {k if k.startswith("encoder.") else f"encoder.{k}": v for k, v in state.items()}
    trunk = {k: v for k, v in own.items() if k.startswith("encoder.")}
    if not trunk or any(k not in given or given[k].shape != v.shape for k, v in trunk.items()):
        return False
    begun = {k: given[k] for k in trunk}
    for theirs, ours in getattr(getattr(model, "head", None), "continues", {}).items():
        found = state.get(f"head.{theirs}")
        if found is not None and found.shape == own[f"head.{ours}"].shape:
            begun[f"head.{ours}"] = found
    model.load_state_dict(begun, strict=False)
    mine = preprocess_of(model)
    fed = replace(made.preprocess, size=mine.size, crop_pct=mine.crop_pct, resize=mine.resize)
    describe(model, config_of(model), fed)
    return True
