"""Rounding of widths, as TensorFlow's slim library began it and most families do it."""


def make_divisible(value: float, divisor: int = 8, *, keep: float = 0.9) -> int:
    """The nearest multiple of divisor, at least divisor, and never under `keep` of the value (FBNet: 0.95)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < keep * value else rounded
