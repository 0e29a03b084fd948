"""A map into the map that reads it, so that what lies between is never stored."""

from collections import Counter
from typing import Any

import numpy as np

from pumice.native.expression import Expression, Read, fits, reads, replaced, selected
from pumice.native.ir import Map, Program
from pumice.native.passes.links import Links


def merge_maps(program: Program) -> None:
    """Every map whose planes one other map reads, each once, becomes part of that one."""
    links = Links(program)
    for operation in list(program.operations):
        if isinstance(operation, Map):
            while (found := _mergeable(operation, links)) is not None:
                _merge(found, operation, links)


def _mergeable(reader: Map, links: Links) -> Map | None:
    counts = Counter(plane for one in reads(reader.value) for plane in one.planes.tolist())
    for one in reads(reader.value):
        made = links.only_producer(one.planes)
        if not isinstance(made, Map) or made is reader or not links.used_only_by(made, reader):
            continue
        if made.size not in (reader.size, (1, 1)) or any(counts[plane] != 1 for plane in made.outputs.tolist()):
            continue
        others = [read for read in reads(reader.value) if links.makes(made, read.planes)]
        if all(links.only_producer(read.planes) is made for read in others) and fits(_merged(made, reader)):
            return made
    return None


def _merged(made: Map, reader: Map) -> Expression:
    place = {plane: i for i, plane in enumerate(made.outputs.tolist())}

    def leaf(one: Any) -> Expression | None:
        if isinstance(one, Read) and int(one.planes[0]) in place:
            return selected(made.value, np.array([place[plane] for plane in one.planes.tolist()]))
        return None

    return replaced(reader.value, leaf)


def _merge(made: Map, reader: Map, links: Links) -> None:
    value = _merged(made, reader)
    links.remove(made)
    links.change(reader, lambda: setattr(reader, "value", value))
