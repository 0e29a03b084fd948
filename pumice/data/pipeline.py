"""Torch data loaders whose every sample is a function of seed, epoch and index alone.

No state is carried from sample to sample.  So a run that is resumed in the middle of an epoch sees the batches that it
would have seen, and the number of worker processes changes nothing.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pumice.data.augment import Augment
from pumice.data.images import ImageSet, Splits
from pumice.data.loaders import judging_loader, training_loader
from pumice.data.memory import GIB, fill, keep_decoded
from pumice.data.order import Key, mix
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.data.stream_loader import StreamLoader

Batches = Union[DataLoader[tuple[Tensor, int]], "StreamLoader"]


class EvalImages(Dataset[tuple[Tensor, int]]):
    """Network input (3, H, W) float32 and label of each image, without any randomness.

    The resized pixels are kept as bytes if those of all images fit `cache_bytes`: exactly what would be computed again.
    Forked workers share them.
    """

    def __init__(self, images: ImageSet, preprocess: Preprocess, cache_bytes: int = GIB // 2) -> None:
        self.images, self.preprocess = images, preprocess
        shape = (len(images), *preprocess.size, 3)
        self._pixels = _shared(shape) if 0 < int(np.prod(shape)) <= cache_bytes else None
        self._known = _shared((len(images),)) if self._pixels is not None else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.preprocess.normalise(self._read(index))), self.images.labels[index]

    def _read(self, index: int) -> NDArray[np.uint8]:
        """Resized and cropped pixels, (H, W, 3)."""
        if self._pixels is None or self._known is None:
            return self.preprocess.pixels(self.images.image(index))
        if not self._known[index]:
            self._pixels[index] = self.preprocess.pixels(self.images.image(index))
            self._known[index] = 1  # last, so that no process reads half an image
        return self._pixels[index]

    def __getstate__(self) -> dict[str, Any]:
        # A process that is not forked cannot share the memory: it keeps nothing.
        return {**self.__dict__, "_pixels": None, "_known": None}


class TrainImages(Dataset[tuple[Tensor, int]]):
    """Augmented network input (3, H, W) float32 and label, for the keys of an EpochSampler.

    Args:
        images: the set.
        preprocess: gives size, interpolation, mean, std and channel order; its crop is replaced by the random one.
        augment: what to change, or "none": exactly what EvalImages gives.
        seed: of the changes.

    Raises:
        BadInput: timm is not installed, or does not know the policy.
    """

    def __init__(self, images: ImageSet, preprocess: Preprocess, augment: Augment | Literal["none"], seed: int) -> None:
        self.images, self.seed = images, seed
        self.plain = EvalImages(images, preprocess) if augment == "none" else None
        self.changed = Changed(preprocess, augment)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        if self.plain is not None:
            return self.plain[index]
        return self.changed(self.images.image(index), mix(self.seed, epoch, index)), self.images.labels[index]


class Changed:
    """A function of an RGB image and a seed: the augmented and normalised network input, (3, H, W) float32.

    Raises:
        BadInput: as TrainImages.
    """

    def __init__(self, preprocess: Preprocess, augment: Augment | Literal["none"]) -> None:
        self.preprocess = preprocess
        self.change = None if isinstance(augment, str) else _transform(preprocess, augment)
        self.erase = None if isinstance(augment, str) or not augment.re_prob else _erasing(augment)
        # Of timm's changes, the policies alone draw from numpy's global generator.
        self.numpy_too = isinstance(augment, Augment) and augment.auto_augment is not None

    def __call__(self, image: Image.Image, seed: int) -> Tensor:
        """Augmented and normalised."""
        if self.change is None:
            return torch.from_numpy(self.preprocess(image))
        with seeded(seed, numpy_too=self.numpy_too):
            # In numpy to the end: torch splits even such small arrays among threads, which then wait for each other.
            pixels = np.moveaxis(np.asarray(self.change(image)), 0, -1)
            sample = torch.from_numpy(self.preprocess.normalise(pixels))
            return sample if self.erase is None else self.erase(sample)


def make_loaders(
    splits: Splits,
    preprocess: Preprocess,
    *,
    batch_size: int,
    seed: int = 0,
    workers: int = 0,
    augment: Augment | Literal["none"] | None = None,
    val_batch_size: int | None = None,
    cache_bytes: int = GIB,
    pin_memory: bool = False,
    rank: int = 0,
    world: int = 1,
    balanced: bool = False,
    accumulate: int = 1,
) -> tuple["Batches", DataLoader[tuple[Tensor, int]]]:
    """Loaders of training batches (`sampler` is an EpochSampler or StreamLoader) and of validation ones, in order.

    A batch is (images (N, 3, H, W) float32, labels (N,) int64).  A step's images are shared by `world` processes, each
    of which takes `accumulate` batches of equal size for it.  What does not fill a step is left out of the epoch; a set
    that is smaller than a step is one, but for images that cannot be shared evenly.  Every process judges as many
    images, number n of them the images n, n + world, ...; at the end they begin again at the first ones.  The loaders
    do not touch torch's global generator; with workers, Python's multiprocessing draws from Python's.

    Args:
        splits: the data.
        preprocess: how images become network input.
        batch_size: images of one optimiser step, a multiple of world * accumulate.
        seed: of order and augmentation.
        workers: processes that prepare batches; 0 prepares them in this one.
        augment: None for the defaults of `Augment`.
        val_batch_size: of validation, per process; None for `batch_size`.
        cache_bytes: memory for decoded training images; decoded validation images get a quarter of it, resized ones
            half.
        pin_memory: page-locked batches, for a GPU.
        rank: of this process among `world` processes.
        world: number of processes that share the images.
        balanced: show every class equally often, see EpochSampler.
        accumulate: batches of a process that make up its part of an optimiser step.

    Raises:
        BadInput: as TrainImages; a batch of less than one image; fewer images than the parts of a step; an image that
            has become unreadable; a stream that should be balanced or whose steps should have parts.
    """
    if batch_size < 1:
        raise BadInput(f"a batch of {batch_size} images is impossible; give 1 or more")
    augment = Augment() if augment is None else augment
    train_set = keep_decoded(splits.train, cache_bytes)
    val_set = keep_decoded(splits.val, cache_bytes // 4)
    if workers:
        fill(train_set)
        fill(val_set)
    shared: dict[str, Any] = {"seed": seed, "workers": workers, "pin_memory": pin_memory, "rank": rank, "world": world}
    train: Batches
    if splits.stream is not None:
        from pumice.data.stream_loader import StreamLoader

        if balanced:
            raise BadInput(
                "classes of streamed images cannot be balanced; set data.balanced=false or no data.streaming"
            )
        if accumulate > 1:
            raise BadInput("steps of streamed images have no parts; set train.accumulate=1 or no data.streaming")
        changed, share = Changed(preprocess, augment), batch_size // world
        train = StreamLoader(splits.stream, changed, share, seed, workers, rank, world, pin_memory=pin_memory)
    else:
        train = training_loader(
            TrainImages(train_set, preprocess, augment, seed),
            batch_size,
            accumulate=accumulate,
            labels=train_set.labels if balanced else None,
            **shared,
        )
    judged = EvalImages(val_set, preprocess, cache_bytes // 2)
    return train, judging_loader(judged, val_batch_size or batch_size, **shared)


@contextmanager
def seeded(seed: int, *, numpy_too: bool) -> Iterator[None]:
    """Seed the global generators of Python and torch (CPU), and put them back as they were.

    numpy_too: numpy's as well, which costs 70 us more; the others cost 20.
    """
    python, pytorch = random.getstate(), torch.get_rng_state()
    numpy = np.random.get_state() if numpy_too else None  # noqa: NPY002
    try:
        random.seed(seed)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        if numpy_too:
            np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(pytorch)
        if numpy is not None:
            np.random.set_state(numpy)  # noqa: NPY002


def _transform(preprocess: Preprocess, augment: Augment) -> Callable[[Image.Image], Any]:
    """RGB image -> (3, H, W) bytes, by timm."""
    try:
        from timm.data import auto_augment, create_transform
    except ImportError as error:
        raise BadInput("augmentation needs timm; install it with `pip install 'pumice[train]'`") from error
    for name in ("Posterize", "PosterizeIncreasing", "PosterizeOriginal"):
        auto_augment.NAME_TO_OP[name] = _posterize
    try:
        change = create_transform(
            input_size=(3, *preprocess.size),
            is_training=True,
            scale=augment.scale,
            ratio=augment.ratio,
            hflip=augment.hflip,
            vflip=augment.vflip,
            color_jitter=augment.color_jitter,
            auto_augment=augment.auto_augment,
            interpolation=preprocess.interpolation,
            mean=preprocess.mean,  # a policy fills with it what it uncovers
            use_prefetcher=True,  # ends in pixels
        )
        if augment.pad:
            change.transforms[:1] = _shifts(preprocess, augment.pad)
        return change
    except (AssertionError, KeyError, ValueError, IndexError) as error:
        raise BadInput(f"timm knows no augmentation {augment.auto_augment!r}; try rand-m9-mstd0.5") from error


def _posterize(image: Image.Image, bits: int, **_: object) -> Image.Image:
    """In place of timm's: policies come to 0 bits, which keeps nothing and which Pillow >= 13 refuses."""
    if bits >= 8:
        return image
    return ImageOps.posterize(image, bits) if bits > 0 else Image.new(image.mode, image.size)


def _shifts(preprocess: Preprocess, pad: int) -> list[Callable[[Image.Image], Image.Image]]:
    """Resize, then cut a random piece of the input's size out of the image with a black margin."""
    from timm.data.transforms import str_to_interp_mode
    from torchvision.transforms import CenterCrop, RandomCrop, Resize

    size = list(preprocess.size)
    # The shorter side alone would leave a long image to be cropped far from its middle.
    resize = Resize(min(size), str_to_interp_mode(preprocess.interpolation))
    return [resize, CenterCrop(size), RandomCrop(size, padding=pad)]


def _erasing(augment: Augment) -> Callable[[Tensor], Tensor]:
    """A rectangle of noise over a normalised image, with the augmentation's probability."""
    from timm.data.random_erasing import RandomErasing

    return RandomErasing(augment.re_prob, mode="pixel", device="cpu")


def _shared(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Zeros that forked processes share.  Memory is used as it is written; /dev/shm, often tiny, is not involved."""
    size = int(np.prod(shape))
    return np.frombuffer(mmap(-1, size), np.uint8, size).reshape(shape)
