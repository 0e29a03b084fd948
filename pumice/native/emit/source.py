"""A whole program as C: functions for each kind of layer, then one function a layer with its addresses, then all."""

from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from pumice.native.emit import layers
from pumice.native.emit.convolutions import WINDOW, Kernel, depthwise, max_pool, pointwise, spatial
from pumice.native.emit.expressions import Written, written
from pumice.native.emit.tiles import blocks, tile_sizes
from pumice.native.emit.weights import Weights, of_conv, of_linear
from pumice.native.expression import Expression, Result
from pumice.native.ir import Conv, Linear, Map, MaxPool, Mean, Operation, Program, Size, Spread
from pumice.native.plan import LANES, Plan, plan, stride

SCRATCH = 48 * 1024
"""Numbers that a convolution gathers at a time, where one plane does not need more: they should stay in a cache."""
PLANE = 6 * 1024
"""The same for convolutions that see one plane at a time."""
PIXELS = 4 * 1024
"""The same for convolutions of single pixels: in the first-level cache while all tiles of outputs go over them."""
CACHE = 96 * 1024
"""Numbers: three quarters of a small second-level cache."""


@dataclass(frozen=True)
class Choice:
    """How a convolution runs.

    gather: whether its pixels are gathered first, for one that sees single pixels.
    numbers: how many are gathered at a time.
    """

    gather: bool = False
    numbers: int = PIXELS


@dataclass(frozen=True)
class Source:
    """What a program became.

    text: of model.c without its head.  weights: the block of numbers, little-endian float32.
    arena, scratch: numbers of memory it works in.  operations: path and kind of each, in order.
    """

    text: str
    weights: bytes
    arena: int
    scratch: int
    operations: tuple[tuple[str, str], ...]


@dataclass
class Writer:
    """Collects the parts of a source."""

    program: Program
    plan: Plan
    choices: dict[int, Choice]
    weights: Weights = field(default_factory=Weights)
    kinds: dict[tuple[str, ...], str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    scratch: int = 0

    def kind(self, make: object, prefix: str, *key: object) -> str:
        """The function of a kind of layer, written the first time that it is asked for."""
        full = (prefix, *(one.text if isinstance(one, Written) else str(one) for one in key))
        if full not in self.kinds:
            self.kinds[full] = f"{prefix}_{len(self.kinds)}"
            assert callable(make)
            self.functions.append(make(self.kinds[full]))
        return self.kinds[full]

    def operands(self, name: str, one: Written, lines: list[str]) -> None:
        """Declare what an expression reads."""
        for k, table in enumerate(one.tables):
            lines.append(_table(f"{name}_t{k}", self.places(table)))
        tables = ", ".join(f"{name}_t{k}" for k in range(len(one.tables))) or "0"
        constants = ", ".join(f"r->weights + {self.weights.add(part)}" for part in one.constants) or "0"
        lines.append(f"const Operands {name} = {{{{{tables}}}, {{{constants}}}}};")

    def places(self, planes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where planes lie in the arena."""
        found = self.plan.offsets[planes]
        assert (found >= 0).all()
        return found

    def written(self, expression: Expression, size: Size) -> Written:
        return written(expression, self.program.sizes, size)


def source(program: Program, choices: dict[int, Choice] | None = None) -> Source:
    """A program that has been through the passes, as C.

    choices: for some operations, by their place in the program; the rest go by a rule of thumb.
    """
    writer = Writer(program, plan(program), choices or {})
    for i, operation in enumerate(program.operations):
        lines = [f"/* {operation.path or type(operation).__name__} */"]
        _emit(writer, i, operation, lines)
        body = "\n".join(f"    {line}" for line in lines)
        writer.bodies.append(f"static void op_{i}(const Run *r) {{\n{body}\n}}\n")
    answer = _answer(writer)
    package = files("pumice.native.emit")
    text = "\n".join(
        [
            (package / "functions.c").read_text(encoding="utf-8"),
            WINDOW,
            (package / "others.c").read_text(encoding="utf-8"),
            *writer.functions,
            *writer.bodies,
            answer,
        ]
    )
    named = tuple((operation.path, type(operation).__name__) for operation in program.operations)
    return Source(text, writer.weights.tobytes(), writer.plan.total, writer.scratch, named)


def _table(name: str, numbers: NDArray[np.int64]) -> str:
    return f"static const int32_t {name}[] = {{{', '.join(map(str, numbers.tolist()))}}};"


def _emit(writer: Writer, i: int, operation: Operation, lines: list[str]) -> None:
    if isinstance(operation, Conv):
        _conv(writer, i, operation, lines)
    elif isinstance(operation, Linear):
        _linear(writer, operation, lines)
    elif isinstance(operation, Mean):
        after = writer.written(operation.after, (1, 1))
        name = writer.kind(lambda n: layers.MEAN.substitute(name=n, number=after.number, ahead=after.ahead), "mean", after)
        writer.operands("a", after, lines)
        lines.append(_table("from", writer.places(operation.inputs)))
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
    lines.append(_table("to", writer.places(operation.outputs)))
    pixels, count = operation.size[0] * operation.size[1], len(operation.outputs)
    if pixels == 1:
        name = writer.kind(lambda n: layers.NUMBERS.substitute(name=n, number=value.number, ahead=value.ahead), "numbers", value)
        lines.append(f"{name}(r, to, {count}, &a);")
    else:
        name = writer.kind(lambda n: layers.PLANES.substitute(name=n, vector=value.vector, ahead=value.ahead), "planes", value)
        lines.append(f"{name}(r, to, {count}, {pixels}, &a);")


def _linear(writer: Writer, operation: Linear, lines: list[str]) -> None:
    after = writer.written(operation.after, (1, 1))
    name = writer.kind(lambda n: layers.LINEAR.substitute(name=n, number=after.number, ahead=after.ahead), "linear", after)
    weight, bias = (writer.weights.add(part) for part in of_linear(operation))
    places, n = writer.places(operation.inputs), len(operation.inputs)
    writer.operands("a", after, lines)
    if (np.diff(places) == 1).all():
        inputs = f"r->arena + {places[0]}"
    else:
        lines.append(_table("from", places))
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
    weight, bias = writer.weights.add(of_conv(conv)), writer.weights.add(conv.bias)
    writer.operands("a", after, lines)
    if before is not None:
        writer.operands("b", before, lines)
    first = "&b" if before is not None else "0"
    if image:
        order = {plane: k for k, plane in enumerate(writer.program.inputs.tolist())}
        from_ = np.array([order[plane] * conv.size[0] * conv.size[1] for plane in conv.inputs.tolist()])
    else:
        from_ = writer.places(conv.inputs)
    lines += [_table("from", from_), _table("to", writer.places(conv.outputs))]
    base = "r->image" if image else "r->arena"
    common = f"{base}, from, to, r->weights + {weight}, r->weights + {bias}"
    pixels = conv.size[0] * conv.size[1]
    if conv.pointwise and not image:
        choice = writer.choices.get(i) or usual(conv)
        gather = choice.gather or before is not None
        first_ = (before or written(Result(), [], conv.size)) if gather else None
        name = writer.kind(lambda n: pointwise(n, sizes, after, first_), "pointwise", sizes, after, first_)
        step = max(choice.numbers // inputs // LANES * LANES, 4 * LANES)
        step = min(step, -(-pixels // LANES) * LANES)
        if gather:
            step = _even(pixels, step)
            writer.scratch = max(writer.scratch, inputs * step)
        lines.append(f"{name}(r, {common}, {conv.groups}, {inputs}, {out}, {many}, {pixels}, {step}, &a, {first});")
        return
    kernel: Kernel | None = None
    if inputs == 1 and out <= 2 and conv.dilation == (1, 1):
        kernel = ((conv.weight.shape[2], conv.weight.shape[3]), conv.stride)
    if kernel and not image and before is None and conv.stride[1] == 1:
        wide = -(-conv.out_size[1] // 64) * 64
        name = writer.kind(lambda n: depthwise(n, out, after, kernel, wide), "depthwise", out, after, kernel, wide)
        _, window, _ = windows(conv, inputs, out, many)
        writer.scratch = max(writer.scratch, conv.size[1] + 8 * LANES)
        lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
        lines.append(f"{name}(r, from, to, r->weights + {weight}, r->weights + {bias}, &s, &a);")
        return
    name = writer.kind(
        lambda n: spatial(n, sizes, after, before, image=image, window_of=kernel),
        "spatial", sizes, after, before or "", image, kernel,
    )
    off, window, room = windows(conv, inputs, out, many, writer.choices.get(i))
    writer.scratch = max(writer.scratch, room)
    lines += [_table("off", off), f"static const Window s = {{{', '.join(map(str, window))}}};"]
    lines.append(f"{name}(r, {common}, off, &s, &a, {first});")


def _even(pixels: int, step: int) -> int:
    """Steps of about the same size."""
    count = -(-pixels // step)
    return -(-pixels // count // LANES) * LANES if count > 1 else step


def usual(conv: Conv) -> Choice:
    """Gathered where a tile's rows, each in a plane of its own, are spread over more than a second-level cache."""
    out, inputs = conv.weight.shape[0] // conv.groups, conv.weight.shape[1]
    wide = inputs * stride(conv.size) > CACHE and out >= 12
    return Choice(gather=wide or inputs * out > 2 * CACHE, numbers=PIXELS)


def windows(
    conv: Conv | MaxPool, inputs: int, out: int, many: int, choice: Choice | None = None
) -> tuple[NDArray[np.int64], tuple[int, ...], int]:
    """How a layer's windows lie in the scratch: offset of each tap, the numbers of a Window, and the room it needs."""
    kernel = conv.weight.shape[2:] if isinstance(conv, Conv) else conv.kernel
    (sy, sx), (dy, dx) = conv.stride, conv.dilation
    height, width = conv.out_size
    reach = (kernel[0] - 1) * dy + 1
    # A narrow row is read as one vector; with two phases, what the first one writes too much must miss the second one.
    seg = max(width, LANES) + (kernel[1] - 1) * dx // sx + 1 + (LANES if sx == 2 else 0)
    pitch = sx * seg
    most = choice.numbers if choice else (PLANE if inputs <= 2 else SCRATCH)
    strip = height
    if isinstance(conv, Conv):
        fit = (most // (inputs * pitch) - reach) // sy + 1
        strip = min(max(fit, 4 if inputs <= 2 else 1), height)
        strip = -(-height // -(-height // strip))
        strip = min(-(-strip // 4) * 4, height) if strip > 4 else strip
    used = width + (kernel[1] - 1) * dx // sx + 1
    plane = ((strip - 1) * sy + reach) * pitch
    if plane % 256 == 0:
        plane += LANES
    off = np.array(
        [
            i * plane + ky * dy * pitch + kx * dx % sx * seg + kx * dx // sx
            for i in range(inputs)
            for ky in range(kernel[0])
            for kx in range(kernel[1])
        ]
    )
    groups = conv.groups if isinstance(conv, Conv) else len(conv.inputs)
    batch = 1 if strip < height else min(max(most // (inputs * plane), 1), groups)
    numbers = (groups, inputs, out, many, len(off), *conv.size, height, width, *conv.padding, sy, sx, reach, seg, used, plane, strip, batch)
    return off, numbers, batch * inputs * plane + 4 * LANES


def _max_pool(writer: Writer, pool: MaxPool, lines: list[str]) -> None:
    after = writer.written(pool.after, pool.out_size)
    kernel: Kernel = (pool.kernel, pool.stride)
    name = writer.kind(lambda n: max_pool(n, after, kernel), "maxpool", after, kernel)
    writer.operands("a", after, lines)
    off, window, room = windows(pool, 1, 1, 1)
    writer.scratch = max(writer.scratch, room)
    lines += [_table("from", writer.places(pool.inputs)), _table("to", writer.places(pool.outputs)), _table("off", off)]
    lines.append(f"static const Window s = {{{', '.join(map(str, window))}}};")
    lines.append(f"{name}(r, r->arena, from, to, off, &s, &a);")


def _spread(writer: Writer, operation: Spread, lines: list[str]) -> None:
    pixels = operation.size[0] * operation.size[1]
    lines.append(_table("from", writer.places(operation.inputs)))
    to = int(writer.places(operation.outputs)[0])
    lines.append(
        f"for (int c = 0; c < {len(operation.inputs)}; c++) "
        f"memcpy(r->arena + {to} + c * {pixels}, r->arena + from[c], sizeof(float) * {pixels});"
    )


def _answer(writer: Writer) -> str:
    """The function that runs everything and copies the answer out."""
    program = writer.program
    size = program.sizes[int(program.outputs[0])]
    pixels = size[0] * size[1]
    calls = "\n".join(f"    STEP({i}, op_{i}(&r));" for i in range(len(program.operations)))
    table = _table("answer", writer.places(program.outputs))
    return f"""
#ifndef STEP
#define STEP(number, call) call
#endif
{table}

static void run_all(const float *weights, const float *image, float *output, float *arena, float *scratch) {{
    const Run r = {{weights, image, arena, scratch}};
{calls}
    for (int c = 0; c < {len(program.outputs)}; c++)
        memcpy(output + (long)c * {pixels}, arena + answer[c], sizeof(float) * {pixels});
}}
"""
