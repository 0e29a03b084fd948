"""Whether images are still those that a network was trained on."""

from typing import Any

from pumice.data.describe import names_digest
from pumice.data.images import Splits


def changed_classes(found: tuple[str, ...], known: tuple[str, ...], data: str, run: str) -> str | None:
    """How the classes of `data` differ from those that `run` was trained on, and the mend; None if they do not."""
    added = [name for name in found if name not in known]
    gone = [name for name in known if name not in found]
    if len(added) == len(gone) == 1:
        return f"{data} has the class {added[0]!r} where {run} was trained on {gone[0]!r}; rename it, or train again"
    if added and gone:
        return f"{data} has {_named(added)}, but {run} was trained on {_named(gone)}; give its images, or train again"
    if added:
        return f"{data} has {_named(added)}, which {run} was not trained on; remove the folder, or train again"
    if gone:
        return f"{data} lacks {_named(gone)}, which {run} was trained on; put the folder back, or train again"
    if found != known:
        i = next(i for i, name in enumerate(known) if found[i] != name)
        place = f"number {i + 1} is {found[i]!r}, not {known[i]!r}"
        return f"{data} has its classes in another order than {run} was trained on ({place}); mend that, or train again"
    return None


def fingerprint(splits: Splits) -> dict[str, Any]:
    """Numbers of images, and a digest of their names and classes; no pixel is read."""
    return {"train": len(splits.train), "val": len(splits.val), "names": names_digest(splits)}


def changed_images(found: dict[str, Any], known: dict[str, Any], data: str, run: str) -> str | None:
    """How fingerprints differ, and the mend; None if they do not."""
    mend = "so going on would give other weights than it began with; put them back, or start a new run"
    for side, word in (("train", "training"), ("val", "validation")):
        if found[side] != known[side]:
            return f"{data} has {found[side]} {word} images and {run} was begun with {known[side]}, {mend}"
    if found["names"] != known["names"]:
        return f"the images of {data} have other names or classes than {run} was begun with, {mend}"
    return None


def _named(names: list[str]) -> str:
    """`the class 'a'`, or the first few."""
    if len(names) == 1:
        return f"the class {names[0]!r}"
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the classes {', '.join(map(repr, names[:3]))}{rest}"
