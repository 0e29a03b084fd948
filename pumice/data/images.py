"""What a set of labelled images is: names, labels, and a way to get each image when it is asked for."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol

from PIL import Image
from typing_extensions import TypeVar  # Python's own takes no default before 3.13

if TYPE_CHECKING:
    from pumice.data.stream import ImageStream

Load = Callable[[], Image.Image]


class NamedImage(NamedTuple):
    """An image that is read only when asked for: `item.image()`, or `for name, image in items: image()`."""

    name: str
    image: Load


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    classes: names of the classes, in order.
    labels: an index into `classes` per image.
    names: a name per image; for a folder the path below it, with forward slashes.
    loaders: a function per image that gives it as RGB.
    """

    classes: tuple[str, ...]
    labels: tuple[int, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    loaders: tuple[Load, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.names) == len(self.loaders):
            raise ValueError(
                f"{len(self.labels)} labels, {len(self.names)} names and {len(self.loaders)} images do not match"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Image `index`, RGB.

        Raises:
            BadImage: its file has been removed or damaged since the set was opened.
        """
        return self.loaders[index]()

    def subset(self, indices: Iterable[int]) -> "ImageSet":
        """The images at these indices, in that order, with the same classes; no image is copied or read."""
        indices = tuple(indices)
        return ImageSet(
            self.classes,
            tuple(self.labels[i] for i in indices),
            tuple(self.names[i] for i in indices),
            tuple(self.loaders[i] for i in indices),
        )


@dataclass(frozen=True)
class Skipped:
    """A file that was left out.

    path: the file.
    reason: why, as the end of a sentence.
    damaged: whether it is an image that cannot be read, not something else.
    """

    path: str
    reason: str
    damaged: bool = False


class AnySet(Protocol):
    """An `ImageSet`, `BoxSet`, `MaskSet` or `PoseSet`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""

    def __len__(self) -> int: ...


S = TypeVar("S", bound=AnySet, default=ImageSet)


@dataclass(frozen=True, eq=False)
class Splits(Generic[S]):
    """Images to learn from and images to judge by, of any task; `Splits` alone are those of classification.

    source: what the user called the data.
    skipped: files of both that were left out.
    stream: where the images to learn from come from, if they cannot be indexed; `train` is empty then.
    """

    source: str
    train: S
    val: S
    skipped: tuple[Skipped, ...] = ()
    stream: "ImageStream | None" = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return self.train.classes

    @property
    def train_images(self) -> int:
        """How many images an epoch shows."""
        return len(self.train) if self.stream is None else len(self.stream)


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Sorts names as people do: `img2` before `img10`, `Cat` before `dog`; names that tie by their characters."""
    # Text and numbers alternate, text first, so two keys compare text with text and number with number.
    parts = re.split(r"(\d+)", name)
    return tuple(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), name
