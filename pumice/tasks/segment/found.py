"""The class of every pixel of one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.masks import VOID, MaskSet
from pumice.data.tiles import Tile, tile_pixels, tiles
from pumice.errors import CheckFailed
from pumice.tasks.drawing import palette, with_classes, with_legend
from pumice.tasks.found import Box, Found, Reader
from pumice.tasks.names import OPTIONS, create_task
from pumice.tasks.segment.decode import class_map

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class FoundClasses(Found):
    """(H, W) classes of the pixels, VOID of none."""

    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]

    def to_json(self) -> dict[str, Any]:
        """The share of the image that each class has that occurs."""
        counts = np.bincount(self.pixels.ravel(), minlength=256)
        shares = {name: round(int(n) / self.pixels.size, 4) for name, n in zip(self.classes, counts, strict=False) if n}
        return {"shares": shares}

    def rows(self) -> list[list[str]]:
        """Classes and shares, the largest first."""
        shares = sorted(self.to_json()["shares"].items(), key=lambda one: -one[1])
        return [[name, f"{100 * share:.1f} %"] for name, share in shares]

    def drawn(self, image: "Image.Image") -> "Image.Image":
        """Tinted, the colours named below."""
        return with_legend(with_classes(image, self.pixels, VOID), self.classes)

    def map(self) -> "Image.Image":
        """The numbers of the classes, in their colours."""
        from PIL import Image

        found = Image.fromarray(self.pixels)
        found.putpalette(palette())
        return found


class SegmentReader(Reader):
    """Takes the class of the highest logit, of the whole image or piece by piece, as the network has learnt."""

    columns = ("class", ">share of the pixels")

    def tiles(self, image: "Image.Image") -> list[Tile]:
        """The pieces of an image; none where the network reads it whole."""
        options = create_task("segment", self.decode.get(OPTIONS)).options
        size = self.preprocess.size
        return tiles((image.height, image.width), size, options.overlap) if options.tiles else []

    def inputs(self, image: "Image.Image", boxes: Sequence[Box]) -> NDArray[np.float32]:
        """The image, or its pieces."""
        pieces = [tile_pixels(image, tile, self.preprocess) for tile in self.tiles(image)]
        return self.preprocess.inputs(np.stack(pieces)) if pieces else super().inputs(image, boxes)

    def read(self, outputs: NDArray[np.float32], image: "Image.Image", boxes: Sequence[Box]) -> FoundClasses:
        """See `Reader.read`."""
        if not np.isfinite(outputs).all():
            raise CheckFailed("the network's outputs are not finite numbers, so there is nothing to read in them")
        names = self.classes or tuple(map(str, range(outputs.shape[1])))
        found = np.zeros((image.height, image.width), np.uint8)
        for tile, logits in zip(self.tiles(image), outputs, strict=False):
            tile.of(found)[:] = tile.answer(class_map(logits, self.preprocess.size))
        return FoundClasses(names, found if self.tiles(image) else class_map(outputs[0], found.shape))

    def truth(self, samples: MaskSet, index: int) -> FoundClasses:
        """The mask."""
        return FoundClasses(samples.classes, samples.mask(index))
