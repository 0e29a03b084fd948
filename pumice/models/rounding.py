"""Rounding of widths, as TensorFlow's slim library began it and most families do it."""


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of divisor, at least divisor, and never under 0.9 of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
