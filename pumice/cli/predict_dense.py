"""`pumice predict` with a network that finds boxes, classes of pixels, or joints."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pumice.cli import show
from pumice.data.images import NamedImage
from pumice.data.video import Video, VideoFile, is_video
from pumice.errors import BadInput
from pumice.files import atomic, write_json, write_text
from pumice.tasks.predict import Answer, Boxes, detected_by, predict

if TYPE_CHECKING:
    from PIL import Image

    from pumice.deploy.session import Session

SHOWN = 40  # rows of the table


def predict_dense(
    session: "Session",
    images: Sequence[NamedImage],
    videos: Sequence[str],
    *,
    boxes: Path | None,
    detector: "Session | None",
    score: float | None,
    out: Path | None,
    csv_file: Path | None,
    strict: bool,
    json: bool,
) -> None:
    """Find things in images and videos, tell and draw them.

    Args:
        session: an open dense network.
        images, videos: what to look at.
        boxes: a file of detections that says where persons are; see `read_person_boxes`.
        detector: finds persons.
        score: of a detection that is told or a joint that is drawn, at least; None for the reader's own.
        out: a folder for pictures, class maps, videos and predictions.json.
        csv_file: gets a row for everything that was found.
        strict: stop at an image that cannot be read.
        json: print JSON.

    Raises:
        BadInput: no image could be read; boxes for a network that looks into none; see `predict`.
    """
    where = _where(session, boxes, detector)
    told: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    names = _Names()

    def take(answer: Answer) -> None:
        told.append(answer.to_json())
        if answer.found is not None:
            rows.extend([answer.name, *row] for row in answer.found.rows())

    for answer in predict(session, images, where, score=score, strict=strict):
        take(answer)
        if out is not None and answer.found is not None and answer.image is not None:
            _save(answer, out, names.fresh(answer.name))
    for video in videos:
        for answer in _watched(session, video, where, score, out, names):
            take(answer)
    if out is not None:
        write_json(out / "predictions.json", told)
    columns = ["image", *columns_of(session)]
    if csv_file is not None:
        write_text(csv_file, _csv([[column.lstrip(">") for column in columns], *rows]))
    if json:
        show.emit(told)
    else:
        show.table(columns, [tuple(row) for row in rows[:SHOWN]])
        if len(rows) > SHOWN:
            typer.echo(f"... and {len(rows) - SHOWN} more; --json or --csv FILE gives all")
        if out is not None:
            typer.echo(f"pictures in {out}")
    bad = [one for one in told if "error" in one]
    for one in bad:
        typer.echo(f"skipped {one['error']}", err=True)
    if bad:
        typer.echo(f"{len(bad)} of {len(told)} images skipped", err=True)
    if len(bad) == len(told):
        raise BadInput("no image could be read")


def columns_of(session: "Session") -> tuple[str, ...]:
    """Of the table."""
    from pumice.tasks.names import reader_of

    assert session.manifest is not None
    return reader_of(session.manifest).columns


def _where(session: "Session", boxes: Path | None, detector: "Session | None") -> Boxes | None:
    manifest = session.manifest
    if boxes is None and detector is None:
        return None
    if manifest is not None and manifest.task != "keypoints":
        raise BadInput(f"{manifest.model.name} looks at whole images; leave --boxes and --detector out")
    if detector is not None:
        if boxes is not None:
            raise BadInput("--boxes and --detector exclude each other; give one of them")
        return detected_by(detector)
    assert boxes is not None
    from pumice.data.person_boxes import read_person_boxes

    return read_person_boxes(boxes)


def _watched(
    session: "Session", video: str, where: Boxes | None, score: float | None, out: Path | None, names: "_Names"
) -> Iterator[Answer]:
    """What is found in each frame; the drawn frames as a video."""
    with ExitStack() as stack:
        seen = stack.enter_context(Video(video))
        drawn: VideoFile | None = None
        if out is not None:
            scratch = stack.enter_context(atomic(out / f"{names.fresh(video)}.mp4"))
            drawn = VideoFile(scratch, seen.rate)
            stack.callback(drawn.close)
        frames = (NamedImage(f"{video}#{i}", _given(frame)) for i, frame in enumerate(seen))
        for answer in predict(session, frames, where, score=score):
            if drawn is not None and answer.found is not None and answer.image is not None:
                drawn.add(answer.found.drawn(answer.image))
            yield answer


def _given(image: "Image.Image") -> Callable[[], "Image.Image"]:
    return lambda: image


def _save(answer: Answer, out: Path, name: str) -> None:
    """The picture, and the class map where there is one."""
    assert answer.found is not None
    assert answer.image is not None
    with atomic(out / f"{name}.jpg") as scratch:
        answer.found.drawn(answer.image).save(scratch, "JPEG", quality=90)
    if (classes := answer.found.map()) is not None:
        with atomic(out / f"{name}.classes.png") as scratch:
            classes.save(scratch, "PNG")


class _Names:
    """Names of files to write, each once."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def fresh(self, name: str) -> str:
        """The stem of a name, numbered where it has come before."""
        stem = Path(name).stem or "image"
        chosen, number = stem, 2
        while chosen in self.used:
            chosen, number = f"{stem}-{number}", number + 1
        self.used.add(chosen)
        return chosen


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def videos_in(sources: Sequence[str]) -> list[str]:
    """The sources that are video files."""
    return [source for source in sources if is_video(source) and Path(source).is_file()]
