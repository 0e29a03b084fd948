"""Shards that are read from front to back: over http(s), or local ones that one does not want indexed."""

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import IO, cast

from pumice.data.folder import VALIDATION
from pumice.data.image import ImageBytes
from pumice.data.labels import read_names
from pumice.data.shards import PREFIX, expand, names_beside, shard_files, shards_beside
from pumice.data.stream import Encoded
from pumice.data.tar import samples
from pumice.errors import BadInput

WEB = ("http://", "https://")
TIMEOUT_S = 60.0
TRIES = 4
WAIT_S = 1.0  # before the second try; twice as long before each further one
BROKEN = (OSError, http.client.HTTPException)  # URLError and timeouts are OSErrors


@dataclass(frozen=True)
class TarShard:
    """A function that gives the labelled images of one shard, in order, and goes on where a connection broke.

    where: its address or path.
    """

    where: str

    def __call__(self) -> Iterator[Encoded]:
        """Read it.

        Raises:
            BadInput: it cannot be reached, or is damaged.
        """
        given, tries = 0, 0
        while True:
            try:
                with opened(self.where) as file:
                    for place, encoded in enumerate(self._read(_Whole(file))):
                        if place >= given:
                            given, tries = place + 1, 0
                            yield encoded
                return
            except BROKEN as error:
                tries += 1
                # What the server refuses (404, 403) it will refuse again.
                if tries == TRIES or (isinstance(error, urllib.error.HTTPError) and error.code < 500):
                    reason = getattr(error, "reason", None) or error
                    raise BadInput(f"the shard {self.where} cannot be read: {reason}") from error
                time.sleep(WAIT_S * 2 ** (tries - 1))

    def _read(self, file: "_Whole") -> Iterator[Encoded]:
        for sample in samples(cast(IO[bytes], file), self.where, streamed=True):
            if not sample.fault:
                assert sample.image.data is not None
                name = f"{self.where.rpartition('/')[2]}/{sample.image.name}"
                yield Encoded(ImageBytes(sample.image.data, name), sample.label)


class _Whole:
    """A file whose reading fails where the connection ends before the length that the server has announced.

    Without it a shard that breaks off between two members would look like a shorter one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.left: int | None = getattr(file, "length", None)

    def read(self, size: int) -> bytes:
        """As a file's, of a size."""
        data = self.file.read(size)
        if self.left is not None:
            self.left -= len(data)
            if len(data) < size and self.left > 0:
                raise ConnectionResetError("the connection broke off")
        return data


def opened(where: str, method: str = "GET") -> IO[bytes]:
    """A file, or what an address answers."""
    if not where.startswith(WEB):
        return open(where, "rb")
    request = urllib.request.Request(where, headers={"User-Agent": "pumice"}, method=method)
    return cast(IO[bytes], urllib.request.urlopen(request, timeout=TIMEOUT_S))


def is_web(source: str) -> bool:
    """Whether `wds:` shards lie behind an address, so that they can only be streamed."""
    return source.removeprefix(PREFIX).startswith(WEB)


def tar_shards(pattern: str) -> tuple[TarShard, ...]:
    """The shards that a pattern of paths or addresses means.

    Raises:
        BadInput: a local one is not there.
    """
    pattern = pattern.removeprefix(PREFIX)
    return tuple(map(TarShard, expand(pattern) if is_web(pattern) else shard_files(pattern)))


def names_of(shards: tuple[TarShard, ...]) -> tuple[str, ...] | None:
    """Class names of the file beside the first shard, if any."""
    first = shards[0].where
    if not first.startswith(WEB):
        return names_beside(first)
    for name in ("classes.txt", "classes.json"):
        where = first.rpartition("/")[0] + "/" + name
        if (text := _small_file(where)) is not None:
            return read_names(text, where)
    return None


def count_of(shards: tuple[TarShard, ...]) -> int | None:
    """How many images the shards hold, if an `_info.json` beside them says so, as timm's sets have it."""
    try:
        splits = json.loads(_small_file(shards[0].where.rpartition("/")[0] + "/_info.json") or "{}")["splits"].values()
        lengths: dict[str, int] = {}
        for split in splits:
            lengths |= dict(zip(split["filenames"], map(int, split["shard_lengths"]), strict=True))
        return sum(lengths[shard.where.rpartition("/")[2]] for shard in shards)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def beside(pattern: str) -> tuple[TarShard, ...]:
    """The validation shards beside those for training; of addresses, those before the first that is missing."""
    if not is_web(pattern):
        return tuple(map(TarShard, shards_beside(pattern.removeprefix(PREFIX))))
    head, train, tail = pattern.removeprefix(PREFIX).rpartition("train")
    for word in VALIDATION if train else ():
        found = tuple(map(TarShard, takewhile(answers, expand(head + word + tail))))
        if found:
            return found
    return ()


def answers(where: str) -> bool:
    """Whether something is behind an address."""
    with contextlib.suppress(*BROKEN), opened(where, method="HEAD"):
        return True
    return False


def _small_file(where: str) -> str | None:
    with contextlib.suppress(*BROKEN, UnicodeDecodeError), opened(where) as file:
        return file.read(2**24).decode()
    return None
