"""The innermost loops: a few outputs times a few vectors of pixels, all of them in registers.

One step of the loop reads a vector of each place and a weight of each output, and adds every product; nothing is stored
before the end.  The text is written out, without loops over outputs or vectors, so that no compiler has to unroll it.
"""

import numpy as np

OUTPUTS = 6
"""Most outputs of a tile: with two vectors each, 12 of 16 registers; with four, 24 of 32."""


def tile(name: str, outputs: int, rows: int, columns: int, *, linear: bool) -> str:
    """A function that adds up `outputs` channels over rows x columns vectors of pixels and stores them.

    Args:
        name: of the instance; the C functions NAME_after and tile NAME_OUTPUTSxROWSxCOLUMNS go together.
        linear: inputs lie `step` apart; else their places are in a list.
    """
    places = [(row, column) for row in range(rows) for column in range(columns)]
    sums = {(m, p): f"s{m}{'abcdefghijklmnop'[p]}" for m in range(outputs) for p in range(len(places))}
    lines = [
        f"INLINE void {name}_{outputs}x{rows}x{columns}(const Run *r, const Operands *a, const float *w,",
        f"        const float *b, const float *in, {'int step' if linear else 'const int32_t *off'}, int n, int row,",
        "        int column, const int32_t *to, int out_row, int o, int i) {",
    ]
    for m in range(outputs):
        first = sums[m, 0]
        lines.append(
            f"    V {first} = v_set(b[{m}])" + "".join(f", {sums[m, p]} = {first}" for p in range(1, len(places))) + ";"
        )
    lines.append(f"    for (int k = 0; k < n; k++, w += {outputs}{', in += step' if linear else ''}) {{")
    if not linear:
        lines.append("        const float *q = in + off[k];")
    source = "in" if linear else "q"
    for p, (row, column) in enumerate(places):
        lines.append(f"        const V x{p} = v_load({source}{_at(row, column, 'row')});")
    for m in range(outputs):
        lines.append(f"        const V w{m} = v_set(w[{m}]);")
        lines.append("        " + " ".join(f"{sums[m, p]} += w{m} * x{p};" for p in range(len(places))))
    lines.append("    }")
    results = [
        (m, _at(row, column, "out_row"), sums[m, p]) for m in range(outputs) for p, (row, column) in enumerate(places)
    ]
    lines += stored(name, outputs, results)
    unused = ["(void)row;", "(void)out_row;"] if rows == 1 else []
    unused += ["(void)column;"] if columns == 1 else []
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"


def stored(name: str, outputs: int, results: list[tuple[int, str, str]]) -> list[str]:
    """Statements that do what comes after a layer, and then store.

    results: which output, where beside its first pixel, and the sum's name.
    """
    lines = ["    BARRIER;"]
    lines += [f"    const V y{k} = {name}_after(r, a, {x}, o + {m}, i{at});" for k, (m, at, x) in enumerate(results)]
    lines += [f"    float *d{m} = r->arena + to[{m}] + i;" for m in range(outputs)]
    return lines + [f"    v_store(d{m}{at}, y{k});" for k, (m, at, _) in enumerate(results)]


def _at(row: int, column: int, step: str) -> str:
    parts = [f"{row} * {step}" if row > 1 else step] if row else []
    parts += [f"{column} * column" if column > 1 else "column"] if column else []
    return "".join(f" + {part}" for part in parts)


def blocks(outputs: int) -> tuple[int, int]:
    """Channels of a group shared out over tiles: the size of the first ones, and how many of those there are; the
    others are one smaller.
    """
    count = -(-outputs // OUTPUTS)
    size = -(-outputs // count)
    return size, outputs - count * (size - 1)


def shares(outputs: int) -> list[slice]:
    """The channels of each tile of a group."""
    size, many = blocks(outputs)
    ends = np.cumsum([size] * many + [size - 1] * (-(-outputs // OUTPUTS) - many)).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def tile_sizes(outputs: int) -> tuple[int, ...]:
    """The one or two sizes of a group's tiles, the larger one first."""
    size, many = blocks(outputs)
    return (size,) if many * size == outputs else (size, size - 1)
