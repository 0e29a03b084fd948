"""What has changed in data since a network was trained on them, in words."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from pumice.data.changes import changed_classes, changed_images, fingerprint
from pumice.data.folder import open_folder
from pumice.data.images import Splits


def said(found: str, known: str) -> str | None:
    return changed_classes(tuple(found.split()), tuple(known.split()), "photos", "runs/a")


def test_classes_in_words() -> None:
    assert said("cat dog", "cat dog") is None
    assert said("cat dog zebra", "cat dog") == (
        "photos has the class 'zebra', which runs/a was not trained on; remove the folder, or train again"
    )
    assert said("cat", "cat dog") == (
        "photos lacks the class 'dog', which runs/a was trained on; put the folder back, or train again"
    )
    assert said("cat hound", "cat dog") == (
        "photos has the class 'hound' where runs/a was trained on 'dog'; rename it, or train again"
    )
    assert said("dog cat", "cat dog") == (
        "photos has its classes in another order than runs/a was trained on (number 1 is 'dog', not 'cat'); "
        "mend that, or train again"
    )
    assert said("a b c d e", "x a") == (
        "photos has the classes 'b', 'c', 'd' and 1 more, but runs/a was trained on the class 'x'; "
        "give its images, or train again"
    )


def folder(root: Path) -> Path:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (8, 8), (50 * i, 0, 0)).save(root / name / f"{i}.png")
    return root


def test_images_that_have_changed(tmp_path: Path) -> None:
    root = folder(tmp_path / "photos")
    begun = fingerprint(open_folder(root))
    assert (begun["train"], begun["val"]) == (8, 2)

    def now() -> str | None:
        return changed_images(fingerprint(open_folder(root)), begun, "photos", "runs/a")

    assert now() is None
    mend = "so going on would give other weights than it began with; put them back, or start a new run"
    train = open_folder(root).train.names
    (root / train[0]).rename(root / "cat/a.png")
    changed = now()
    assert changed is not None
    assert changed == (f"the images of photos have other names or classes than runs/a was begun with, {mend}")
    (root / "cat/a.png").rename(root / train[0])
    Image.new("RGB", (8, 8)).save(root / "cat/more.png")
    assert now() == f"photos has 9 training images and runs/a was begun with 8, {mend}"
    (root / "cat/more.png").unlink()
    assert now() is None
    both = open_folder(root)
    fewer = Splits(both.source, both.train, both.val.subset([0]))
    assert changed_images(fingerprint(fewer), begun, "photos", "runs/a") == (
        f"photos has 1 validation images and runs/a was begun with 2, {mend}"
    )
    other = replace(both, train=replace(both.train, labels=both.train.labels[::-1]))
    assert changed_images(fingerprint(other), begun, "photos", "runs/a") == (
        f"the images of photos have other names or classes than runs/a was begun with, {mend}"
    )
