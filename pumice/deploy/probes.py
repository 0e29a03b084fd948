"""Generated images with the statistics of photographs, to compare a file with a network when no data is at hand.

White noise is a poor probe: its strides and pools average to the same values everywhere, so that nets which differ
agree on it.  Photographs have an amplitude spectrum near 1/f (Field, "Relations between the statistics of natural
images", JOSA A 1987), correlated colours and sharp edges where one thing hides another; so have these.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.data.preprocess import Preprocess


def natural_fields(count: int, channels: int, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, channels, height, width) fields in [0, 1] with a 1/f spectrum, correlated channels and a few edges."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0 / max(height, width)
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    fields = np.empty((count, channels, height, width), np.float32)
    for i in range(count):
        # One brightness shared by all channels, and a third as much of each channel's own.
        white = rng.standard_normal((channels + 1, height, width))
        pink = np.fft.irfft2(np.fft.rfft2(white) / frequency, s=(height, width))
        pink /= pink.std(axis=(1, 2), keepdims=True) + 1e-12
        image = pink[0] + 0.35 * pink[1:]
        for _ in range(rng.integers(1, 5)):
            # A half plane of another brightness: an edge at full contrast.
            angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2)
            side = (rows - centre[0]) * np.cos(angle) + (columns - centre[1]) * np.sin(angle) > 0
            image = image + side * rng.normal(0, 1.0, (channels, 1, 1))
        contrast, brightness = rng.uniform(0.12, 0.3), rng.uniform(0.25, 0.7, (channels, 1, 1))
        fields[i] = np.clip(brightness + contrast * (image - image.mean()) / (image.std() + 1e-12), 0, 1)
    return fields


def natural_images(count: int, height: int, width: int, seed: int = 0) -> list[Image.Image]:
    """RGB images of that size."""
    pixels = (natural_fields(count, 3, height, width, seed) * 255).round().astype(np.uint8)
    return [Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1))) for image in pixels]


def probe_inputs(
    count: int, input_size: tuple[int, int, int], preprocess: Preprocess | None, seed: int = 0
) -> NDArray[np.float32]:
    """(count, C, H, W) network inputs: three quarters natural, one quarter white noise, normalised as the net reads."""
    channels, height, width = input_size
    if preprocess is not None and channels == len(preprocess.mean) == 3:
        return preprocess.normalise(probe_pixels(count, height, width, seed))
    return np.asarray((_mixed(count, channels, height, width, seed) - 0.5) / 0.25, np.float32)


def probe_pixels(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(count, H, W, 3) pixels: those that `probe_inputs` normalises."""
    mixed = _mixed(count, 3, height, width, seed)
    return np.ascontiguousarray(np.moveaxis((mixed * 255).round().astype(np.uint8), 1, -1))


def _mixed(count: int, channels: int, height: int, width: int, seed: int) -> NDArray[np.float32]:
    fields = natural_fields(count, channels, height, width, seed)
    noise = np.random.default_rng(seed + 1).uniform(0, 1, fields.shape).astype(np.float32)
    fields[3::4] = noise[3::4]
    return fields
