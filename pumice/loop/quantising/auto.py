"""Every scheme, each only as far as it pays."""

from collections.abc import Callable, Iterator, Sequence

from pumice.cost.timing import Timing
from pumice.deploy.schemes.scheme import Scheme
from pumice.loop.quantising.attempt import Attempt
from pumice.loop.quantising.speed import Item
from pumice.loop.quantising.tries import Tries

IN_FLOAT = (1, 2, 4, 8)
"""Layers that are left in float32, the most sensitive ones, while accuracy is lost."""


def choose(
    tries: Tries, schemes: Sequence[Scheme], fresh: Callable[[list[Item]], list[Timing]], *, qat: bool = True
) -> Attempt | None:
    """The fastest file that loses little enough, None where float32 is to stay.

    Every scheme's plain file is timed first; what is not faster than the best float file goes no further.  One that
    loses too much is made again with the scheme's other range of weights, with evened weights, and with its most
    sensitive layers in float, until it loses little enough or is no longer faster.  Where all that are faster lose too
    much, the network is tuned for 8 bits, and they are made once more of the tuned weights.  What was accepted is
    measured once more, all together and beside the float files, in a fresh process, and the fastest that still beats
    them is chosen.

    Args:
        tries: what makes, judges and times.
        schemes: that take part.
        fresh: times files in a fresh process.
        qat: whether the network may be tuned.

    Raises:
        CheckFailed: a file could not be measured.
    """
    plain = [attempt for attempt in map(Attempt, schemes) if tries.make(attempt)]
    tries.say(f"timing {len(plain)} files beside {len(tries.floats.items)} in float32")
    tries.time(plain)
    accepted = []
    for attempt in plain:
        if attempt.status != "made":
            continue
        tries.judge(attempt)
        taken = attempt if attempt.status == "made" else _refined(attempt, tries)
        if taken is not None:
            taken.status = "accepted"
            accepted.append(taken)
    if qat and not accepted:
        accepted = _tuned([attempt for attempt in plain if attempt.status == "worse"], tries)
    assert tries.right is not None  # judged even where no file was fast enough, for the record
    if not accepted:
        return None
    tries.say("timing again, in a fresh process")
    tries.time(accepted, fresh)
    still = [attempt for attempt in accepted if attempt.status == "accepted"]
    for attempt in accepted:
        if attempt.status == "slower":
            attempt.reason = f"in a fresh process {attempt.reason}"
    chosen = min(still, key=lambda attempt: attempt.speed.ms if attempt.speed else 0.0, default=None)
    if chosen is not None:
        chosen.status = "chosen"
    return chosen


def _refined(plain: Attempt, tries: Tries) -> Attempt | None:
    """The first refinement that loses little enough and is still faster than float."""
    best = plain
    for attempt in _variants(plain):
        if not tries.make(attempt):
            continue
        tries.judge(attempt)
        if attempt.status == "made":
            tries.time([attempt])
            if attempt.status == "made":
                return attempt
            continue
        if (attempt.top1 or 0.0) > (best.top1 or 0.0):
            best = attempt
    for count in IN_FLOAT:
        layers = tries.sensitive[:count]
        if len(layers) < count:
            break
        how = f"{count} layer{'s' * (count > 1)} in float"
        how = how if best is plain else f"{best.how}, {how}"
        attempt = Attempt(plain.scheme, how, best.settings, best.equalise, layers)
        if not tries.make(attempt):
            break
        tries.judge(attempt)
        if attempt.status == "made":
            tries.time([attempt])
            return attempt if attempt.status == "made" else None  # more layers in float make it slower still
    return None


def _tuned(lost: Sequence[Attempt], tries: Tries) -> list[Attempt]:
    """What the same schemes make of the tuned network, where it is good enough."""
    made = [one for one in (Attempt(plain.scheme, "tuned", tuned=True) for plain in lost) if tries.make(one)]
    for attempt in made:
        tries.judge(attempt)
    good = [attempt for attempt in made if attempt.status == "made"]
    if good:
        tries.time(good)
    accepted = [attempt for attempt in good if attempt.status == "made"]
    for attempt in accepted:
        attempt.status = "accepted"
    return accepted


def _variants(plain: Attempt) -> Iterator[Attempt]:
    for other in plain.scheme.settings.get("weights", ())[1:]:
        yield Attempt(plain.scheme, f"{other} range of weights", {"weights": other})
    yield Attempt(plain.scheme, "equalised", equalise=True)
