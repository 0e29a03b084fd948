"""`prune`: a network that loses its least important channels until it keeps a target.

pruned, result = prune(model, target_madds="50%")
pruned, result = prune(model, target_latency="3ms", tuning=Tuning(splits, config), policy="iterative")
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from torch import nn

from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.graph.inputs import input_size_of
from pumice.graph.records import Shape
from pumice.models.build import become, rebuild
from pumice.models.described import config_of
from pumice.models.narrow import follow_classifier, widths_of
from pumice.search.prune.choose import Ranking
from pumice.search.prune.clock import Clock, clock_for
from pumice.search.prune.cutter import Cut, Cutter
from pumice.search.prune.importance import Importance, check_importance
from pumice.search.prune.result import Pruned, Step, composed
from pumice.search.prune.target import Target, read_target
from pumice.search.prune.tune import Tuning
from pumice.train.config import TrainConfig
from pumice.train.open import open_for

Policy = Literal["one_shot", "iterative"]
STEPS = 4  # of the iterative policy


def prune(
    model: nn.Module,
    *,
    target_madds: str | float | None = None,
    target_latency: str | float | None = None,
    input_size: Shape | None = None,
    importance: Importance = "l2",
    ranking: Ranking = "uniform",
    policy: Policy = "one_shot",
    round_to: int = 8,
    tuning: Tuning | TrainConfig | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    lut: str | None = None,
    trained: bool = True,
    say: Callable[[str], None] | None = None,
) -> tuple[nn.Module, Pruned]:
    """A copy of a network without its least important channels, in evaluation mode; the model stays as it is.

    Args:
        model: any network of one image tensor: of `create_model`, or a user's own.
        target_madds: what may remain of the multiply-adds, at most: "50%" or 0.5, "20M" or 20_000_000.
        target_latency: upper bound of the latency of one image: "3ms", or ms.
        input_size: (C, H, W); None takes what the model declares.
        importance: "l1", "l2", "bn" or "taylor", see `pumice.search.prune.importance`; Taylor needs `tuning`.
        ranking: "uniform" takes the same share from every group, "global" the least important channels of all.
        policy: "one_shot" cuts once; "iterative" in four steps, each judged and tuned anew.
        round_to: channels that stay are a multiple of this, where a group has room; 1 leaves any number.
        tuning: images and how to train on them, or a configuration that names its data; without, weights stay as they
            were.
        runtime, threads: that a target of latency is for; onnxruntime and 1 by default, or those of the table.
        lut: a lookup table that predicts the latency of another device, instead of measuring here.
        trained: whether the model knows the classes of the images already, so that its accuracy means something.
        say: told of every step in a sentence.

    Returns:
        the network, whose `config` says how it is narrower where the model had one, and what was done.

    Raises:
        BadInput: a target, option or network that cannot work; of a target out of reach, it names the nearest.
    """
    check_importance(importance)
    for given, known, what in ((ranking, Ranking, "ranking"), (policy, Policy, "policy")):
        if given not in get_args(known):
            raise BadInput(f"{what} {given!r} is unknown; choose {' or '.join(get_args(known))}")
    if round_to < 1:
        raise BadInput(f"round_to {round_to} is impossible; give 1 or more")
    if importance == "taylor" and tuning is None:
        raise BadInput("taylor importance needs images to learn from; give data, or choose l1, l2 or bn")
    if isinstance(tuning, TrainConfig):
        tuning = Tuning(open_for(tuning), tuning)
    target = read_target(target_madds, target_latency)
    clock = clock_for(lut, runtime, threads) if target.latency_ms is not None else None
    size = input_size_of(model) if input_size is None else tuple(input_size)
    tell = say or (lambda sentence: None)

    images = tuning

    def cutter(net: nn.Module) -> Cutter:
        squares = images.squares(net) if images is not None and importance == "taylor" else None
        return Cutter(net, size, importance, ranking, round_to, squares)

    first = cutter(model)
    course = _Course(first, target, clock)
    before = None if tuning is None or not trained else tuning.accuracy(model).top1
    count = STEPS if policy == "iterative" else 1
    net, kept, steps, history = model, dict[str, list[int]](), list[Step](), list[dict[str, float]]()
    for i in range(count):
        now = first if i == 0 else cutter(net)
        made = course.step(now, (i + 1) / count)
        apart, relative = now.difference(made)
        net, kept = made.net.eval(), composed(kept, made.kept)
        describe_cut(net, model)
        params = sum(p.numel() for p in net.parameters())
        step = Step(made.madds, params, apart, relative)
        if tuning is not None:
            step = _tuned(net, step, tuning, i, count, history)
        steps.append(step)
        tell(step.sentence(first.graph.madds))
    return net.eval(), Pruned(
        name=first.name,
        input_size=size,
        madds_before=first.graph.madds,
        params_before=sum(p.numel() for p in model.parameters()),
        steps=tuple(steps),
        groups={group.name: group.channels for group in first.groups},
        kept=kept,
        frozen={group.name: group.frozen for group in first.groups if group.frozen},
        accuracy_before=before,
        latency_before=course.whole,
        latency_after=course.latest,
        history=history,
    )


class _Course:
    """From the whole network to the target, in steps of equal ratio."""

    def __init__(self, first: Cutter, target: Target, clock: Clock | None) -> None:
        self.madds, self.clock, self.latency_ms = first.graph.madds, clock, target.latency_ms
        self.whole: Timing | None = None
        self.latest: Timing | None = None
        if clock is None:
            self.allowed = target.allowed(self.madds)
            return
        channels, height, width = first.size
        self.whole = self.latest = clock.timing(first.net, (channels, height, width), first.name)
        assert self.latency_ms is not None
        if self.whole.bound_ms[0] <= self.latency_ms:
            raise BadInput(
                f"{first.name} takes at most {self.whole.bound_words} already, within {self.latency_ms:.4g} ms, so "
                "there is nothing to prune; give a lower target"
            )

    def step(self, cutter: Cutter, share: float) -> Cut:
        """The cut that is this share of the way, 1 the target."""
        if self.clock is None:
            return cutter.to_count(int(self.madds * (self.allowed / self.madds) ** share + 1e-6))
        assert self.whole is not None
        assert self.latest is not None
        assert self.latency_ms is not None
        start = self.whole.bound_ms[0]
        made = cutter.to_latency(start * (self.latency_ms / start) ** share, self.clock, self.latest)
        self.latest = made.timing
        return made


def describe_cut(net: nn.Module, model: nn.Module) -> None:
    """Let the config of a network that was cut, from one of `create_model`, say how it is narrower, in place."""
    config = config_of(model)
    if config is None:
        return
    full = rebuild(replace(config, widths={})) if config.widths else model
    follow_classifier(net, model)
    become(net, widths_of(net, full))


def _tuned(net: nn.Module, step: Step, tuning: Tuning, place: int, count: int, history: list[dict[str, float]]) -> Step:
    """Restate and train a network in place for its part of the epochs; the rows join the history."""
    tuning.restate(net)
    cut_top1 = tuning.accuracy(net).top1
    part = tuning.length * (place + 1) // count - tuning.length * place // count
    if part == 0:
        return replace(step, accuracy_cut=cut_top1, accuracy=cut_top1)
    done = len(history)
    history += [{**row, "epoch": done + n + 1} for n, row in enumerate(tuning.train(net, part))]
    return replace(step, accuracy_cut=cut_top1, accuracy=tuning.accuracy(net).top1)
