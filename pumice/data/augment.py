"""The random changes of training images, as values that a config file can hold."""

from dataclasses import dataclass

from pumice.errors import BadInput


@dataclass(frozen=True)
class Augment:
    """A crop of random area and shape resized to the network's input, then flips, colour and erasing.

    The crop is that of Szegedy et al., "Going deeper with convolutions", 2014, section 6; `pipeline` makes it with
    timm's `create_transform`, whose defaults these are, but for a gentler `scale`: small nets learn small sets.

    scale: share of the image's area that a crop covers, lowest and highest.
    ratio: width over height of a crop, lowest and highest.
    pad: pixels; where it is above 0, the image is resized to the input's size and shifted by up to so many each way,
        black moving in, instead of cropped (He et al., "Deep residual learning", 2015, section 4.2, for CIFAR).
    hflip, vflip: probability of a mirror image; 0 where left and right mean something, as for digits.
    color_jitter: strength of changes of brightness, contrast and saturation, together or one by one, and of hue if it
        is a fourth; timm leaves them out with auto_augment.
    auto_augment: timm's word for a policy, such as "rand-m9-mstd0.5" or "augmix-m5"; None for none.
    re_prob: probability that a random rectangle is erased.
    """

    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    hflip: float = 0.5
    vflip: float = 0.0
    color_jitter: float | tuple[float, ...] = 0.4
    auto_augment: str | None = None
    re_prob: float = 0.0
    pad: int = 0

    def __post_init__(self) -> None:
        # JSON has lists alone.
        object.__setattr__(self, "scale", tuple(self.scale))
        object.__setattr__(self, "ratio", tuple(self.ratio))
        for name in ("hflip", "vflip", "re_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"augmentation {name}={getattr(self, name)} is no probability; give 0 to 1")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise BadInput(
                f"augmentation scale={self.scale} is impossible; give two shares of the area, such as 0.35, 1"
            )
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise BadInput(f"augmentation ratio={self.ratio} is impossible; give two ratios, such as 0.75, 1.33")
        if isinstance(self.color_jitter, list):
            object.__setattr__(self, "color_jitter", tuple(self.color_jitter))
        if min(self.color_jitter if isinstance(self.color_jitter, tuple) else (self.color_jitter,)) < 0:
            raise BadInput(f"augmentation color_jitter={self.color_jitter} is negative; give 0 or more")
        if self.pad < 0:
            raise BadInput(f"augmentation pad={self.pad} is negative; give 0 or more pixels")
