"""Opening data that are streamed: `wds:https://...`, or `hf:NAME` when `data.streaming` is set."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pumice.data import hub, shards, web
from pumice.data.image import BadImage, ImageBytes
from pumice.data.images import ImageSet, Splits
from pumice.data.stream import Encoded, Shard, first_images, make_stream
from pumice.errors import BadInput

READ_AT_ONCE = 16  # rows of a table


def open_stream(
    source: str,
    *,
    val: str | None = None,
    label_column: str | None = None,
    epoch_images: int | None = None,
    val_images: int = 5000,
    buffer: int = 1000,
    strict: bool = False,
) -> Splits:
    """Open data to be streamed; only the images to judge by are fetched at once, and kept as they are encoded.

    Args:
        source: `wds:PATTERN` of addresses or paths, or `hf:NAME`.
        val: where validation images are, a pattern or the name of a split; by default what `open_shards` and `open_hub`
            take.
        label_column: see `open_hub`.
        epoch_images: how many images make an epoch; None takes the data set's own record, or counts them.
        val_images: the first so many are judged by.
        buffer: images that shuffling chooses from.
        strict: refuse an image that cannot be read rather than leave it out.

    Raises:
        BadInput: the data cannot be reached or learnt from, or there is nothing to validate by.
    """
    if source.startswith(shards.PREFIX):
        found, names, known, held, val_source = _wds(source, val)
    elif source.startswith(hub.PREFIX):
        found, names, known, held, val_source = _hf(source, val, label_column)
    else:
        raise BadInput(f"{source} cannot be streamed; set data.streaming=false, or give hf:NAME or wds:PATTERN")
    stream = make_stream(found, names, epoch_images or known, source, buffer=buffer, strict=strict)
    judged, skipped = first_images(held, val_images, stream.classes, val_source, strict=strict)
    return Splits(source, ImageSet(stream.classes, (), (), ()), judged, tuple(skipped), stream)


Found = tuple[tuple[Shard, ...], tuple[str, ...] | None, int | None, tuple[Shard, ...], str]


def _wds(source: str, val: str | None) -> Found:
    found = web.tar_shards(source)
    held = web.beside(source) if val is None else web.tar_shards(val)
    if not held:
        if web.is_web(source) and not web.answers(found[0].where):
            raise BadInput(f"the shard {found[0].where} cannot be reached; check its address and the network")
        raise BadInput(f"no validation shards lie beside {source}; name some with --set data.val=PATTERN")
    return found, web.names_of(found), web.count_of(found), held, val or source


def _hf(source: str, val: str | None, label_column: str | None) -> Found:
    tables = hub.load(source, streaming=True)
    train, others = hub.choose_splits(list(tables), source)
    if val is not None and val not in tables:
        raise BadInput(f"{source} has no split {val!r}; it has {', '.join(tables)}")
    held = val or next(iter(others), None)
    if held is None:
        raise BadInput(f"{source} has no split to validate by; train without data.streaming, so that one is split off")
    features = tables[train].features
    if features is None:
        raise BadInput(f"{source} does not say what its columns are; train without data.streaming")
    image, label = hub.columns(features, label_column, source)
    info = (tables[train].info.splits or {}).get(train)
    return (
        _table_shards(tables, train, image, label),
        hub.class_names(features[label]),
        getattr(info, "num_examples", None) or None,
        _table_shards(tables, held, image, label),
        f"{source}, split {held}",
    )


@dataclass(frozen=True)
class TableShard:
    """A function that gives the labelled images of one shard of a streamed table, in order."""

    table: Any = field(repr=False)
    split: str
    number: int
    of: int
    image: str
    label: str
    made_in: int  # the process

    def __call__(self) -> Iterator[Encoded]:
        """Read it."""
        if os.getpid() != self.made_in:
            import fsspec.asyn

            fsspec.asyn.reset_lock()  # a forked process inherits the lock of a thread that it has not
        # In batches: iterating row by row, the library would share its rows among the worker processes once more.
        row = 0
        for batch in self.table.shard(num_shards=self.of, index=self.number).iter(batch_size=READ_AT_ONCE):
            for cell, value in zip(batch[self.image], batch[self.label], strict=True):
                label, name = hub.plain_label(value), f"{self.split}-{self.number}/{row}"
                row += 1
                if label is not None:
                    yield Encoded(_file(cell, name), label)


def _table_shards(tables: Mapping[str, Any], split: str, image: str, label: str) -> tuple[TableShard, ...]:
    from datasets import Image as ImageFeature

    table = tables[split].select_columns([image, label]).cast_column(image, ImageFeature(decode=False))
    count = table.num_shards
    return tuple(TableShard(table, split, i, count, image, label, os.getpid()) for i in range(count))


def _file(cell: Any, name: str) -> ImageBytes:
    """The encoded image of a cell; nothing, which is no image, where it holds none."""
    try:
        file = hub.encoded(cell, name)
        if isinstance(file, ImageBytes):
            return file
        if file.startswith("hf://"):  # an image that is a file of its own, on the hub
            import fsspec

            with fsspec.open(file, "rb") as handle:
                return ImageBytes(handle.read(), name)
        with open(file, "rb") as handle:
            return ImageBytes(handle.read(), name)
    except (BadImage, OSError):
        return ImageBytes(b"", name)
