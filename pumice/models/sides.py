"""Which sizes of input a network takes."""

from dataclasses import dataclass

from pumice.errors import BadInput


@dataclass(frozen=True)
class Sides:
    """Limits on height and width, pixels.

    multiple: both sides are multiples of it.  least, most: the range of both; most None is no limit.
    """

    multiple: int = 1
    least: int = 1
    most: int | None = None

    def allow(self, height: int, width: int) -> bool:
        """Whether an image of that size fits."""
        most = max(height, width) if self.most is None else self.most
        return all(side % self.multiple == 0 and self.least <= side <= most for side in (height, width))

    def check(self, height: int, width: int) -> None:
        """
        Raises:
            BadInput: an image of that size does not fit.
        """
        if not self.allow(height, width):
            raise BadInput(f"this net takes images whose sides are {self}, not {height} x {width}; resize or pad them")

    def __str__(self) -> str:
        upper = "" if self.most is None else f" to {self.most}"
        span = f"from {self.least}{upper} pixels"
        return span if self.multiple == 1 else f"multiples of {self.multiple} {span}"


ANY = Sides()
