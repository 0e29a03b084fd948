"""Programs drawn from a seed: many layers of all kinds, each of whose results is part of the answer.

One program holds many layers because starting a compiler costs more than compiling a layer.  A layer reads planes of
the image, or of any layer before it, in any order and with repeats.
"""

from dataclasses import dataclass
from random import Random

import numpy as np

from pumice.native.emit.choice import Choice
from pumice.native.expression import Call, Const, Expression, Read
from pumice.native.ir import Program, Size, Taps
from tests.native.programs import RESULT, Draft, Planes

ONE = (1, 1)
POINTS = ("relu", "hardsigmoid", "hardswish", "sigmoid", "silu", "tanh", "abs", "neg")


@dataclass
class Drawn:
    """A program, choices for some of its layers, and for each layer what it is and which part of the answer it made."""

    program: Program
    choices: dict[int, Choice]
    layers: list[tuple[str, slice]]

    def __repr__(self) -> str:
        return f"program of {self.program.sizes[0]}: {', '.join(said for said, _ in self.layers)}"


class _Drawing:
    def __init__(self, seed: int, kinds: tuple[str, ...]) -> None:
        self.chance, self.kinds = Random(seed), kinds
        size = (self.chance.randint(1, 9), self.chance.randint(1, self.chance.choice((9, 40))))
        self.draft = Draft(self.chance.randint(1, 8), size if size != ONE else (1, 2), seed=seed)
        self.pools: dict[Size, list[Planes]] = {}
        self.choices: dict[int, Choice] = {}
        self.layers: list[tuple[str, slice]] = []
        self.answer: list[Planes] = []
        self.numbers = 0

    def planes(self, size: Size, count: int) -> Planes:
        """Some of what there is: together as one layer made them, or from here and there."""
        pool = self.pools[size]
        whole = [planes for planes in pool if len(planes) == count]
        if whole and self.chance.random() < 0.5:
            return self.chance.choice(whole)
        every = np.concatenate(pool)
        return self.draft.random.choice(every, count)

    def image(self) -> Size:
        """The size of images that a layer reads."""
        return self.chance.choice(sorted(size for size in self.pools if size != ONE))

    def each(self, count: int) -> Const:
        if self.chance.random() < 0.5:
            return Const(self.chance.choice([-1.5, 0.0, 0.25, 3.0]))
        return Const(self.draft.normal(count))

    def then(self, value: Expression, size: Size, count: int) -> Expression:
        """What is done to a value of `count` planes: none to three things."""
        kinds = ["none", "point", "clamp", "each"]
        kinds += [kind for kind, pool in (("residual", size), ("gate", ONE)) if pool in self.pools]
        for kind in self.chance.choices(kinds, k=self.chance.randint(0, 3)):
            if kind == "point":
                value = Call(self.chance.choice(POINTS), (value,))
            elif kind == "clamp":
                value = Call("min", (Call("max", (value, Const(-0.5))), Const(1.5)))
            elif kind == "each":
                scaled = Call(self.chance.choice(["mul", "sub"]), (value, self.each(count)))
                value = Call("add", (scaled, self.each(count)))
            elif kind == "residual":
                value = Call(self.chance.choice(["add", "max"]), (Read(self.planes(size, count)), value))
            elif kind == "gate":
                gate = Call("sigmoid", (Read(self.planes(ONE, count)),))
                value = Call("mul", (value, gate))
        return value

    def made(self, said: str, planes: Planes) -> None:
        """Part of the answer, and there for later layers."""
        size = self.draft.size_of(planes)
        self.pools.setdefault(size, []).append(planes)
        spread = planes if size == ONE else self.draft.spread(planes)
        self.layers.append((said, slice(self.numbers, self.numbers + len(spread))))
        self.numbers += len(spread)
        self.answer.append(spread)

    def conv(self, kind: str) -> None:
        draft, chance = self.draft, self.chance
        from_image = kind != "squares" and chance.random() < 0.5
        size = draft.size if from_image else self.image()
        if kind == "pointwise":
            kernel, stride, dilation, padding, more = ONE, ONE, ONE, (0, 0), (0, 0)
        else:
            kernel = chance.choice([(3, 3), (2, 2), (5, 5), (1, 3), (3, 1), (1, 5), (4, 1), (1, 1), (3, 2), (1, 7)])
            stride = chance.choice([ONE, ONE, (2, 2), (2, 2), (1, 2), (2, 1), (3, 3), (1, 4)])
            dilation = chance.choice([ONE, ONE, ONE, (2, 2), (1, 3), (3, 2)])
            if kind == "squares":
                kernel, stride, dilation = (3, 3), ONE, ONE
            reach = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
            padding = (chance.randint(0, reach[0] - 1), chance.randint(0, reach[1] - 1))
            if chance.random() < 0.1:
                padding = (padding[0], 24)  # as zeros around an image that became part of the convolution
            # Enough at the end for one window at least.
            least = [max(reach[i] - size[i] - 2 * padding[i], -padding[i]) for i in range(2)]
            more = (
                chance.randint(least[0], max(least[0], reach[0] - 1)),
                chance.randint(least[1], max(least[1], reach[1] - 1)),
            )
        per_in, per_out = chance.randint(1, 9), chance.randint(1, 20)
        groups = chance.randint(1, 6)
        if kind == "depthwise":
            per_in, per_out, groups = 1, chance.randint(1, 2), chance.randint(1, 12)
        elif kind == "dense":
            groups = 1
        if from_image:
            # As the image lies, some of it, or some of it twice: it is read where it is.
            inputs = draft.random.choice(draft.image, per_in * groups)
        else:
            inputs = self.planes(size, per_in * groups)
        place = len(draft.operations)
        before: Expression = RESULT
        if chance.randint(0, 2) == 0:
            scaled = Call("add", (Call("mul", (RESULT, self.each(len(inputs)))), self.each(len(inputs))))
            before = Call(chance.choice(["relu", "hardswish"]), (scaled,))
            if ONE in self.pools and chance.random() < 0.5:
                before = Call("mul", (before, Read(self.planes(ONE, len(inputs)))))
        count = per_out * groups
        if kind == "squares" or chance.randint(0, 2) == 0:
            self.choices[place] = Choice(chance.choice([64, 1000, 48 * 1024]), squares=kind == "squares")
        outputs = draft.conv(
            inputs,
            count,
            kernel,
            groups=groups,
            stride=stride,
            padding=padding,
            dilation=dilation,
            more=more,
            before=before,
            after=lambda out: self.then(RESULT, out, count),
        )
        where = "of the image" if from_image else ""
        choice = self.choices.get(place, "")
        self.made(
            f"{kind} {where} {kernel} {size} -> {draft.size_of(outputs)}, groups {groups} of {per_in} -> {per_out}, "
            f"stride {stride}, padding {padding} {more}, dilation {dilation}, before {_said(before)}, "
            f"after {_said(draft.operations[place].after)} {choice}",  # type: ignore[union-attr]
            outputs,
        )

    def max_pool(self) -> None:
        size, chance = self.image(), self.chance
        kernel = (chance.randint(1, min(3, size[0])), chance.randint(1, min(3, size[1])))
        stride = (chance.randint(1, 3), chance.randint(1, 3))
        padding = (chance.randint(0, kernel[0] // 2), chance.randint(0, kernel[1] // 2))
        count = chance.randint(1, 5)
        outputs = self.draft.max_pool(
            self.planes(size, count), kernel, stride, padding, after=lambda out: self.then(RESULT, out, count)
        )
        self.made(f"max pool {kernel} of {size}: stride {stride}, padding {padding}", outputs)

    def taps(self, length: int) -> Taps:
        """Rows as they are, copies of rows in any order, or sums of several."""
        count, high = self.chance.randint(1, 2 * length), self.chance.randint(1, min(3, length))
        kind = self.chance.choice(["stay", "copy", "sum"])
        if kind == "stay":
            return Taps(np.arange(min(count, length))[:, None], np.ones((min(count, length), 1), np.float32))
        high = 1 if kind == "copy" else high
        first = self.draft.random.integers(0, length - high + 1, count)
        weights = self.draft.normal(count, high) if kind == "sum" else np.ones((count, 1), np.float32)
        return Taps(first[:, None] + np.arange(high), weights)

    def resample(self) -> None:
        size, count = self.image(), self.chance.randint(1, 5)
        taps = [self.taps(length) for length in size]
        outputs = self.draft.resample(
            self.planes(size, count), taps[0], taps[1], after=lambda out: self.then(RESULT, out, count)
        )
        said = " by ".join(str(part.places.shape) for part in taps)
        self.made(f"resample {size} by {said} taps", outputs)

    def weave(self) -> None:
        size, count, chance = self.image(), self.chance.randint(1, 4), self.chance
        factor = (chance.randint(1, 3), chance.randint(1, 3))
        made = (size[0] * factor[0] - chance.randint(0, 1), size[1] * factor[1] - chance.randint(0, 2))
        made = (max(made[0], 1), max(made[1], 2))
        if made[1] > size[1] * factor[1]:
            made = (made[0], size[1] * factor[1])
        planes = self.planes(size, count * factor[0] * factor[1])
        outputs = self.draft.weave(planes, factor, made, after=lambda out: self.then(RESULT, out, count))
        self.made(f"weave {size} by {factor} -> {made}", outputs)

    def mean(self) -> None:
        count, size = self.chance.randint(1, 20), self.image()
        inputs = self.planes(size, count)
        self.made(f"mean of {size}", self.draft.mean(inputs, self.then(RESULT, ONE, count)))

    def linear(self) -> None:
        count, inputs = self.chance.randint(1, 70), self.chance.randint(1, 40)
        if ONE not in self.pools:
            self.mean()
        read = self.planes(ONE, inputs)
        self.made(f"linear {inputs} -> {count}", self.draft.linear(read, count, self.then(RESULT, ONE, count)))

    def map(self) -> None:
        size = self.chance.choice(sorted(self.pools))
        count = self.chance.randint(1, 9)
        start: Expression = Read(self.planes(size, count))
        value = self.then(start, size, count)
        self.made(f"map of {size}: {_said(value)}", self.draft.map(value, count, size))

    def whole(self) -> Drawn:
        draft = self.draft
        copies = draft.conv(draft.image, len(draft.image) + 3, after=RESULT)
        self.made("first", copies)
        for kind in self.chance.sample(self.kinds, len(self.kinds)):
            if kind in ("pointwise", "dense", "depthwise", "grouped", "squares"):
                self.conv(kind)
            else:
                getattr(self, kind)()
        return Drawn(draft.program(np.concatenate(self.answer)), self.choices, self.layers)


def _said(expression: Expression) -> str:
    if isinstance(expression, Call):
        return f"{expression.name}({', '.join(_said(one) for one in expression.args)})"
    if isinstance(expression, Const):
        return str(expression.value) if isinstance(expression.value, float) else "each"
    return "read" if isinstance(expression, Read) else "x"


KINDS = (
    *("dense", "pointwise", "depthwise", "grouped", "pointwise", "dense", "squares", "depthwise", "squares"),
    *("max_pool", "mean", "linear", "map", "max_pool", "resample", "weave"),
)


def drawn(seed: int, kinds: tuple[str, ...] = KINDS) -> Drawn:
    """A program with layers of these kinds, in any order."""
    return _Drawing(seed, kinds).whole()
