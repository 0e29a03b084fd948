"""Videos, frame by frame, by PyAV (the extra `video`)."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pumice.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


def is_video(name: str) -> bool:
    """Whether the suffix is one of a video."""
    return Path(name).suffix.lower() in SUFFIXES


class Video:
    """A video to read: frames as RGB images, in order.

    rate: frames a second.

    Raises:
        BadInput: PyAV is not installed, or the file holds no video that it can read.
    """

    def __init__(self, path: str) -> None:
        av, self.path = _av(), path
        try:
            self._file = av.open(path)
            self._stream = self._file.streams.video[0]
        except (av.error.FFmpegError, IndexError) as error:
            raise BadInput(f"cannot read the video {path}: {_reason(error)}") from error
        self.rate: Fraction = self._stream.average_rate or Fraction(25)

    def __iter__(self) -> Iterator["Image.Image"]:
        """
        Raises:
            BadInput: it is damaged.
        """
        try:
            for frame in self._file.decode(self._stream):
                yield frame.to_image()
        except _av().error.FFmpegError as error:
            raise BadInput(f"cannot read on in the video {self.path}: {_reason(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class VideoFile:
    """A video to write, H.264 in MP4; sides are cut to even numbers of pixels, as it needs them.

    Raises:
        BadInput: it cannot be written there, or PyAV lacks the encoder.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._av = _av()
        try:
            self._file = self._av.open(str(path), "w", format="mp4")
            self._stream: Any = self._file.add_stream("libx264", rate=rate)
        except (self._av.error.FFmpegError, ValueError) as error:
            raise BadInput(f"cannot write the video {path}: {_reason(error)}") from error
        self._stream.pix_fmt = "yuv420p"
        self._begun = False

    def add(self, image: "Image.Image") -> None:
        """One frame."""
        width, height = image.width // 2 * 2, image.height // 2 * 2
        if not self._begun:
            self._stream.width, self._stream.height, self._begun = width, height, True
        frame = self._av.VideoFrame.from_image(image.crop((0, 0, width, height)))
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left."""
        if self._begun:
            self._file.mux(self._stream.encode())
        self._file.close()


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise BadInput("videos need PyAV; install it with `pip install 'pumice[video]'`") from error
    return av


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
