"""The search itself: step after step until the price keeps the goal, then corrections by measuring."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from pumice.cost.budget import write_limit
from pumice.data.order import mix
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.channels import Group, channel_groups
from pumice.graph.cut import Kept, cut
from pumice.graph.records import Graph
from pumice.graph.resized import Resized
from pumice.graph.trace import model_name, trace
from pumice.models.build import become, rebuild
from pumice.models.checkpoint import load_checkpoint
from pumice.models.described import config_of
from pumice.models.narrow import follow_classifier, widths_of
from pumice.progress import track
from pumice.search.netadapt.aim import SLACK, goal_between
from pumice.search.netadapt.prices import Prices, violations
from pumice.search.netadapt.propose import Judged, Proposal, proposals, take
from pumice.search.netadapt.record import NARROWEST, SEED, Measured, Record, Step
from pumice.search.netadapt.settings import Settings
from pumice.search.netadapt.tune import Tuner, draw_anew
from pumice.search.netadapt.widths import chosen, free, kind_of, narrowed, narrower, possible, smallest, strongest

CORRECTIONS = 8
HALVED = 3  # times that a step is halved where no group alone saves so much; then widths are rounded less
Size = tuple[int, int, int]
Beside = Callable[[nn.Module, nn.Module], tuple[float, float, bool]]
"""Measures (the seed, another net): ms of the other, ms of the seed in the same series, whether the machine is busy."""


@dataclass
class Search:
    """One search; its `record` is all that it remembers.

    size: (C, H, W) that nets read.  target: as people gave it, in `unit`, which is ms where nets are measured.
    violation: what each violation of a guideline counts as when proposals are compared, as a share of the seed's cost.
    beside: None where nothing can be measured.
    """

    record: Record
    size: Size
    prices: Prices
    tuner: Tuner
    settings: Settings
    target: float
    unit: str
    violation: float = 0.0
    beside: Beside | None = None
    _full: nn.Module | None = None  # the net of that name, uncut

    def check(self, net: nn.Module) -> None:
        """See that the search can come to something, before training anything; measure the seed and the narrowest net.

        Between the two, latency is taken for a straight line of the prices: a table may be far off for so small nets.

        Raises:
            BadInput: no group can be shrunk, or the net keeps the target already, or none narrower than it does.
        """
        name, groups = model_name(net), channel_groups(trace(net, self.size))
        if not free(groups):
            raise BadInput(f"no channel group of {name} can be narrowed, so netadapt has nothing to do with it")
        cost = self._price(net, groups)
        narrowest, least = self._narrowest(net, groups)
        if self.beside is not None and not self.record.measured:
            ms, _, busy = self.beside(net, net)
            self.record.measured.append(Measured(SEED, cost, ms, ms, ms, self.target * cost / ms, busy))
            if narrowest is not None and ms > self.target:
                if least >= cost:
                    raise BadInput(
                        f"by this table {name} is slower the narrower it is, so it knows too little of such; leave "
                        "--lut out, or make a table of its cuts with `pumice lut build --network`"
                    )
                self._add(NARROWEST, least, narrowest, net)
        if self.record.measured:
            cost = self.record.measured[0].scaled_ms
            least = self.record.measured[1].scaled_ms if len(self.record.measured) > 1 else 0.0
        if cost <= self.target:
            takes = write_limit(cost, self.unit, up=False)
            raise BadInput(f"{name} takes {takes} {self.unit}, which keeps the target; give a lower one")
        if least > self.target:
            raise BadInput(
                f"{name} cannot be narrowed to {write_limit(self.target, self.unit, up=False)} {self.unit}; the "
                f"narrowest that it can become takes {write_limit(least, self.unit)}: raise the target to that"
            )

    def _narrowest(self, net: nn.Module, groups: Sequence[Group]) -> tuple[nn.Module | None, float]:
        """The net with as few channels as can be, and its price; None and 0 where parts of all such nets are empty."""
        for share in (0.0, 0.125, 0.25, 0.5):
            try:
                each = {g.name: max(1, int(share * smallest(g))) * len(g.cells) for g in free(groups)}
                kept = {g.name: strongest(g, net, each[g.name]) for g in free(groups)}
                narrowest = cut(net, groups, kept)
                return narrowest, self._price(narrowest, groups, kept)
            except BadInput:
                continue
        return None, 0.0

    def begin(self, net: nn.Module) -> None:
        """Record the trained seed."""
        graph = trace(net, self.size)
        groups = channel_groups(graph)
        cost, self.record.unit = self._price(net, groups), self.prices.unit
        kept = {g.name: tuple(range(g.channels)) for g in free(groups)}
        seed = Step(SEED, SEED, kept, None, cost, graph.madds, graph.params, self.tuner.accuracy(net))
        self.record.add(seed, net, self.tuner.splits.classes)

    def run(self) -> Step:
        """The net that keeps the target; a search that was stopped goes on where it was.

        Raises:
            BadInput: no proposal goes on before the target is reached.
        """
        while self.record.best is None:
            last, goal = self._last(), self._goal()
            if last.cost > goal and len(self.record.steps) <= self.settings.max_steps:
                self._advance(last, goal)
            elif last.cost > goal or self.beside is None:
                self._settle(last)
            else:
                self._measure(last)
        return self.record.steps[self.record.best]

    # Steps.

    def _advance(self, parent: Step, goal: float) -> None:
        """Take the next step from `parent`."""
        began = time.monotonic()
        number = len(self.record.steps)
        net = self._net(parent)
        groups = {g.name: g for g in channel_groups(trace(net, self.size))}
        limit = max(goal, parent.cost - self.settings.share(self._depth(parent)) * self.record.steps[SEED].cost)
        limit, offered = self._offers(parent, net, groups, limit)
        known = self.record.judged(offered)
        for proposal in track(offered[len(known) :], f"step {number}: {parent.cost:.4g} {self.prices.unit}, proposals"):
            one, small = self._judge(net, groups, proposal, number)
            known = [*known, one]
            self.record.note(known, small if self._taken(known, parent) is one else None)
        best = self._taken(known, parent)
        group = groups[best.proposal.group]
        small, _ = load_checkpoint(self.record.winner)
        counted = trace(small, self.size)
        self.record.add(
            Step(
                number=number,
                parent=parent.number,
                kept=chosen(parent.kept, group.name, strongest(group, net, best.proposal.width)),
                limit=limit,
                cost=best.proposal.cost,
                madds=counted.madds,
                params=counted.params,
                accuracy=best.accuracy,
                group=group.name,
                kind=kind_of(group, net),
                before=group.channels,
                width=best.proposal.width,
                proposals=tuple(self._line(one, groups, net) for one in known),
                penalty=best.proposal.penalty,
                seconds=round(time.monotonic() - began, 3),
            ),
            small,
            self.tuner.splits.classes,
        )

    def _offers(
        self, parent: Step, net: nn.Module, groups: dict[str, Group], limit: float
    ) -> tuple[float, list[Proposal]]:
        """The cost that a step keeps, and its proposals; a smaller step where no group alone saves a whole one."""
        round_to = self.settings.round_to
        if self._corrections():  # they are small
            round_to = max(1, round_to >> self._corrections())
        still = folded(net, self.size)
        while True:
            # Where a cut has tied channels anew, the group of that name is another one and stays as it is.
            same = [g for name, kept in parent.kept.items() if (g := groups.get(name)) and g.channels == len(kept)]
            options = {group.name: narrower(group, round_to) for group in free(same)}
            sizes = Resized(still, self.size, options, lambda name, width: strongest(groups[name], net, width))
            price = partial(self.prices.of, at=sizes.at)
            for kept in (parent.cost - (parent.cost - limit) / 2**halved for halved in range(HALVED + 1)):
                found = proposals(sizes.widths, options, price, kept)
                found = [one for one in found if possible(net, groups, one.group, one.width)]
                if found and self.violation:
                    found = [replace(p, penalty=self._penalty(sizes.at({p.group: p.width}))) for p in found]
                if found:
                    return kept, found
            if round_to == 1:
                raise BadInput(
                    f"at step {len(self.record.steps)} no channel group alone takes off {1 / 2**HALVED:.0%} of what "
                    "the step asks; raise the target"
                )
            round_to //= 2

    def _judge(
        self, net: nn.Module, groups: dict[str, Group], proposal: Proposal, number: int
    ) -> tuple[Judged, nn.Module]:
        began = time.monotonic()
        small = narrowed(net, groups, proposal.group, proposal.width)
        config = config_of(net)
        assert config is not None
        if self.settings.new_weights == "random":
            draw_anew(small, net, mix(self.tuner.config.seed, number, 2) & 0xFFFFFFFF)
        follow_classifier(small, net)
        if self._full is None:
            self._full = rebuild(replace(config, widths={}))
        become(small, widths_of(small, self._full))
        self.tuner.estimate(small, number)
        before = self.tuner.accuracy(small)
        after = self.tuner.tune(small, number)
        return Judged(proposal, after, before, round(time.monotonic() - began, 3)), small

    def _taken(self, judged: Sequence[Judged], parent: Step) -> Judged:
        return take(judged, parent.accuracy, parent.cost, self.settings.rule, parent.penalty)

    def _line(self, one: Judged, groups: dict[str, Group], net: nn.Module) -> dict[str, object]:
        group = groups[one.proposal.group]
        return {
            "group": group.name,
            "kind": kind_of(group, net),
            "before": group.channels,
            "width": one.proposal.width,
            "cost": one.proposal.cost,
            "accuracy_cut": one.before,
            "accuracy": one.accuracy,
            "seconds": one.seconds,
            **({"penalty": one.proposal.penalty} if self.violation else {}),
        }

    # Measuring.

    def _measure(self, step: Step) -> None:
        """Measure a net that keeps the goal; settle on it, or correct the goal and go on."""
        scaled = self._add(step.number, step.cost, self._net(step), self._net(self.record.steps[SEED]))
        self.record.write()
        if self._keeps(scaled) or self._corrections() > CORRECTIONS:
            self._settle(step)

    def _add(self, number: int, cost: float, net: nn.Module, seed: nn.Module) -> float:
        """Measure a net beside the seed; ms at the seed's first pace."""
        assert self.beside is not None
        ms, seed_ms, busy = self.beside(seed, net)
        scaled = ms * self.record.measured[0].ms / seed_ms
        known = [(one.cost, one.scaled_ms) for one in self.record.measured]
        goal = goal_between([*known, (cost, scaled)], self.target)
        self.record.measured.append(Measured(number, cost, ms, seed_ms, scaled, goal, busy))
        return scaled

    def _corrections(self) -> int:
        """How many nets of steps were measured."""
        return sum(one.number > SEED for one in self.record.measured)

    def _keeps(self, ms: float) -> bool:
        return (1 - SLACK) * self.target <= ms <= self.target

    def _settle(self, step: Step) -> None:
        """End: with the measured net that is nearest below the target; with `step` where none is, or none was."""
        within = [one for one in self.record.measured if one.number > SEED and one.scaled_ms <= self.target]
        best = max(within, key=lambda one: one.scaled_ms, default=None)
        self.record.best = step.number if best is None else best.number
        self.record.write()

    def within(self, step: Step) -> bool:
        """Whether a net keeps the target."""
        measured = [one.scaled_ms for one in self.record.measured if one.number == step.number]
        return measured[-1] <= self.target if measured else step.cost <= self._goal()

    def _goal(self) -> float:
        """What a net may cost by the prices now."""
        return self.record.measured[-1].goal if self.record.measured else self.target

    def _last(self) -> Step:
        """The net to go on from: the last, or the latest before it that is not too quick by what was measured."""
        step = self.record.steps[-1]
        measured = self.record.measured[-1] if self.record.measured else None
        if measured is not None and measured.number == step.number and measured.scaled_ms < self.target:
            while step.number != SEED and step.cost <= measured.goal:
                step = self.record.steps[step.parent]
        return step

    # Small questions.

    def _depth(self, step: Step) -> int:
        """Steps from the seed to a net."""
        depth = 0
        while step.number != SEED:
            step, depth = self.record.steps[step.parent], depth + 1
        return depth

    def _net(self, step: Step) -> nn.Module:
        return load_checkpoint(self.record.weights(step.number))[0]

    def _price(self, net: nn.Module, groups: Sequence[Group], kept: Kept | None = None) -> float:
        """What a net costs as it is.

        groups, kept: of it; or of the net that it was cut from, and what stayed.
        """
        graph = trace(folded(net, self.size), self.size)
        widths = {g.name: len((kept or {}).get(g.name, range(g.channels))) for g in groups}
        return self.prices.of([widths], lambda _: graph)[0]

    def _penalty(self, graph: Graph) -> float:
        return self.violation * self.record.steps[SEED].cost * violations(graph)
