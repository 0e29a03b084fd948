"""Each operation as a call of the function of its kind, with its addresses."""

import numpy as np

from pumice.native.emit import layers
from pumice.native.emit.around import Kernel
from pumice.native.emit.choice import squarable, usual
from pumice.native.emit.depthwise import depthwise, rows_of, within
from pumice.native.emit.geometry import windows
from pumice.native.emit.maxima import max_pool
from pumice.native.emit.pixels import pointwise, room
from pumice.native.emit.tiles import blocks, tile_sizes
from pumice.native.emit.weights import of_conv, of_linear
from pumice.native.emit.windows import spatial
from pumice.native.emit.winograd import geometry, transformed, winograd
from pumice.native.emit.writer import Writer, table
from pumice.native.expression import Result
from pumice.native.ir import Conv, Linear, Map, MaxPool, Mean, Operation, Spread
from pumice.native.plan import LANES


def emit(writer: Writer, i: int, operation: Operation, lines: list[str]) -> None:
    """Append the statements of an operation."""
    if isinstance(operation, Conv):
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


def _conv(writer: Writer, i: int, conv: Conv, lines: list[str]) -> None:
    image = bool((writer.plan.offsets[conv.inputs] < 0).any())
    after = writer.written(conv.after, conv.out_size)
    before = None if isinstance(conv.before, Result) else writer.written(conv.before, conv.size)
    out, inputs = len(conv.weight) // conv.groups, conv.weight.shape[1]
    sizes, many = tile_sizes(out), blocks(out)[1]
    choice = writer.choices.get(i) or usual(conv)
    squares = choice.squares and squarable(conv) and not image
    weight, bias = writer.weights.add(transformed(conv) if squares else of_conv(conv)), writer.weights.add(conv.bias)
    writer.operands("a", after, lines)
    if before is not None:
        writer.operands("b", before, lines)
    first = "&b" if before is not None else "0"
    if image:
        order = {plane: k for k, plane in enumerate(writer.program.inputs.tolist())}
        sources = np.array([order[plane] * conv.size[0] * conv.size[1] for plane in conv.inputs.tolist()])
    else:
        sources = writer.places(conv.inputs)
    lines += [table("from", sources), table("to", writer.places(conv.outputs))]
    base = "r->image" if image else "r->arena"
    common = f"{base}, from, to, r->weights + {weight}, r->weights + {bias}"
    pixels = conv.size[0] * conv.size[1]
    if conv.pointwise and not image:
        name = writer.kind(lambda n: pointwise(n, sizes, after, before), "pointwise", sizes, after, before or "")
        step = min(choice.numbers // inputs, pixels)
        writer.scratch = max(writer.scratch, room(inputs, step, gathered=before is not None))
        lines.append(f"{name}(r, {common}, {conv.groups}, {inputs}, {out}, {many}, {pixels}, {step}, &a, {first});")
        return
    if squares:
        name = writer.kind(lambda n: winograd(n, sizes, after, before), "winograd", sizes, after, before or "")
        window, numbers, need = geometry(conv, choice.numbers)
        writer.scratch = max(writer.scratch, need)
        lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
        lines.append(f"{name}(r, {common}, &s, {', '.join(map(str, numbers))}, &a, {first});")
        return
    if within(conv) and not image and before is None:
        kernel: Kernel = ((conv.weight.shape[2], conv.weight.shape[3]), conv.stride)
        wide = -(-conv.out_size[1] // 64) * 64
        left, rows = conv.padding[1], rows_of(conv.out_size[0], out)
        name = writer.kind(
            lambda n: depthwise(n, out, after, kernel, left, rows, wide),
            "depthwise",
            out,
            after,
            kernel,
            left,
            rows,
            wide,
        )
        _, window, _ = windows(conv, inputs, out, many, choice.numbers)
        writer.scratch = max(writer.scratch, conv.size[1] + 8 * LANES)
        lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
        lines.append(f"{name}(r, from, to, r->weights + {weight}, r->weights + {bias}, &s, &a);")
        return
    name = writer.kind(
        lambda n: spatial(n, sizes, after, before, image=image),
        "spatial",
        sizes,
        after,
        before or "",
        image,
    )
    off, window, need = windows(conv, inputs, out, many, choice.numbers)
    writer.scratch = max(writer.scratch, need)
    lines += [table("off", off), f"static const Window s = {{{', '.join(map(str, window))}}};"]
    lines.append(f"{name}(r, {common}, off, &s, &a, {first});")


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
