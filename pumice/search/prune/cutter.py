"""From a network to the cut of it that lands just below a count or a latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import cut, masked
from pumice.graph.modules import tensors_in
from pumice.graph.records import Shape
from pumice.graph.trace import model_name, trace
from pumice.search.prune.choose import Choice, Chooser, Ranking
from pumice.search.prune.clock import Clock
from pumice.search.prune.counts import Counts
from pumice.search.prune.importance import Importance, scores
from pumice.search.prune.widths import menus

TRIES = 6  # cuts that are timed for a target of latency
NEAR = 0.97  # of a latency is near enough
RECOUNTS = 5
EXACT = 0.002  # of the multiply-adds: nearer need no cut be


@dataclass(frozen=True)
class Cut:
    """A network, the channels of each group that stayed where any went, and what it costs.

    madds: counted, not estimated.  timing: of a target of latency.
    """

    net: nn.Module
    kept: dict[str, list[int]]
    madds: int
    timing: Timing | None = None


class Cutter:
    """Of one network at one input size.

    squares: for Taylor importance, see `scores`.

    Raises:
        BadInput: nothing of the network can be cut; it says why.
    """

    def __init__(
        self,
        net: nn.Module,
        size: Shape,
        importance: Importance,
        ranking: Ranking,
        round_to: int,
        squares: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.net, self.size, self.name = net, size, model_name(net)
        self.graph = trace(net, size)
        self.groups = channel_groups(self.graph)
        free = [group for group in self.groups if not group.frozen]
        self.menus = menus(net, self.groups, scores(net, free, importance, squares), round_to)
        if not self.menus:
            raise BadInput(f"nothing of {self.name} can be pruned: {_reasons(self.groups)}")
        self.chooser = Chooser(self.menus, Counts(self.graph, self.groups), ranking)

    def to_count(self, allowed: int) -> Cut:
        """The cut with at most so many multiply-adds, as near as rounding allows.

        Raises:
            BadInput: the structure does not allow so few; the sentence names the fewest.
        """
        asked, found = allowed, None
        for _ in range(RECOUNTS):
            choice = self.chooser.below(asked)
            made, said = self._cut(choice), self.chooser.madds(choice)
            apart = said - made.madds
            if made.madds <= allowed:
                found = made if found is None or made.madds > found.madds else found
                if min(abs(apart), allowed - found.madds) <= EXACT * self.graph.madds:
                    break
            elif choice == self.chooser.least:
                break
            # Arithmetic does not see everything (attention, for one): as far as it erred, ask for that much else.
            asked = allowed + apart
        if found is not None:
            return found
        least = self._cut(self.chooser.least)
        if least.madds <= allowed:
            return least
        whole = self.graph.madds
        share = -(-1000 * least.madds // whole) / 10
        raise BadInput(
            f"{self.name} cannot be pruned to {allowed:,} of its {whole:,} multiply-adds; the fewest that its "
            f"structure allows are {least.madds:,}: give {share:g}% or more"
        )

    def to_latency(self, allowed_ms: float, clock: Clock, whole: Timing) -> Cut:
        """The cut whose bound is at most so many ms, as near as a few trials come.

        whole: of the network as it is.

        Raises:
            BadInput: none is so fast; the sentence names the fastest.
        """
        found: Cut | None = None
        slow = (self.graph.madds, whole.bound_ms[0])
        fast: tuple[int, float] | None = None
        for _ in range(TRIES):
            # Latency is nearly a straight line in multiply-adds between two nets of one shape.
            low_madds, low_ms = fast or (0, 0.0)
            aim = (0.98 * allowed_ms - low_ms) / max(slow[1] - low_ms, 1e-9)
            allowed = int(low_madds + min(max(aim, 0.05), 0.95) * (slow[0] - low_madds))
            least = self.chooser.madds(self.chooser.least) >= allowed
            made = self._timed(self._cut(self.chooser.least if least else self.chooser.below(allowed)), clock)
            assert made.timing is not None
            bound = made.timing.bound_ms[0]
            if bound <= allowed_ms:
                if found is None or made.madds > found.madds:
                    found, fast = made, (made.madds, bound)
                if bound >= NEAR * allowed_ms:
                    break
            elif least:
                raise BadInput(
                    f"{self.name} cannot be pruned to {allowed_ms:.4g} ms; the fastest that its structure allows takes "
                    f"at most {made.timing.bound_words}: give that or more"
                )
            else:
                slow = (made.madds, bound)
            if fast is not None and slow[0] - fast[0] < 0.01 * self.graph.madds:
                break
        if found is None:
            return self._least_in_time(allowed_ms, clock)
        return found

    def _least_in_time(self, allowed_ms: float, clock: Clock) -> Cut:
        made = self._timed(self._cut(self.chooser.least), clock)
        assert made.timing is not None
        if made.timing.bound_ms[0] > allowed_ms:
            raise BadInput(
                f"{self.name} cannot be pruned to {allowed_ms:.4g} ms; the fastest that its structure allows takes at "
                f"most {made.timing.bound_words}: give that or more"
            )
        return made

    def _timed(self, made: Cut, clock: Clock) -> Cut:
        channels, height, width = self.size
        timing = clock.timing(made.net, (channels, height, width), self.name)
        return Cut(made.net, made.kept, made.madds, timing)

    def _cut(self, choice: Choice) -> Cut:
        kept = self.chooser.kept(choice)
        small = cut(self.net, self.groups, kept)
        return Cut(small, kept, trace(small, self.size, name=self.name).madds)

    def difference(self, made: Cut, seed: int = 0) -> tuple[float, float]:
        """Between a cut network and the masked one: largest absolute difference of outputs on random images, and as a
        share of the largest output."""
        hidden = masked(self.net, self.groups, made.kept).eval()
        parameter = next(self.net.parameters())
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn((2, *self.size), generator=generator).to(parameter)
        was = self.net.training
        with torch.inference_mode():
            ours, theirs = (list(tensors_in(one.eval()(images))) for one in (made.net, hidden))
        self.net.train(was)
        apart = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
        largest = max(float(b.abs().max()) for b in theirs)
        return apart, apart / largest if largest else apart


def _reasons(groups: Sequence[Group]) -> str:
    said = dict.fromkeys(group.frozen for group in groups if group.frozen)
    few = list(said)[:3]
    return "; ".join(few) + (f" and {len(said) - 3} more reasons" if len(said) > 3 else "") or "it has no channels"
