"""The record of a data set."""

import json

from pumice.data.describe import description, names_digest
from pumice.data.digits import open_digits
from pumice.data.images import ImageSet, Skipped, Splits


def few(labels: tuple[int, ...] = (0, 0, 1), names: tuple[str, ...] = ("x", "y", "caf\udce9")) -> Splits:
    def none() -> None:
        raise AssertionError("no image is read")

    def images(labels: tuple[int, ...], names: tuple[str, ...]) -> ImageSet:
        return ImageSet(("ant", "bee", "cow"), labels, names, (none,) * len(labels))  # type: ignore[arg-type]

    return Splits("photos", images(labels, names), images((1,), ("z",)), (Skipped("w", "it is empty"),))


def test_counts_of_every_class_and_split() -> None:
    record = description(few())
    assert record["images"] == {"train": {"ant": 2, "bee": 1, "cow": 0}, "val": {"ant": 0, "bee": 1, "cow": 0}}
    assert (record["source"], record["classes"], record["skipped"]) == ("photos", ["ant", "bee", "cow"], 1)
    assert json.loads(json.dumps(record)) == record


def test_the_digest_tells_other_images() -> None:
    same, renamed, moved = few(), few(names=("x", "y", "v")), few(labels=(0, 1, 1))
    assert names_digest(few()) == names_digest(same)
    assert len({names_digest(s) for s in (same, renamed, moved)}) == 3
    swapped = Splits(same.source, same.val, same.train)
    assert names_digest(swapped) != names_digest(same)
    assert names_digest(open_digits(seed=1)) != names_digest(open_digits(seed=0)) == names_digest(open_digits())
