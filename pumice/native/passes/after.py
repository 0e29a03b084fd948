"""A map into the layer whose results it reads: activation, residual sum and gate happen before a result is stored."""

from typing import Any, cast, get_args

import numpy as np

from pumice.native.expression import Expression, Planes, Read, fits, reads, replaced, selected
from pumice.native.ir import Layer, Map, Program
from pumice.native.passes.links import Links, places

LAYERS = get_args(Layer)


def merge_after(program: Program) -> None:
    """Every map that reads all results of a layer, which nobody else reads, becomes what is done after that layer."""
    links = Links(program)
    for operation in list(program.operations):
        if isinstance(operation, Map):
            for piece in _pieces(operation, links):
                layer = _mergeable(piece, links)
                if layer is not None:
                    _merge(layer, piece, links)


def _pieces(whole: Map, links: Links) -> list[Map]:
    """The map, or its parts by who made what they read, if a part can then be merged."""
    outputs, image = whole.outputs, [one for one in reads(whole.value) if _same_size(one, whole, links)]
    keys = [tuple(id(links.producer.get(int(one.planes[j]))) for one in image) for j in range(len(outputs))]
    groups: dict[Any, list[int]] = {}
    for j, key in enumerate(keys):
        groups.setdefault(key, []).append(j)
    if len(groups) == 1 or not image:
        return [whole]
    merging = {
        key: indices
        for key, indices in groups.items()
        if any(_all_of(one.planes[indices], whole, links) is not None for one in image)
    }
    if not merging:
        return [whole]
    rest = [j for key, indices in groups.items() if key not in merging for j in indices]
    parts = [np.array(indices) for indices in (*merging.values(), rest) if indices]
    new = [Map(whole.path, outputs[part], whole.size, selected(whole.value, part)) for part in parts]
    links.replace(whole, list(new))
    return new


def _same_size(one: Read, whole: Map, links: Links) -> bool:
    return links.program.sizes[int(one.planes[0])] == whole.size


def _all_of(planes: Planes, reader: Map, links: Links) -> Layer | None:
    """The layer of whose results these are all, each once, read by nobody else."""
    layer = links.only_producer(planes)
    if not isinstance(layer, LAYERS) or len(planes) != len(layer.outputs):
        return None
    whole = len(set(planes.tolist())) == len(planes) and links.used_only_by(layer, reader)
    return cast(Layer, layer) if whole else None


def _mergeable(reader: Map, links: Links) -> Layer | None:
    candidates = []
    for one in reads(reader.value):
        layer = _all_of(one.planes, reader, links)
        if layer is None or not _same_size(one, reader, links):
            continue
        same = [other for other in reads(reader.value) if links.makes(layer, other.planes)]
        alike = all(np.array_equal(other.planes, one.planes) for other in same)
        if alike and fits(_joined(layer, reader.value, links)):
            candidates.append(layer)
    order = links.program.operations
    return max(candidates, key=order.index, default=None)


def _joined(layer: Layer, value: Expression, links: Links) -> Expression:
    """The expression of a map with what follows the layer in the place of the layer's results."""

    def leaf(one: Any) -> Expression | None:
        return layer.after if isinstance(one, Read) and links.makes(layer, one.planes) else None

    return replaced(value, leaf)


def _merge(layer: Layer, reader: Map, links: Links) -> None:
    mine = next(one.planes for one in reads(reader.value) if links.makes(layer, one.planes))
    of_output = places(layer.outputs, mine)  # output j of the map reads result of_output[j] of the layer
    order = np.argsort(of_output)  # result o of the layer becomes output order[o] of the map
    after = _joined(layer, selected(reader.value, order), links)
    outputs = reader.outputs[order]
    links.remove(layer)
    layer.after, layer.outputs = after, outputs
    links.replace(reader, [layer])
