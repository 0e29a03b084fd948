"""Each operation as a call of the function of its kind, with its addresses."""

import numpy as np

from pumice.native.emit import layers
from pumice.native.emit.around import Kernel
from pumice.native.emit.choice import usual
from pumice.native.emit.depthwise import depthwise
from pumice.native.emit.geometry import even, windows
from pumice.native.emit.grouped import grouped, is_grouped
from pumice.native.emit.made import made
from pumice.native.emit.maxima import max_pool
from pumice.native.emit.pixels import pointwise
from pumice.native.emit.resample import resampled
from pumice.native.emit.tiles import blocks, tile_sizes
from pumice.native.emit.weave import woven
from pumice.native.emit.weights import of_conv, of_linear
from pumice.native.emit.windows import spatial
from pumice.native.emit.writer import Writer, table
from pumice.native.expression import Result
from pumice.native.ir import Collect, Conv, Linear, Map, MaxPool, Mean, Operation, Resample, Spread, Weave
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


def _conv(writer: Writer, i: int, conv: Conv, lines: list[str]) -> None:
    image = bool((writer.plan.offsets[conv.inputs] < 0).any())
    after = writer.written(conv.after, conv.out_size)
    before = None if isinstance(conv.before, Result) else writer.written(conv.before, conv.size)
    out, inputs = len(conv.weight) // conv.groups, conv.weight.shape[1]
    sizes, many = tile_sizes(out), blocks(out)[1]
    weight = f"r->weights + {writer.weights.add(of_conv(conv))}" if conv.made is None else made(writer, conv, lines)
    bias = f"r->weights + {writer.weights.add(conv.bias)}"
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
    common = f"{base}, from, to, {weight}, {bias}"
    pixels = conv.size[0] * conv.size[1]
    if conv.pointwise and not image:
        choice = writer.choices.get(i) or usual(conv)
        gather = choice.gather or before is not None
        ahead = (before or writer.written(Result(), conv.size)) if gather else None
        name = writer.kind(lambda n: pointwise(n, sizes, after, ahead), "pointwise", sizes, after, ahead)
        step = max(choice.numbers // inputs // LANES * LANES, 4 * LANES)
        step = min(step, -(-pixels // LANES) * LANES)
        if gather:
            step = even(pixels, step)
            writer.scratch = max(writer.scratch, inputs * step)
        lines.append(f"{name}(r, {common}, {conv.groups}, {inputs}, {out}, {many}, {pixels}, {step}, &a, {first});")
        return
    kernel: Kernel | None = None
    if inputs == 1 and out <= 2 and conv.dilation == (1, 1):
        kernel = ((conv.weight.shape[2], conv.weight.shape[3]), conv.stride)
    right = conv.out_size[1] - 1 + conv.weight.shape[3] - conv.padding[1] - conv.size[1]
    # What lies on both sides of a plane is read, so it must not be more than there is around the arena.
    beside = max(conv.padding[1], right) <= LANES
    if kernel and not image and before is None and conv.stride[1] == 1 and beside:
        wide = -(-conv.out_size[1] // 64) * 64
        name = writer.kind(lambda n: depthwise(n, out, after, kernel, wide), "depthwise", out, after, kernel, wide)
        _, window, _ = windows(conv, inputs, out, many)
        writer.scratch = max(writer.scratch, conv.size[1] + 8 * LANES)
        lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
        lines.append(f"{name}(r, from, to, {weight}, {bias}, &s, &a);")
        return
    name = writer.kind(
        lambda n: spatial(n, sizes, after, before, image=image, window_of=kernel),
        "spatial",
        sizes,
        after,
        before or "",
        image,
        kernel,
    )
    off, window, room = windows(conv, inputs, out, many, writer.choices.get(i))
    writer.scratch = max(writer.scratch, room)
    lines += [table("off", off), f"static const Window s = {{{', '.join(map(str, window))}}};"]
    lines.append(f"{name}(r, {common}, off, &s, &a, {first});")


def _max_pool(writer: Writer, pool: MaxPool, lines: list[str]) -> None:
    after = writer.written(pool.after, pool.out_size)
    kernel: Kernel = (pool.kernel, pool.stride)
    name = writer.kind(lambda n: max_pool(n, after, kernel), "maxpool", after, kernel)
    writer.operands("a", after, lines)
    _, window, room = windows(pool, 1, 1, 1)
    writer.scratch = max(writer.scratch, room)
    lines += [table("from", writer.places(pool.inputs)), table("to", writer.places(pool.outputs))]
    lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
    lines.append(f"{name}(r, r->arena, from, to, &s, &a);")


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
