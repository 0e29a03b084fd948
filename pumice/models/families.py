"""Every family: a new one is one word in this tuple."""

import inspect
import math
import sys
from functools import cache, partial
from types import ModuleType
from typing import Any, get_args, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.models import (
    channelnet,
    condensenet,
    efficientnet,
    espnet,
    espnet_v2,
    fbnet,
    fbnet_v2,
    fbnet_v3,
    ghostnet,
    igc,
    micronet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    peleenet,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    squeezenext,
    weightnet,
)
from pumice.models.spaces.names import CHOICE, chosen, defaults_of, is_space, space_class
from pumice.models.spec import NetSpec, PlainSpec, Variant

FAMILIES: tuple[ModuleType, ...] = (
    squeezenet,
    squeezenext,
    shufflenet_v1,
    shufflenet_v2,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mnasnet,
    efficientnet,
    condensenet,
    espnet,
    espnet_v2,
    channelnet,
    peleenet,
    igc,
    ghostnet,
    weightnet,
    micronet,
    fbnet,
    fbnet_v2,
    fbnet_v3,
)


@cache
def variants() -> dict[str, Variant]:
    """Every network by name."""
    return {name: variant for family in FAMILIES for name, variant in family.VARIANTS.items()}


def family_of(name: str) -> ModuleType:
    """The family file of a network; of `space:NAME` that of the space."""
    if is_space(name):
        return sys.modules[space_class(name).__module__]
    return next(family for family in FAMILIES if name in family.VARIANTS)


def variant(name: str) -> Variant:
    """The variant of that name; of `space:NAME` what all its networks share.

    Raises:
        BadInput: no network has the name; the nearest is suggested.
    """
    if is_space(name):
        space = space_class(name)
        return Variant(partial(_of_space, name), input_size=space.image, num_classes=space.num_classes)
    if name not in variants():
        near = nearest(name, list(variants())) or "; `pumice list` names them all"
        raise BadInput(f"no network is called {name!r}{near}")
    return variants()[name]


def options_of(name: str) -> dict[str, Any]:
    """The options that a network takes, with the values that its name stands for."""
    if is_space(name):
        return {CHOICE: None, **defaults_of(name)}
    own = variant(name)
    defaults = {p.name: p.default for p in inspect.signature(own.net).parameters.values()}
    return {**defaults, **own.options}


def lacks(value: Any, default: Any, kind: Any) -> str:
    """What an option of that default and annotation must be, "" if the value is."""
    if isinstance(default, str):
        return "" if value in get_args(kind) else " or ".join(map(repr, get_args(kind)))
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if default == 0:  # a rate, off
            return "" if number and 0 <= value < math.inf else "a number from 0 on"
        return "" if number and 0 < value < math.inf else "a number above 0"
    return "" if type(value) is int and value >= 0 else "a whole number from 0 on"


def spec_of(name: str, options: dict[str, Any]) -> NetSpec | PlainSpec:
    """The rows and head of a network with some options changed.

    Raises:
        BadInput: an option that the family does not have, or a value that it cannot take.
    """
    if is_space(name):
        return _of_space(name, **options)
    known = options_of(name)
    for key, value in options.items():
        if key not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise BadInput(f"{name} has no option {key!r}; {takes}{nearest(key, list(known))}")
        wanted = lacks(value, known[key], get_type_hints(variant(name).net)[key])
        if wanted:
            raise BadInput(f"{name}: option {key} must be {wanted}, not {value!r}")
    return variant(name).net(**{**known, **options})


def _of_space(name: str, **options: Any) -> NetSpec:
    space, choice = chosen(name, options)
    return space.spec(choice)
