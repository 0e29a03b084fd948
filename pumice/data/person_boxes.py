"""Boxes of persons that a detector has written to a file, for a network that looks into boxes."""

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pumice.errors import BadInput
from pumice.files import read_json

if TYPE_CHECKING:
    from PIL import Image

FORMS = (
    'what `pumice predict --json` prints, or COCO\'s results ([{"image_id": 7, "bbox": [x, y, w, h], "score": 0.9}])'
)


def read_person_boxes(path: str | Path) -> Callable[[str, "Image.Image"], list[tuple[float, ...]]]:
    """A function from an image's name to its boxes: left, top, right, bottom in pixels, score.

    An image of COCO's results is meant by the number that its file is called by, `000000000007.jpg`, or by its name.
    Of detections of several classes those called "person" count, if there are any.

    Raises:
        BadInput: the file is of another form; in the function, it has nothing about the image.
    """
    records = read_json(Path(path))
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise BadInput(f"{path} holds no list of detections; give {FORMS}")
    by_name: dict[str, list[tuple[float, ...]]] = {}
    try:
        for one in records:
            if "boxes" in one:
                by_name[_key(one["name"])] = _persons(one["boxes"])
            elif "bbox" in one:
                x, y, width, height = map(float, one["bbox"])
                box = (x, y, x + width, y + height, float(one.get("score", 1.0)))
                by_name.setdefault(_key(one["image_id"]), []).append(box)
            elif "error" not in one:
                raise KeyError("boxes")
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds a record that is no detection ({error}); give {FORMS}") from error

    def boxes(name: str, image: "Image.Image") -> list[tuple[float, ...]]:
        if _key(name) not in by_name:
            raise BadInput(f"{path} says nothing of {name}; detect persons in it too, or leave it out")
        return by_name[_key(name)]

    return boxes


def _persons(boxes: list[dict[str, Any]]) -> list[tuple[float, ...]]:
    persons = [one for one in boxes if one.get("class") == "person"]
    return [(*map(float, one["box"]), float(one.get("score", 1.0))) for one in persons or boxes]


def _key(name: Any) -> str:
    """`photos/000000000007.jpg`, `7` and 7 are one image."""
    stem = PurePath(str(name)).stem
    return str(int(stem)) if stem.isdecimal() else stem
