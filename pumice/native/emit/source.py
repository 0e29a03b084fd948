"""A whole program as C: functions for each kind of layer, then one function a layer with its addresses, then all."""

from dataclasses import dataclass
from importlib.resources import files

from pumice.native.emit.around import WINDOW
from pumice.native.emit.choice import Choice
from pumice.native.emit.operations import emit
from pumice.native.emit.writer import Writer, table
from pumice.native.expression import RARER, calls
from pumice.native.ir import Program, expressions
from pumice.native.plan import plan


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


def source(program: Program, choices: dict[int, Choice] | None = None) -> Source:
    """A program that has been through the passes, as C.

    choices: for some operations, by their place in the program; the rest go by a rule of thumb.
    """
    writer = Writer(program, plan(program), choices or {})
    for i, operation in enumerate(program.operations):
        lines = [f"/* {operation.path or type(operation).__name__} */"]
        emit(writer, i, operation, lines)
        body = "\n".join(f"    {line}" for line in lines)
        writer.bodies.append(f"static void op_{i}(const Run *r) {{\n{body}\n}}\n")
    answer = _answer(writer)
    package = files("pumice.native.emit")
    text = "\n".join(
        [
            (package / "functions.c").read_text(encoding="utf-8"),
            *((package / name).read_text(encoding="utf-8") for name in (["rarer.c"] if _rarer(program) else [])),
            WINDOW,
            (package / "others.c").read_text(encoding="utf-8"),
            *writer.functions,
            *writer.bodies,
            answer,
        ]
    )
    named = tuple((operation.path, type(operation).__name__) for operation in program.operations)
    return Source(text, writer.weights.tobytes(), writer.plan.total + writer.made, writer.scratch, named)


def _rarer(program: Program) -> bool:
    """Whether there is a function that most networks do not have."""
    every = (expression for operation in program.operations for expression in expressions(operation))
    return any(name in RARER for expression in every for name in calls(expression))


def _answer(writer: Writer) -> str:
    """The function that runs everything and copies the answer out."""
    program = writer.program
    size = program.sizes[int(program.outputs[0])]
    pixels = size[0] * size[1]
    calls = "\n".join(f"    STEP({i}, op_{i}(&r));" for i in range(len(program.operations)))
    addresses = table("answer", writer.places(program.outputs))
    return f"""
#ifndef STEP
#define STEP(number, call) call
#endif
{addresses}

static void run_all(const float *weights, const float *image, float *output, float *arena, float *scratch) {{
    const float *fixed = FIXED;
    OPAQUE(fixed);
    const Run r = {{weights, image, arena, scratch, fixed}};
{calls}
    for (int c = 0; c < {len(program.outputs)}; c++)
        memcpy(output + (long)c * {pixels}, arena + answer[c], sizeof(float) * {pixels});
}}
"""
