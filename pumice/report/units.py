"""Numbers as people read them.  Every function takes None for a figure that was not recorded and prints a dash."""

from collections.abc import Sequence

NOTHING = "–"


def milliseconds(value: float | None) -> str:
    """1.8349 -> '1.83 ms'."""
    return NOTHING if value is None else f"{significant(value)} ms"


def count(value: float | None) -> str:
    """21047984 -> '21.0 M'.  Counts below 10,000 are printed in full."""
    if value is None:
        return NOTHING
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size and abs(value) >= 1e4:
            return significant(value / size) + letter
    return f"{value:,.0f}"


def size(value: float | None) -> str:
    """3210000 bytes -> '3.21 MB'.  A megabyte is 1,000,000 bytes, as in budgets."""
    if value is None:
        return NOTHING
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= scale:
            return f"{significant(value / scale)} {unit}"
    return f"{value:.0f} B"


def percent(value: float | None) -> str:
    """0.91325 -> '91.3 %'."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """95 -> '1 min 35 s'."""
    if value is None:
        return NOTHING
    if value < 60:
        return f"{significant(value)} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def image_size(value: Sequence[int] | None) -> str:
    """[3, 128, 128] -> '3×128×128'."""
    return NOTHING if not value else "×".join(str(one) for one in value)


def side(value: Sequence[int] | None) -> str:
    """[3, 128, 128] -> '128', [3, 96, 128] -> '96×128': channels are left out, and the second of two equal sides."""
    sides = list(value or ())[1:]
    return NOTHING if not sides else str(sides[0]) if len(set(sides)) == 1 else "×".join(str(one) for one in sides)


def plain(value: float) -> str:
    """A number without needless digits: 0.002 -> '0.002', 3.0 -> '3'."""
    return f"{value:.6g}"


def significant(value: float) -> str:
    """Three significant digits, without an exponent."""
    magnitude = abs(value)
    digits = 0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2 if magnitude >= 0.9995 else 3
    return f"{value:,.{digits}f}"
