"""The value of a setting, from the command line or a file, as its field's type."""

import json
import re
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pumice.errors import BadInput


def read_value(text: str) -> Any:
    """`0.1` -> 0.1, `true` -> True, `[0.5, 1]` -> a list, anything else as it stands."""
    if text.lower() in ("none", "null"):
        return "none"  # a word of `freeze`, and None where a field may be None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def checked(name: str, value: Any, hint: Any) -> Any:
    """The value as its field's type.

    Raises:
        BadInput: it is of another type.
    """
    choices = get_args(hint) if isinstance(hint, UnionType) or str(get_origin(hint)) == "typing.Union" else (hint,)
    for choice in sorted(choices, key=lambda c: c is not NoneType):  # None first: "none" is also a word
        ok, fitted = _fit(value, choice)
        if ok:
            return fitted
    raise BadInput(f"{name}={value!r} is not {' or '.join(_words(c) for c in choices)}")


def _fit(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a JSON value is of a type, and the value as that type."""
    if hint is NoneType:
        return value in (None, "none"), None
    if get_origin(hint) is Literal:
        text = str(value)  # `precision=32` reads as a number
        return text in get_args(hint), text
    if get_origin(hint) is tuple:
        members = get_args(hint)
        if isinstance(value, str) and re.fullmatch(r"\d+(x\d+)+", value):  # 360x480
            value = [int(part) for part in value.split("x")]
        if not isinstance(value, list | tuple) or (members[-1] is not Ellipsis and len(value) != len(members)):
            return False, None
        kinds = [members[0]] * len(value) if members[-1] is Ellipsis else members
        pairs = [_fit(one, kind) for one, kind in zip(value, kinds, strict=True)]
        ok = all(fits for fits, _ in pairs)
        return ok, tuple(fitted for _, fitted in pairs) if ok else None
    if get_origin(hint) is dict:
        return isinstance(value, dict), value
    if hint is float:
        return _is_number(value), float(value) if _is_number(value) else None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint), value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _words(hint: Any) -> str:
    """A type as a user says it."""
    if hint is NoneType:
        return "none"
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return {str: "a list of words"}.get(get_args(hint)[0], "a list of numbers")
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(hint, "a record")
