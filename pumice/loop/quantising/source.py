"""The network that is to be quantised, the images that calibrate and judge it, and what cannot be quantised."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.cost.remote.runner import Item
from pumice.data.changes import changed_classes
from pumice.data.images import ImageSet, Splits
from pumice.data.open import open_data
from pumice.deploy.carried import model_file, read_manifest, read_quantised
from pumice.deploy.network import load, name_of
from pumice.deploy.schemes.calibrate import drawn_images
from pumice.deploy.session import open_session
from pumice.errors import BadInput
from pumice.files import read_json
from pumice.loop.halving import evenly
from pumice.models.manifest import Manifest
from pumice.progress import track

KEPT_BYTES = 2**30  # of pixels, so that they are read once for all files
_OWN = ("val", "label_column")  # of the run's own data


@dataclass(frozen=True)
class Source:
    """A float network and its images.

    name: what the user called it.  run: its run folder, if it is one's.
    splits: its images.  calibration: (N, C, H, W) float32, of those to learn from.
    """

    name: str
    run: Path | None
    model: nn.Module
    manifest: Manifest
    splits: Splits
    calibration: NDArray[np.float32]
    judged: "Judged"


class Judged:
    """Validation images, whose pixels are read once where there is room for them."""

    def __init__(self, images: ImageSet, manifest: Manifest) -> None:
        self.preprocess = manifest.preprocess
        self.images = images
        self.labels = np.asarray(images.labels)
        height, width = self.preprocess.size
        self._room = KEPT_BYTES // (3 * height * width)
        self._pixels: list[NDArray[np.uint8]] = []

    def __len__(self) -> int:
        return len(self.images)

    def answers(self, item: Item) -> NDArray[np.int64]:
        """The best class of each image (N,), as a file says in its runtime."""
        with open_session(item.file, runtime=item.runtime, threads=item.threads, batch=1) as session:
            rounds = track(range(len(self)), f"judging {item.name}")
            return np.array([session.run(self._input(i))[0].argmax() for i in rounds], np.int64)

    def _input(self, index: int) -> NDArray[np.float32]:
        if index < len(self._pixels):
            pixels = self._pixels[index]
        else:
            pixels = self.preprocess.pixels(self.images.image(index))
            if index == len(self._pixels) < self._room:
                self._pixels.append(pixels)
        return self.preprocess.normalise(pixels)[None]


def open_source(
    source: str | Path | nn.Module,
    data: str,
    *,
    manifest: Manifest | None,
    images: int,
    val_images: int,
    seed: int,
) -> Source:
    """Load a network and its images.

    Args:
        source: a run folder, a checkpoint, the float file of a run, or a network.
        data: images, whose split is the run's own where it was trained with them.
        manifest: of a network that says nothing of itself.
        images: to calibrate with, at most.  val_images: to judge by, at most.
        seed: of the draw of images.

    Raises:
        BadInput: there is no such network or data, they do not go together, or the network is quantised already.
    """
    if val_images < 1:
        raise BadInput(f"{val_images} validation images judge nothing; give at least 1")
    name = str(source) if isinstance(source, str | Path) else type(source).__name__
    weights = source if isinstance(source, nn.Module) else weights_of(source)
    model, carried = load(weights, manifest)
    if carried is None:
        raise BadInput(f"{name_of(model, None)} does not say how images are fed to it; give manifest=")
    carried.needs_classifier("quantize judges by top-1")
    run = None if isinstance(weights, nn.Module) else run_of(Path(weights))
    how = _split_of(run, data)
    splits = open_data(data, **how)
    if splits.stream is not None or not len(splits.val):
        raise BadInput(f"{data} has no validation images to judge by; give an image folder")
    known = carried.classes
    if not known and not isinstance(source, nn.Module):
        raise BadInput(f"{name} does not know its classes, so nothing can be judged; give a trained run or checkpoint")
    if known and (said := changed_classes(splits.classes, known, data, name)):
        raise BadInput(said)
    if carried.model.num_classes != len(splits.classes):
        raise BadInput(f"{name} tells {carried.model.num_classes} classes apart, and {data} has {len(splits.classes)}")
    calibration = drawn_images(splits.train, data, carried, images, seed)
    if not known:
        carried = replace(carried, classes=splits.classes)
    return Source(name, run, model, carried, splits, calibration, Judged(evenly(splits.val, val_images), carried))


def weights_of(source: str | Path) -> str | Path:
    """What holds the weights: of a model file, the run that it lies in.

    Raises:
        BadInput: the file is quantised already, or its weights are not beside it.
    """
    path = Path(source)
    if holds_weights(path):
        return source
    if (file := model_file(path)) is None:
        return source
    if (record := read_quantised(file)) is not None:
        raise BadInput(f"{source} is quantised already ({record.get('scheme')}); give the run that it was made from")
    if not (file.parent / "best.safetensors").is_file():
        raise BadInput(f"{source} has no best.safetensors beside it, and quantising starts there; give its run folder")
    from pumice.models.checkpoint import read_manifest as of_weights

    carried, own = read_manifest(file), of_weights(file.parent / "best.safetensors")
    if carried is None or own is None or carried.model != own.model:
        raise BadInput(f"{source} is another network than best.safetensors beside it; give the run that it is from")
    return file.parent


def holds_weights(path: Path) -> bool:
    """Whether it is a run folder with weights."""
    return path.is_dir() and any((path / name).is_file() for name in ("best.safetensors", "last.safetensors"))


def run_of(path: Path) -> Path | None:
    """The run folder that a path is, or lies in."""
    return next((folder for folder in (path, path.parent) if (folder / "config.json").is_file()), None)


def _split_of(run: Path | None, data: str) -> dict[str, Any]:
    """How the run split its data, so that no image judges that was learnt from."""
    if run is None:
        return {}
    config = read_json(run / "config.json")
    names = ["seed", "val_fraction", "strict"]
    if config.get("data") == data:
        names += _OWN
    return {name: config[name] for name in names if config.get(name) is not None}
