"""Small data of every dense task: coloured rectangles on noise."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ((220, 40, 40), (40, 80, 230))  # of the classes red and blue
SIDE = 64


def picture(random: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """Pixels (H, W, 3), wider than high, and its rectangles: class, left, top, right, bottom."""
    pixels = random.integers(90, 160, (SIDE, SIDE + 16, 3), dtype=np.uint8)
    things = []
    for column in range(2):  # one in each half, so that none hides another
        label = int(random.integers(2))
        width, height = random.integers(20, 34, 2)
        left = column * (SIDE + 16) // 2 + int(random.integers(0, (SIDE + 16) // 2 - width + 1))
        top = int(random.integers(0, SIDE - height + 1))
        pixels[top : top + height, left : left + width] = COLOURS[label]
        things.append((label, left, top, left + int(width), top + int(height)))
    return pixels, things


def boxes(root: Path, train: int = 12, val: int = 4) -> Path:
    """COCO's layout: annotations/instances_*.json beside train/ and val/."""
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train", train), ("val", val)):
        random = np.random.default_rng(len(split))
        images, annotations = [], []
        (root / split).mkdir()
        for i in range(count):
            pixels, things = picture(random)
            Image.fromarray(pixels).save(root / split / f"{i}.png")
            height, width = pixels.shape[:2]
            images.append({"id": i, "file_name": f"{i}.png", "width": width, "height": height})
            for label, left, top, right, bottom in things:
                box = [left, top, right - left, bottom - top]
                annotations.append(
                    {
                        **{"id": len(annotations) + 1, "image_id": i, "category_id": label + 1, "bbox": box},
                        **{"area": box[2] * box[3], "iscrowd": 0},
                    }
                )
        categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def masks(root: Path, train: int = 12, val: int = 4) -> Path:
    """images/ and masks/ with train/ and val/, and classes.txt."""
    for split, count in (("train", train), ("val", val)):
        random = np.random.default_rng(len(split))
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            pixels, things = picture(random)
            mask = np.zeros(pixels.shape[:2], np.uint8)
            for label, left, top, right, bottom in things:
                mask[top:bottom, left:right] = label + 1
            mask[:2] = 255
            Image.fromarray(pixels).save(root / "images" / split / f"{i}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{i}.png")
    (root / "classes.txt").write_text("ground\nred\nblue\n")
    return root


def poses(root: Path, train: int = 12, val: int = 4) -> Path:
    """COCO's layout: a person is a rectangle, its joints are the corners' middles left and right and the centre."""
    (root / "annotations").mkdir(parents=True)
    joints = ["left_end", "right_end", "middle"]
    for split, count in (("train", train), ("val", val)):
        random = np.random.default_rng(len(split))
        images, annotations = [], []
        (root / split).mkdir()
        for i in range(count):
            pixels, things = picture(random)
            height, width = pixels.shape[:2]
            images.append({"id": i, "file_name": f"{i}.png", "width": width, "height": height})
            for _, left, top, right, bottom in things:
                middle = (top + bottom) / 2
                points = [(left, middle), (right, middle), ((left + right) / 2, middle)]
                for (x, y), colour in zip(points, ((255, 255, 0), (0, 255, 0), (255, 255, 255)), strict=True):
                    column, row = min(int(x), width - 4), int(y)
                    pixels[row - 2 : row + 3, max(0, column - 2) : column + 3] = colour
                annotations.append(
                    {
                        **{"id": len(annotations) + 1, "image_id": i, "category_id": 1, "iscrowd": 0},
                        **{"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)},
                        **{"keypoints": [v for x, y in points for v in (x, y, 2)], "num_keypoints": 3},
                    }
                )
            Image.fromarray(pixels).save(root / split / f"{i}.png")
        categories = [{"id": 1, "name": "person", "keypoints": joints, "skeleton": [[1, 3], [3, 2]]}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return root
