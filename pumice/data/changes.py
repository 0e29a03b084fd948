"""Whether images are still those that a network was trained on."""

from hashlib import sha256
from typing import Any

from pumice.data.images import ImageSet, Splits


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
    """Numbers of images, and digests of their names and labels; the pixels are not read."""
    sides = {"train": splits.train, "val": splits.val}
    return {side: {"count": len(images), "names": _digest(images)} for side, images in sides.items()}


def changed_images(found: dict[str, Any], known: dict[str, Any], data: str, run: str) -> str | None:
    """How fingerprints differ, and the mend; None if they do not."""
    for side, word in (("train", "training"), ("val", "validation")):
        here, there = found[side], known[side]
        mend = "so going on would give other weights than it began with; put them back, or start a new run"
        if here["count"] != there["count"]:
            return f"{data} has {here['count']} {word} images and {run} was begun with {there['count']}, {mend}"
        if here["names"] != there["names"]:
            return f"the {word} images of {data} have other names or classes than {run} was begun with, {mend}"
    return None


def _named(names: list[str]) -> str:
    """`the class 'a'`, or the first few."""
    if len(names) == 1:
        return f"the class {names[0]!r}"
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the classes {', '.join(map(repr, names[:3]))}{rest}"


def _digest(images: ImageSet) -> str:
    lines = (f"{label} {name}\n" for label, name in zip(images.labels, images.names, strict=True))
    digest = sha256()
    for line in lines:
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()
