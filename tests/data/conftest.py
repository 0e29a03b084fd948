"""Image folders that the tests make."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Colour = tuple[int, int, int]


@pytest.fixture(scope="session")
def colour_of() -> Callable[[str], Colour]:
    """The colour of the image that `add` makes, by `class/name`."""
    return lambda name: tuple(sum((i + 3) * ord(c) * (k + 1) for i, c in enumerate(name)) % 256 for k in range(3))


@pytest.fixture(scope="session")
def add(colour_of: Callable[[str], Colour]) -> Callable[..., None]:
    """`add(folder, *names)` writes images of one colour each; `add(folder, 3)` writes img0.png to img2.png."""

    def add(folder: Path, *names: str | int) -> None:
        for name in [f"img{i}.png" for i in range(names[0])] if isinstance(names[0], int) else names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 8), colour_of(f"{folder.name}/{name}")).save(folder / name)

    return add
