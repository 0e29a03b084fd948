"""Images in, class names out, most probable first."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pumice.deploy.session import Session
from pumice.errors import BadInput
from pumice.progress import track


@dataclass(frozen=True)
class Prediction:
    """What a network says about one image.

    ranked: (class, probability) of the `top_k` most probable classes, the best first; empty for a skipped image.
    error: why the image was skipped, "" if it was not.
    """

    name: str
    ranked: tuple[tuple[str, float], ...]
    error: str = ""

    @property
    def label(self) -> str:
        """The most probable class, "" for a skipped image."""
        return self.ranked[0][0] if self.ranked else ""

    @property
    def probability(self) -> float:
        """Of the most probable class."""
        return self.ranked[0][1] if self.ranked else 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        ranked = [{"class": label, "probability": probability} for label, probability in self.ranked]
        skipped = {"error": self.error} if self.error else {}
        return {"name": self.name, "class": self.label, "probability": self.probability, "ranked": ranked, **skipped}


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, classes) logits -> probabilities."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def predict(
    session: Session,
    images: Iterable[tuple[str, Callable[[], Image.Image]]],
    top_k: int = 5,
    batch: int | None = None,
    *,
    strict: bool = False,
) -> list[Prediction]:
    """Classify images, fed as the model's own manifest says.

    Args:
        session: an open model that carries a manifest.
        images: (name, function that gives the image), as `pumice.data.open.open_images` returns them.
        top_k: classes to name for each image; all of them where there are fewer.
        batch: images to read at once, 16 by default; the session splits them into passes of its own batch.
        strict: raise on the first image that cannot be read rather than return it with its error.

    Raises:
        BadInput: the file carries no manifest, `top_k` or `batch` is below 1, or (strict) an image cannot be read.
    """
    if top_k < 1 or (batch is not None and batch < 1):
        raise BadInput(f"top_k and batch are at least 1, not {top_k} and {batch}")
    manifest = session.manifest
    if manifest is None:
        raise BadInput("this file does not say how images are fed to it; open it with manifest=, or export it again")
    manifest.needs_classifier("predict names the class of an image")
    names = manifest.classes
    records: list[Prediction] = []
    queue = iter(track(list(images), "predict"))
    while group := list(islice(queue, batch or 16)):
        read: list[tuple[str, NDArray[np.float32] | str]] = []
        for name, image in group:
            try:
                read.append((name, manifest.preprocess(image())))
            except BadInput as error:
                if strict:
                    raise
                read.append((name, str(error)))
        inputs = [x for _, x in read if not isinstance(x, str)]
        rows = iter(softmax(session.run(np.stack(inputs)))) if inputs else iter(())
        for name, x in read:
            if isinstance(x, str):
                records.append(Prediction(name, (), x))
                continue
            row: NDArray[np.float64] = next(rows)
            best = np.argsort(-row, kind="stable")[:top_k]
            ranked = tuple((names[i] if i < len(names) else str(i), float(row[i])) for i in best)
            records.append(Prediction(name, ranked))
    return records
