import json

import numpy as np
from PIL import Image

from pumice.data.box_summary import counts, summary
from pumice.data.boxes import Boxes, BoxSet
from pumice.data.images import Skipped, Splits


def box_set(targets: list[Boxes], start: int = 0, classes: tuple[str, ...] = ("cat", "dog")) -> BoxSet:
    names = tuple(f"{start + i}.png" for i in range(len(targets)))
    loaders = (lambda: Image.new("RGB", (400, 400)),) * len(targets)
    return BoxSet(classes, names, loaders, tuple(targets), ((400, 400),) * len(targets))


def test_counts():
    boxes = [[0, 0, 31, 32], [0, 0, 32, 32], [0, 0, 96, 96], [0, 0, 96, 97], [0, 0, 7, 300]]
    one = Boxes.of(boxes, [0, 0, 0, 1, 1], crowd=[False] * 4 + [True])
    found = counts(box_set([one, Boxes.of([], []), Boxes.of([[0, 0, 7, 300]], [1])]))
    assert (found.images, found.empty, found.boxes, found.crowds) == (3, 1, 5, 1)
    assert found.per_class == {"cat": 3, "dog": 2}
    assert found.images_per_class == {"cat": 1, "dog": 2}
    assert found.per_image == (0, 1.0, 4)
    assert (found.small, found.medium, found.large, found.tiny) == (1, 3, 1, 1)
    assert counts(box_set([])).per_image == (0, 0.0, 0)


def test_sound_and_unsound_data():
    many = Boxes.of([[0, 0, 100, 100]] * 120, np.arange(120) % 2)
    good = summary(Splits("here", box_set([many]), box_set([many], 5)))
    assert (good.ok, good.advice) == (True, ())
    train = box_set([Boxes.of([[0, 0, 5, 5]] * 3, [0, 0, 0])])
    skipped = (Skipped("a.json", "annotation 3: its box has no area"),)
    bad = summary(Splits("here", train, box_set([many]), skipped))
    assert not bad.ok
    assert bad.shared == ("0.png",)
    assert len(bad.problems) == 2
    assert "class 'dog' has boxes to judge by but none to learn from" in bad.problems[1]
    assert bad.advice[0].startswith("class 'cat' has 3 boxes")
    assert "100 % of the boxes are tiny" in bad.advice[1]
    record = json.loads(json.dumps(bad.to_json()))
    assert record["ok"] is False
    assert record["train"]["per_class"] == {"cat": 3, "dog": 0}
    assert record["skipped"][0]["path"] == "a.json"
