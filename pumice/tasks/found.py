"""What a dense network finds in an image: read from its outputs, written as JSON values, drawn.  numpy and Pillow."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.tasks.task import Run

if TYPE_CHECKING:
    from PIL import Image

Box = Sequence[float]  # left, top, right, bottom in pixels and, where a detector found it, a score


class Found(ABC):
    """What was found in one image, or is there by its annotations."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """JSON values."""

    @abstractmethod
    def rows(self) -> list[list[str]]:
        """Cells for a table, `Reader.columns` in order."""

    @abstractmethod
    def drawn(self, image: "Image.Image") -> "Image.Image":
        """The image with it on."""

    def map(self) -> "Image.Image | None":
        """A palette image of classes, where there is a class for every pixel."""
        return None


class Reader(ABC):
    """Feeds images to a network of a task and reads what it answers.

    columns: of a table of what was found.

    Args:
        preprocess: of the network.
        classes: names, in order.
        decode: `Manifest.decode` of the network.
    """

    columns: tuple[str, ...]

    def __init__(self, preprocess: Preprocess, classes: tuple[str, ...], decode: Mapping[str, Any]) -> None:
        self.preprocess, self.classes, self.decode = preprocess, classes, decode

    def told_from(self, score: float) -> None:
        """Tell only what scores more.

        Raises:
            BadInput: nothing has a score here.
        """
        raise BadInput("only detections and joints have a score to choose by; leave --score out")

    def inputs(self, image: "Image.Image", boxes: Sequence[Box]) -> NDArray[np.float32]:
        """(n, C, H, W): what the network reads of an image.

        boxes: of persons, for a task that looks into boxes; none mean the whole image.
        """
        return self.preprocess(image)[None]

    def answering(self, run: Run) -> Run:
        """`run`, a function from inputs to outputs, as its answers are read: asked twice, say."""
        return run

    @abstractmethod
    def read(self, outputs: NDArray[np.float32], image: "Image.Image", boxes: Sequence[Box]) -> Found:
        """What the outputs (n, ...) for `inputs(image, boxes)` mean.

        Raises:
            CheckFailed: they are no finite numbers.
        """

    def nothing(self) -> Found:
        """What is found where there is no box to look into.

        Raises:
            NotImplementedError: of a task that looks into no boxes.
        """
        raise NotImplementedError

    @abstractmethod
    def truth(self, samples: Any, index: int) -> Found:
        """What the annotations say of a sample."""

    def view(self, image: "Image.Image", samples: Any, index: int) -> tuple[int, int, int, int]:
        """The part of an image, left, top, right, bottom in pixels, that a picture of a sample shows."""
        return 0, 0, image.width, image.height

    def boxes_of(self, samples: Any, index: int) -> Sequence[Box]:
        """The boxes that belong to a sample, for `inputs`."""
        return ()
