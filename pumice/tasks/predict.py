"""Images in, what a dense network finds in each out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pumice.deploy.session import Session
from pumice.errors import BadInput
from pumice.tasks.found import Box, Found
from pumice.tasks.names import reader_of

if TYPE_CHECKING:
    from PIL import Image

Boxes = Callable[[str, "Image.Image"], Sequence[Box]]


@dataclass(frozen=True)
class Answer:
    """Of one image: what was found, and the image; or why it was skipped."""

    name: str
    found: Found | None
    image: "Image.Image | None" = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"name": self.name, **({"error": self.error} if self.found is None else self.found.to_json())}


def predict(
    session: Session,
    images: Iterable[tuple[str, Callable[[], "Image.Image"]]],
    boxes: Boxes | None = None,
    *,
    score: float | None = None,
    strict: bool = False,
) -> Iterator[Answer]:
    """What the network finds in each image, one after another.

    Args:
        session: an open dense network that carries a manifest.
        images: (name, function that gives the image).
        boxes: where to look for persons in an image, for a network to keypoints; None for the whole image.
        score: of a detection that is told or a joint that is drawn, at least; None for the reader's own.
        strict: raise on the first image that cannot be read rather than answer with its error.

    Raises:
        BadInput: the file carries no manifest; (strict) an image cannot be read.
        CheckFailed: outputs are no finite numbers.
    """
    manifest = session.manifest
    if manifest is None:
        raise BadInput("this file does not say how images are fed to it; open it with manifest=, or export it again")
    reader = reader_of(manifest)
    if score is not None:
        reader.told_from(score)
    run = reader.answering(session.run)
    for name, load in images:
        try:
            image = load()
        except BadInput as error:
            if strict:
                raise
            yield Answer(name, None, error=str(error))
            continue
        where = () if boxes is None else boxes(name, image)
        if boxes is not None and not where:
            yield Answer(name, reader.nothing(), image)
            continue
        outputs = run(reader.inputs(image, where))
        yield Answer(name, reader.read(outputs, image, where), image)


def detected_by(detector: Session) -> Boxes:
    """Persons as a detector finds them: boxes of its class "person", of all its classes where there is none such.

    Raises:
        BadInput: the network is no detector.
    """
    from pumice.tasks.detect.found import DetectReader

    manifest = detector.manifest
    if manifest is None:
        raise BadInput("the detector does not say how images are fed to it; export it with Pumice")
    manifest.needs("detect")
    reader = DetectReader(manifest.preprocess, manifest.classes, manifest.decode)

    def boxes(name: str, image: "Image.Image") -> Sequence[Box]:
        found = reader.read(detector.run(reader.inputs(image, ())), image, ())
        persons = [i for i, label in enumerate(found.labels.tolist()) if found.classes[label] == "person"]
        chosen = persons if "person" in found.classes else range(len(found.labels))
        scores = found.scores
        assert scores is not None
        return [(*found.boxes[i].tolist(), float(scores[i])) for i in chosen]

    return boxes
