"""Labels as shards and tables hold them, numbers or words, made into indices of named classes."""

import json
from collections.abc import Callable, Iterable, Sequence

from pumice.data.images import natural_key
from pumice.errors import BadInput, nearest

Label = int | str


def read_label(text: str) -> Label:
    """`"7"` -> 7, `"cat"` -> "cat"."""
    text = text.strip()
    return int(text) if text.isdecimal() else text


def classes_of(labels: Iterable[Label], names: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """The classes that training labels mean: `names` if given, else the words in natural order, else the numbers.

    Raises:
        BadInput: numbers and words are mixed, a number is negative, or there are fewer than two classes.
    """
    found = set(labels)
    numbers = {label for label in found if isinstance(label, int)}
    if numbers and len(numbers) < len(found):
        word = next(label for label in found if isinstance(label, str))
        raise BadInput(f"{source} labels some images by numbers and some by words ({word!r}); use one of the two")
    if numbers and min(numbers) < 0:
        raise BadInput(f"{source} has the label {min(numbers)}; number the classes from 0")
    if names is not None:
        classes = tuple(names)
    elif numbers:
        classes = tuple(map(str, range(max(numbers) + 1)))
    else:
        classes = tuple(sorted((str(label) for label in found), key=natural_key))
    if len(classes) < 2:
        held = f"one class ({classes[0]!r})" if classes else "no labels"
        raise BadInput(f"{source} holds {held}; classification needs at least two classes")
    return classes


def indexer(classes: Sequence[str], source: str) -> Callable[[Label], int]:
    """A function that gives a label's index into `classes`.

    Raises (the function):
        BadInput: the classes lack it.
    """
    places = {name: index for index, name in enumerate(classes)}

    def index_of(label: Label) -> int:
        if isinstance(label, int):
            if not 0 <= label < len(classes):
                raise BadInput(f"{source} has the label {label}, but there are {len(classes)} classes, counted from 0")
            return label
        if label not in places:
            raise BadInput(f"{source} has the class {label!r}, which is unknown{nearest(label, list(classes))}")
        return places[label]

    return index_of


def read_names(text: str, source: str) -> tuple[str, ...]:
    """Class names of a `classes.txt` (one a line) or `classes.json` (a list, {index: name} or {name: index}).

    Raises:
        BadInput: it is none of these.
    """
    if not source.endswith(".json"):
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    else:
        names = _from_json(text, source)
    if len(set(names)) < len(names):
        raise BadInput(f"{source} names a class twice; give each class a name of its own")
    return names


def _from_json(text: str, source: str) -> tuple[str, ...]:
    wrong = BadInput(f'{source} is no list of class names; write it as ["cat", "dog"]')
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise wrong from error
    if isinstance(value, dict):
        flipped = value if all(str(key).isdecimal() for key in value) else {v: k for k, v in value.items()}
        value = [flipped.get(i, flipped.get(str(i))) for i in range(len(flipped))]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise wrong
    return tuple(value)
