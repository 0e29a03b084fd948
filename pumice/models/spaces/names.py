"""`space:NAME` and its options -> space, choice.  Imports no torch until a space is asked for."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from pumice.errors import BadInput, nearest

if TYPE_CHECKING:
    from pumice.models.spaces.space import Choice, Space

SPACES = {  # name -> module and class
    "fbnet": "pumice.models.spaces.fbnet:FBNetSpace",
    "mnasnet": "pumice.models.spaces.mnasnet:MnasnetSpace",
    "macro": "pumice.models.spaces.macro:MacroSpace",
}
PREFIX = "space:"
CHOICE = "choice"


def is_space(name: str) -> bool:
    """Whether the name is that of a search space's networks."""
    return name.startswith(PREFIX)


def space_class(name: str) -> "type[Space]":
    """The class of a space, `fbnet` or `space:fbnet`.

    Raises:
        BadInput: no space has the name; the nearest is suggested.
    """
    own = name.removeprefix(PREFIX)
    if own not in SPACES:
        raise BadInput(f"no search space is called {own!r}{nearest(own, list(SPACES)) or '; choose ' + _known()}")
    module, _, attribute = SPACES[own].partition(":")
    found: type[Space] = getattr(import_module(module), attribute)
    return found


def defaults_of(name: str) -> dict[str, Any]:
    """The options of a space, with their values by default."""
    return {p.name: p.default for p in inspect.signature(space_class(name)).parameters.values()}


def create_space(name: str, **options: Any) -> "Space":
    """A space by name, `fbnet` or `space:fbnet`.

    Raises:
        BadInput: no such space, an option that it does not have, or a value that it cannot take.
    """
    from pumice.models.families import lacks

    found, known = space_class(name), defaults_of(name)
    hints = get_type_hints(found.__init__)
    for key, value in options.items():
        if key not in known:
            takes = f"it takes {', '.join([CHOICE, *known])}"
            raise BadInput(f"{PREFIX}{found.name} has no option {key!r}; {takes}{nearest(key, [CHOICE, *known])}")
        if wanted := lacks(value, known[key], hints[key]):
            raise BadInput(f"{PREFIX}{found.name}: option {key} must be {wanted}, not {value!r}")
    return found(**options)


def chosen(name: str, options: Mapping[str, Any]) -> "tuple[Space, Choice]":
    """The space and the choice that `space:NAME` with these options is.

    Raises:
        BadInput: see `create_space`; or there is no choice, or none of this space.
    """
    space = create_space(name, **{key: value for key, value in options.items() if key != CHOICE})
    if CHOICE not in options:
        example = ".".join("0" for _ in space.positions[:3]) + ("..." if len(space.positions) > 3 else "")
        raise BadInput(
            f"{name} is a space of networks: give one as choice={example}, {len(space.positions)} numbers; "
            f"`pumice info {name}` says what they mean"
        )
    return space, space.check(read_choice(options[CHOICE]))


def read_choice(value: Any) -> list[int]:
    """A choice as a list, from a sequence of whole numbers or from text, `0.3.1`.

    Raises:
        BadInput: it is neither.
    """
    if isinstance(value, str) and value and all(part.isdecimal() for part in value.split(".")):
        return [int(part) for part in value.split(".")]
    if type(value) is int:  # of a space of one position
        return [value]
    try:
        if not isinstance(value, str) and all(int(part) == part for part in value):
            return [int(part) for part in value]
    except (TypeError, ValueError):
        pass
    raise BadInput(f"the choice {value!r} is no list of whole numbers; write it as [0,3,1], or 0.3.1 of three and more")


def canonical(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they are recorded: a choice as a list of numbers; those of other networks as they are.

    Raises:
        BadInput: the choice cannot be read.
    """
    if PREFIX not in name or CHOICE not in options:
        return dict(options)
    return {**options, CHOICE: read_choice(options[CHOICE])}


def _known() -> str:
    return ", ".join(SPACES)
