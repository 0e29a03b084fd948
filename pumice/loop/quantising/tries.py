"""Makes, judges and times attempts beside the float files."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.cost.timing import Timing
from pumice.deploy.formats import FORMATS
from pumice.deploy.schemes.quantise import quantise
from pumice.deploy.schemes.sensitivity import sensitive_layers
from pumice.errors import BadInput, CheckFailed
from pumice.loop.quantising.attempt import Attempt
from pumice.loop.quantising.drop import drop_between
from pumice.loop.quantising.floats import Floats, meant_for
from pumice.loop.quantising.qat import EPOCHS, tuned
from pumice.loop.quantising.source import Source
from pumice.loop.quantising.speed import Item, speeds, time_items


class Tries:
    """All that attempts have in common.

    folder: where files are written.  tried: all attempts so far.  epochs, seed: of tuning.
    """

    def __init__(
        self,
        source: Source,
        floats: Floats,
        folder: Path,
        *,
        threads: int,
        max_drop: float,
        say: Callable[[str], None],
        epochs: int = EPOCHS,
        seed: int = 0,
    ) -> None:
        self.source, self.floats, self.folder = source, floats, folder
        self.threads, self.max_drop, self.say = threads, max_drop, say
        self.epochs, self.seed = epochs, seed
        self.tried: list[Attempt] = []

    def make(self, attempt: Attempt) -> bool:
        """Write its file; whether that went well.  What failed is noted; what changes nothing is forgotten."""
        self.say(f"quantising: {attempt.label}")
        scheme, number = attempt.scheme, len(self.tried)
        file = self.folder / f"{number}-{scheme.name}{FORMATS[scheme.format].suffix}"
        carried = meant_for(self.source.manifest, scheme.runtime, self.threads)
        how: dict[str, Any] = {"float_layers": attempt.float_layers, "equalise": attempt.equalise, **attempt.settings}
        try:
            if attempt.tuned:
                how["tuned"] = self.tuned
            made = quantise(
                self.source.model, file, self.source.calibration, scheme=scheme.name, manifest=carried, **how
            )
        except (BadInput, CheckFailed) as error:
            attempt.refuse("failed", str(error))
            self.tried.append(attempt)
            return False
        if attempt.equalise and not made.equalised:
            return False  # no two layers could be: it is the plain file again
        attempt.file, attempt.bytes = made.path, made.bytes
        self.tried.append(attempt)
        return True

    def time(self, attempts: Sequence[Attempt], timer: Callable[[list[Item]], list[Timing]] | None = None) -> None:
        """Measure files and all float files side by side, and refuse what is not faster than the best of those."""
        ours = [attempt.item(self.threads) for attempt in attempts]
        timings = (timer or time_items)([*self.floats.items, *ours])
        found, count = speeds(timings), len(self.floats.items)
        best = self.floats.measured(timings[:count], found[:count])
        name = self.floats.items[self.floats.best].runtime
        for attempt, timing, speed in zip(attempts, timings[count:], found[count:], strict=True):
            attempt.measured(timing, speed, best)
            if not speed.beats(best):
                attempt.refuse("slower", f"not faster than {name} in float32 beyond chance: {speed} against {best}")

    def judge(self, attempt: Attempt) -> None:
        """Count what it loses on the validation images, and refuse what loses too much."""
        judged = self.source.judged
        answers = judged.answers(attempt.item(self.threads))
        attempt.top1 = float(np.mean(answers == judged.labels))
        attempt.drop = drop = drop_between(self.right, answers, judged.labels)
        if drop.unsure(self.max_drop):
            attempt.refuse("unsure", f"{drop.images} images do not show that it loses {self.max_drop:g} points at most")
        elif not drop.within(self.max_drop):
            attempt.refuse("worse", f"it loses more than {self.max_drop:g} points")

    @cached_property
    def right(self) -> NDArray[np.int64]:
        """Answers of the float network, as its fastest file gives them."""
        answers = self.source.judged.answers(self.floats.items[self.floats.best])
        self.floats.top1 = float(np.mean(answers == self.source.judged.labels))
        return answers

    @cached_property
    def tuned(self) -> nn.Module:
        """The network with weights tuned for 8 bits.

        Raises:
            BadInput, CheckFailed: see `pumice.loop.quantising.qat.tuned`.
        """
        source, epochs = self.source, self.epochs
        self.say(f"tuning for 8 bits: {epochs} epoch{'s' * (epochs > 1)}")
        return tuned(source.model, source.manifest, source.splits, epochs=epochs, seed=self.seed)

    @cached_property
    def sensitive(self) -> tuple[str, ...]:
        """Layers, the one that loses most first; none where the network cannot be looked into."""
        self.say("looking for the layers that lose most")
        with suppress(BadInput):
            found = sensitive_layers(self.source.model, self.source.calibration)
            return tuple(name for name, _ in found)
        return ()
