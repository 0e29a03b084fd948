"""Each operation as a call of the function of its kind, with its addresses."""

from dataclasses import dataclass

import numpy as np

from pumice.native.emit import layers
from pumice.native.emit.around import Kernel
from pumice.native.emit.choice import Choice, squarable, usual
from pumice.native.emit.depthwise import depthwise, rows_of, within
from pumice.native.emit.expressions import Written
from pumice.native.emit.geometry import windows
from pumice.native.emit.grouped import grouped, is_grouped
from pumice.native.emit.made import made
from pumice.native.emit.maxima import max_pool
from pumice.native.emit.pixels import pointwise, room
from pumice.native.emit.resample import resampled
from pumice.native.emit.tiles import blocks, tile_sizes
from pumice.native.emit.weave import woven
from pumice.native.emit.weights import of_conv, of_linear
from pumice.native.emit.windows import spatial
from pumice.native.emit.winograd import geometry, transformed, winograd
from pumice.native.emit.writer import Writer, table
from pumice.native.expression import Result
from pumice.native.ir import Collect, Conv, Floats, Linear, Map, MaxPool, Mean, Operation, Resample, Spread, Weave
from pumice.native.plan import LANES


def emit(writer: Writer, i: int, operation: Operation, lines: list[str]) -> None:
    """Append the statements of an operation."""
    if isinstance(operation, Conv) and is_grouped(operation):
        grouped(writer, operation, lines)
    elif isinstance(operation, Conv):
        _conv(writer, i, operation, lines)
    elif isinstance(operation, Linear):
        _linear(writer, operation, lines)
    elif isinstance(operation, Mean):
        after = writer.written(operation.after, (1, 1))
        name = writer.kind(
            lambda n: layers.MEAN.substitute(name=n, number=after.number, ahead=after.ahead), "mean", after
        )
        writer.operands("a", after, lines)
        lines.append(table("from", writer.places(operation.inputs)))
        pixels, to = operation.size[0] * operation.size[1], int(writer.places(operation.outputs)[0])
        lines.append(f"{name}(r, from, {pixels}, {len(operation.outputs)}, {to}, &a);")
    elif isinstance(operation, Map):
        _map(writer, operation, lines)
    elif isinstance(operation, MaxPool):
        _max_pool(writer, operation, lines)
    elif isinstance(operation, Resample):
        resampled(writer, operation, lines)
    elif isinstance(operation, Weave):
        woven(writer, operation, lines)
    elif isinstance(operation, Collect):
        _collect(writer, operation, lines)
    else:
        _spread(writer, operation, lines)


def _map(writer: Writer, operation: Map, lines: list[str]) -> None:
    value = writer.written(operation.value, operation.size)
    writer.operands("a", value, lines)
    lines.append(table("to", writer.places(operation.outputs)))
    pixels, count = operation.size[0] * operation.size[1], len(operation.outputs)
    if pixels == 1:
        name = writer.kind(
            lambda n: layers.NUMBERS.substitute(name=n, number=value.number, ahead=value.ahead), "numbers", value
        )
        lines.append(f"{name}(r, to, {count}, &a);")
    else:
        name = writer.kind(
            lambda n: layers.PLANES.substitute(name=n, vector=value.vector, ahead=value.ahead), "planes", value
        )
        lines.append(f"{name}(r, to, {count}, {pixels}, &a);")


def _linear(writer: Writer, operation: Linear, lines: list[str]) -> None:
    after = writer.written(operation.after, (1, 1))
    name = writer.kind(
        lambda n: layers.LINEAR.substitute(name=n, number=after.number, ahead=after.ahead), "linear", after
    )
    weight, bias = (writer.weights.add(part) for part in of_linear(operation))
    places, n = writer.places(operation.inputs), len(operation.inputs)
    writer.operands("a", after, lines)
    if (np.diff(places) == 1).all():
        inputs = f"r->arena + {places[0]}"
    else:
        lines.append(table("from", places))
        inputs = f"gathered(r, from, {n})"
        writer.scratch = max(writer.scratch, n)
    to = int(writer.places(operation.outputs)[0])
    lines.append(
        f"{name}(r, {inputs}, r->weights + {weight}, r->weights + {bias}, {n}, {len(operation.outputs)}, {to}, &a);"
    )


@dataclass(frozen=True, eq=False)
class _Way:
    """How a convolution runs: the function, its weights in order, and what it is told beside what all are."""

    name: str
    weight: Floats
    more: str


def _conv(writer: Writer, i: int, conv: Conv, lines: list[str]) -> None:
    image = bool((writer.plan.offsets[conv.inputs] < 0).any())
    after = writer.written(conv.after, conv.out_size)
    before = None if isinstance(conv.before, Result) else writer.written(conv.before, conv.size)
    choice = writer.choices.get(i) or usual(conv)
    writer.operands("a", after, lines)
    if before is not None:
        writer.operands("b", before, lines)
    if image:
        order = {plane: k for k, plane in enumerate(writer.program.inputs.tolist())}
        sources = np.array([order[plane] * conv.size[0] * conv.size[1] for plane in conv.inputs.tolist()])
    else:
        sources = writer.places(conv.inputs)
    lines += [table("from", sources), table("to", writer.places(conv.outputs))]
    if conv.pointwise and not image:
        way = _pixels(writer, conv, choice, before, after)
    elif choice.squares and squarable(conv) and not image:
        way = _squares(writer, conv, choice, before, after, lines)
    elif within(conv) and before is None and not image:
        way = _planes(writer, conv, choice, after, lines)
    else:
        way = _windows(writer, conv, choice, before, after, lines, image=image)
    weight = made(writer, conv, lines) if conv.made is not None else f"r->weights + {writer.weights.add(way.weight)}"
    bias = f"r->weights + {writer.weights.add(conv.bias)}"
    base, first = "r->image" if image else "r->arena", "&b" if before is not None else "0"
    lines.append(f"{way.name}(r, {base}, from, to, {weight}, {bias}, {way.more}, &a, {first});")


def _pixels(writer: Writer, conv: Conv, choice: Choice, before: Written | None, after: Written) -> _Way:
    out, inputs = conv.per_group
    sizes = tile_sizes(out)
    name = writer.kind(lambda n: pointwise(n, sizes, after, before), "pointwise", sizes, after, before or "")
    pixels = conv.size[0] * conv.size[1]
    step = min(choice.numbers // inputs, pixels)
    writer.scratch = max(writer.scratch, room(inputs, step, gathered=before is not None))
    return _Way(name, of_conv(conv), f"{conv.groups}, {inputs}, {out}, {blocks(out)[1]}, {pixels}, {step}")


def _squares(
    writer: Writer, conv: Conv, choice: Choice, before: Written | None, after: Written, lines: list[str]
) -> _Way:
    sizes = tile_sizes(conv.per_group[0])
    name = writer.kind(lambda n: winograd(n, sizes, after, before), "winograd", sizes, after, before or "")
    window, numbers, need = geometry(conv, choice.numbers)
    writer.scratch = max(writer.scratch, need)
    lines.append(_window(window))
    return _Way(name, transformed(conv), f"&s, {', '.join(map(str, numbers))}")


def _planes(writer: Writer, conv: Conv, choice: Choice, after: Written, lines: list[str]) -> _Way:
    out, _ = conv.per_group
    kernel: Kernel = ((conv.weight.shape[2], conv.weight.shape[3]), conv.stride)
    rows, most = rows_of(conv.out_size[0], out), -(-conv.out_size[1] // 64) * 64
    key = (out, after, kernel, conv.padding[1], rows, most)
    name = writer.kind(lambda n: depthwise(n, *key), "depthwise", *key)
    _, window, _ = windows(conv, choice.numbers)
    writer.scratch = max(writer.scratch, conv.size[1] + 8 * LANES)
    lines.append(_window(window))
    return _Way(name, of_conv(conv), "&s")


def _windows(
    writer: Writer,
    conv: Conv,
    choice: Choice,
    before: Written | None,
    after: Written,
    lines: list[str],
    *,
    image: bool,
) -> _Way:
    sizes = tile_sizes(conv.per_group[0])
    key = (sizes, after, before or "", image)
    name = writer.kind(lambda n: spatial(n, sizes, after, before, image=image), "spatial", *key)
    off, window, need = windows(conv, choice.numbers)
    writer.scratch = max(writer.scratch, need)
    lines += [table("off", off), _window(window)]
    return _Way(name, of_conv(conv), "off, &s")


def _window(numbers: tuple[int, ...]) -> str:
    return f"static const Window s = {{{', '.join(map(str, numbers))}}};"


def _max_pool(writer: Writer, pool: MaxPool, lines: list[str]) -> None:
    after = writer.written(pool.after, pool.out_size)
    kernel: Kernel = (pool.kernel, pool.stride)
    name = writer.kind(lambda n: max_pool(n, after, kernel), "maxpool", after, kernel)
    writer.operands("a", after, lines)
    lines += [table("from", writer.places(pool.inputs)), table("to", writer.places(pool.outputs))]
    numbers = ", ".join(map(str, (len(pool.inputs), *pool.size, *pool.out_size, *pool.padding)))
    lines.append(f"{name}(r, from, to, {numbers}, &a);")


def _spread(writer: Writer, operation: Spread, lines: list[str]) -> None:
    pixels = operation.size[0] * operation.size[1]
    lines.append(table("from", writer.places(operation.inputs)))
    to = int(writer.places(operation.outputs)[0])
    lines.append(
        f"for (int c = 0; c < {len(operation.inputs)}; c++) "
        f"memcpy(r->arena + {to} + c * {pixels}, r->arena + from[c], sizeof(float) * {pixels});"
    )


def _collect(writer: Writer, operation: Collect, lines: list[str]) -> None:
    pixels, count = operation.size[0] * operation.size[1], len(operation.outputs)
    places = writer.places(operation.inputs).reshape(count, pixels)
    lines.append(table("to", writer.places(operation.outputs)))
    if (np.diff(places, axis=1) == 1).all():
        lines += [table("from", places[:, 0]), f"for (int c = 0; c < {count}; c++)"]
        lines.append(f"    memcpy(r->arena + to[c], r->arena + from[c], sizeof(float) * {pixels});")
    else:
        lines += [table("from", places.ravel()), f"for (int c = 0; c < {count}; c++)"]
        lines.append(f"    for (int k = 0; k < {pixels}; k++) r->arena[to[c] + k] = r->arena[from[c * {pixels} + k]];")
