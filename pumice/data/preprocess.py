"""From an image to the numbers that a network reads, in Pillow and numpy alone.

One implementation serves validation, prediction and verification, and `Preprocess` travels inside every checkpoint
and exported file, so that a model is never fed differently from how it was trained.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Channels = Literal["RGB", "BGR"]
Resize = Literal["crop", "stretch"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocess:
    """Resize so that the crop is `crop_pct` of the shorter side, cut the centre, scale to [0, 1], normalise.

    size: height and width that the network reads, pixels.
    resize: "stretch" resizes the whole image to `size`, whatever its shape, as dense tasks want it.
    mean, std: per channel in the order of `channels`, in units of [0, 1].
    baked: scaling, normalisation and channel order are in the file itself, which reads the resized image's pixels.
    """

    size: tuple[int, int] = (224, 224)
    crop_pct: float = 0.875
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: Channels = "RGB"
    resize: Resize = "crop"
    baked: bool = False

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise BadInput(
                f"interpolation {self.interpolation!r} is unknown; choose {', '.join(get_args(Interpolation))}"
            )
        if self.channels not in get_args(Channels):
            raise BadInput(f"channel order {self.channels!r} is unknown; choose RGB or BGR")
        if self.resize not in get_args(Resize):
            raise BadInput(f"resize {self.resize!r} is unknown; choose crop or stretch")
        if min(self.size) < 1 or not 0 < self.crop_pct <= 1 or min(self.std) <= 0:
            raise BadInput(
                f"a preprocessing of size {self.size}, crop {self.crop_pct} and std {self.std} is impossible"
            )

    def pixels(self, image: "Image.Image") -> NDArray[np.uint8]:
        """The resized and cropped RGB image, (H, W, 3), before normalisation."""
        # A machine that only times files, which carry their preprocessing, needs no Pillow.
        from PIL import Image

        height, width = self.size
        filters = {
            "nearest": Image.Resampling.NEAREST,
            "bilinear": Image.Resampling.BILINEAR,
            "bicubic": Image.Resampling.BICUBIC,
            "lanczos": Image.Resampling.LANCZOS,
        }
        if self.resize == "stretch":
            return np.asarray(image.convert("RGB").resize((width, height), filters[self.interpolation]))
        scale = max(height / image.height, width / image.width) / self.crop_pct
        # At least the crop's own size: rounding a thin image down would leave nothing to cut from.
        resized_h = max(height, round(image.height * scale))
        resized_w = max(width, round(image.width * scale))
        image = image.convert("RGB").resize((resized_w, resized_h), filters[self.interpolation])
        top, left = (resized_h - height) // 2, (resized_w - width) // 2
        return np.asarray(image.crop((left, top, left + width, top + height)))

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(..., H, W, 3) RGB pixels -> (..., 3, H, W) network input."""
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        mean, std = (np.asarray(part, np.float32)[:, None, None] for part in (self.mean, self.std))
        # Planes first, and in place: with channels last numpy's inner loop would be three long.
        planes = np.moveaxis(pixels, -1, -3).astype(np.float32, order="C")
        planes /= 255.0
        planes -= mean
        planes /= std
        return planes

    def mean_colour(self) -> tuple[int, int, int]:
        """The RGB colour that becomes zero in the network's input, but for rounding."""
        red, green, blue = (round(255 * min(1.0, max(0.0, m))) for m in self.mean)
        return (red, green, blue) if self.channels == "RGB" else (blue, green, red)

    def inputs(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """(..., H, W, 3) RGB pixels -> what the model reads: (..., 3, H, W) float32, or the pixels if baked."""
        # A copy, because an image's own pixels are read-only, which torch warns of.
        return np.array(pixels) if self.baked else self.normalise(pixels)

    def __call__(self, image: "Image.Image") -> NDArray[Any]:
        """(3, H, W) float32 network input of one RGB image; the pixels, uint8 (H, W, 3), where it is baked."""
        return self.inputs(self.pixels(image))

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse.  `baked` only where it is true, which readers before it know."""
        said = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return said if self.baked else {k: v for k, v in said.items() if k != "baked"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Preprocess":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is unknown or impossible.
        """
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        try:
            return cls(**fields)
        except TypeError as error:
            raise BadInput(f"this preprocessing record cannot be read: {error}") from error
