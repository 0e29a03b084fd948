"""One WebDataset shard: a tar file in which the files of a sample follow each other and share a name up to the dot.

The naming is that of WebDataset (Aizman, Maltby and Breuel, "High performance I/O for large scale deep learning", IEEE
Big Data 2019).
Its reader, and timm's around it, are not used: they shuffle by generators whose state cannot be saved, and decode
pickles.  Nothing is written to disk here, whatever a member is called.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO

from pumice.data.image import is_image_name
from pumice.data.labels import Label, read_label
from pumice.errors import BadInput

LABEL_SUFFIXES = ("cls", "json")


@dataclass(frozen=True)
class Member:
    """A file of a shard.

    offset, size: of its content in an uncompressed shard, bytes.
    data: the content, None where it was not asked for.
    """

    name: str
    offset: int
    size: int
    data: bytes | None = None

    @property
    def key(self) -> str:
        """What the files of a sample have in common: folders, and the name up to its first dot."""
        path = PurePosixPath(self.name)
        return str(path.with_name(path.name.partition(".")[0]))

    @property
    def suffix(self) -> str:
        """The last suffix, without its dot."""
        return self.name.rpartition(".")[2].lower()


@dataclass(frozen=True)
class Sample:
    """An image of a shard with its label, or what is wrong with it (`fault`, the end of a sentence)."""

    image: Member
    label: Label = ""
    fault: str = ""


def samples(shard: IO[bytes], name: str, *, streamed: bool = False) -> Iterator[Sample]:
    """The samples of a shard, in order.

    Args:
        shard: the file; streamed, it is read once from front to back and may be compressed.
        name: what errors call it.
        streamed: keep the images' content too.

    Raises:
        BadInput: it is no tar file, cut short, compressed though not streamed, or has a member whose name would leave
            the folder if it were extracted.
    """
    try:
        with tarfile.open(fileobj=shard, mode="r|*" if streamed else "r:") as tar:
            yield from map(_sample, _groups(_members(tar, name, streamed)))
    except (tarfile.TarError, EOFError) as error:
        packed = not streamed and str(error) and _is_compressed(shard)
        mend = "is compressed; unpack it with gunzip or the like" if packed else "is no tar file, or cut short"
        raise BadInput(f"the shard {name} {mend}") from error


def _members(tar: tarfile.TarFile, shard: str, streamed: bool) -> Iterator[Member]:
    """The visible files; labels are read, images only if streamed."""
    for info in tar:
        path = PurePosixPath(info.name)
        if path.is_absolute() or ".." in path.parts:
            raise BadInput(
                f"the shard {shard} has a member {info.name!r}, which points outside of it; nothing was extracted, "
                "but make the shard anew without such names"
            )
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        if hidden or not info.isreg():  # folders, links and devices hold no image
            continue
        member = Member(info.name, info.offset_data, info.size)
        if streamed or member.suffix in LABEL_SUFFIXES:
            file = tar.extractfile(info)
            data = file.read() if file is not None else b""
            if len(data) < info.size:
                raise tarfile.ReadError("unexpected end of data")
            member = replace(member, data=data)
        yield member


def _groups(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Neighbours of one key."""
    group: list[Member] = []
    for member in members:
        if group and group[0].key != member.key:
            yield group
            group = []
        group.append(member)
    if group:
        yield group


def _sample(group: list[Member]) -> Sample:
    images = [member for member in group if is_image_name(member.name)]
    if not images:
        return Sample(group[0], fault="its sample has no image")
    if len(images) > 1:
        return Sample(images[0], fault=f"its sample has {len(images)} images, not one")
    label = next((found for suffix in LABEL_SUFFIXES if (found := _label(group, suffix)) is not None), None)
    if label is None:
        folder = PurePosixPath(images[0].name).parent.name
        label = folder or None
    if label is None:
        return Sample(images[0], fault='it has no label: neither a .cls, nor a .json with "label", nor a folder')
    return Sample(images[0], label)


def _label(group: list[Member], suffix: str) -> Label | None:
    text = next((member.data for member in group if member.suffix == suffix), None)
    if text is None:
        return None
    try:
        if suffix == "cls":
            return read_label(text.decode()) if text.strip() else None
        value = json.loads(text)
    except ValueError:  # of decoding, of JSON
        return None
    value = value.get("label") if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return read_label(value) if isinstance(value, str) else value


def _is_compressed(shard: IO[bytes]) -> bool:
    shard.seek(0)
    return shard.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
