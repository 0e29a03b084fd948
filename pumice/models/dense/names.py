"""`HEAD:BACKBONE` and its options -> spec."""

from dataclasses import fields
from functools import partial
from typing import Any, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.models.dense.heads import HEADS
from pumice.models.dense.plan import HeadPlan
from pumice.models.dense.spec import DenseSpec, on_backbone
from pumice.models.external import create_external, is_external
from pumice.models.families import lacks, spec_of, variant


def is_dense(name: str) -> bool:
    """Whether the name begins with a head."""
    return ":" in name and name.partition(":")[0] in HEADS


def split(name: str, options: dict[str, Any]) -> tuple[HeadPlan, str, dict[str, Any]]:
    """The head with its options, the backbone's name, and the options that are left for the backbone.

    Raises:
        BadInput: a value that the head's option cannot take.
    """
    kind, _, backbone = name.partition(":")
    plan, hints = HEADS[kind], get_type_hints(HEADS[kind])
    defaults = {f.name: f.default for f in fields(plan)}
    own = {k: v for k, v in options.items() if k in defaults}
    for key, value in own.items():
        if wanted := lacks(value, defaults[key], hints[key]):
            raise BadInput(f"{kind}: option {key} must be {wanted}, not {value!r}")
    return plan(**own), backbone, {k: v for k, v in options.items() if k not in defaults}


def dense_spec(name: str, options: dict[str, Any], output_stride: int | None) -> DenseSpec:
    """The spec of a head on a backbone.

    Raises:
        BadInput: no such backbone, or one for another task; an option that neither has.
    """
    plan, backbone, rest = split(name, options)
    stride = plan.output_stride if output_stride is None else output_stride
    if is_external(backbone):
        if not backbone.startswith("timm:"):
            head = name.partition(":")[0]
            raise BadInput(f"{name}: dense tasks take a backbone of Pumice or of timm; write {head}:timm:NAME")
        trunk = partial(_theirs, backbone, {**rest, "output_stride": stride})
        return DenseSpec(plan, trunk=trunk, output_stride=stride, sides=plan.sides)
    chosen = variant(backbone)
    if chosen.task != "classify":
        raise BadInput(f"{backbone} is a net to {chosen.task} already; choose a classifier as backbone")
    try:
        spec = spec_of(backbone, rest)
    except BadInput as error:
        unknown = next((key for key in rest if f"option {key!r}" in str(error)), None)
        known = [f.name for f in fields(plan)]
        if unknown is None or not known:
            raise
        raise BadInput(f"{error}; {name.split(':')[0]} takes {', '.join(known)}{nearest(unknown, known)}") from error
    return on_backbone(plan, spec, stride)


def _theirs(backbone: str, given: dict[str, Any], in_chans: int) -> Any:
    return create_external(backbone, in_chans=in_chans, features_only=True, **given)
