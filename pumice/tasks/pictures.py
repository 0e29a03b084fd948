"""What a dense network finds in some validation images, beside the truth: the pictures of predictions.json."""

from typing import TYPE_CHECKING, Any

from pumice.data.image import BadImage, data_uri
from pumice.models.manifest import Manifest
from pumice.progress import track
from pumice.tasks.names import reader_of
from pumice.tasks.runner import runner
from pumice.tasks.task import Samples

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.session import Session

SHOWN = 12
SIDE = 320  # pixels of a picture, at most


def pictured(model: "Session | nn.Module", manifest: Manifest, samples: Samples) -> list[dict[str, Any]]:
    """`name`, and `found` and `truth` as small JPEGs, of samples that are evenly spaced in the set."""
    reader = reader_of(manifest)
    run = reader.answering(runner(model, 1)[0])
    count = min(SHOWN, len(samples))
    pictures = []
    for index in track([i * len(samples) // count for i in range(count)], "drawing"):
        try:
            image = samples.image(index)
        except BadImage:
            continue  # its file has gone since it was judged
        boxes = reader.boxes_of(samples, index)
        found = reader.read(run(reader.inputs(image, boxes)), image, boxes)
        drawn = {"found": found.drawn(image), "truth": reader.truth(samples, index).drawn(image)}
        view = reader.view(image, samples, index)
        uris = {key: data_uri(picture.crop(view), SIDE, "JPEG") for key, picture in drawn.items()}
        pictures.append({"name": samples.names[index], **uris})
    return pictures
