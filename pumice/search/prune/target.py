"""What may remain of a network, as people write it: 50%, 20M, 3ms."""

import re
from dataclasses import dataclass

from pumice.cost.budget import NUMBER, parse_count, parse_latency
from pumice.errors import BadInput

PERCENT = re.compile(rf"\s*({NUMBER})\s*%\s*", re.ASCII)


@dataclass(frozen=True)
class Target:
    """One of them is set.

    share: of the network's multiply-adds that may remain, in (0, 1).  madds: at most so many.
    latency_ms: at most so long, by the upper end of its interval.
    """

    share: float | None = None
    madds: int | None = None
    latency_ms: float | None = None

    def allowed(self, madds: int) -> int:
        """Multiply-adds that a network of so many may keep.

        Raises:
            BadInput: it has no more than that already.
        """
        allowed = self.madds if self.madds is not None else int((self.share or 1.0) * madds)
        if allowed >= madds and self.latency_ms is None:
            raise BadInput(
                f"the network has {madds:,} multiply-adds and the target allows {allowed:,}, so there is nothing to "
                "prune; give a lower target"
            )
        return allowed


def read_target(target_madds: str | float | None, target_latency: str | float | None) -> Target:
    """`("50%", None)` or 0.5 -> half of the multiply-adds; `("20M", None)` or 20_000_000; `(None, "3ms")` or 3.0.

    Raises:
        BadInput: neither or both are given, or one cannot be read; the sentence shows a right example.
    """
    if (target_madds is None) == (target_latency is None):
        raise BadInput("give either a target of multiply-adds, as 50% or 20M, or a target of latency, as 3ms")
    if target_latency is not None:
        ms = parse_latency(target_latency) if isinstance(target_latency, str) else float(target_latency)
        if not 0 < ms < float("inf"):
            raise BadInput(f"a latency of {target_latency} ms cannot be had; give a number above zero")
        return Target(latency_ms=ms)
    assert target_madds is not None
    if isinstance(target_madds, str):
        found = PERCENT.fullmatch(target_madds)
        if found is None:
            if re.fullmatch(rf"\s*{NUMBER}\s*", target_madds):
                raise BadInput(f"target-madds {target_madds.strip()} has no unit; write 50%, or a count as 20M")
            return Target(madds=parse_count(target_madds, "target-madds"))
        share, said = float(found[1]) / 100, target_madds.strip()
    elif isinstance(target_madds, int):
        if target_madds < 1:
            raise BadInput(f"target-madds {target_madds} cannot remain of a network; give at least 1")
        return Target(madds=target_madds)
    else:
        share, said = float(target_madds), f"{100 * target_madds:g}%"
    if not 0 < share < 1:
        raise BadInput(f"target-madds {said} cannot remain of a network; give more than 0% and less than 100%")
    return Target(share=share)
