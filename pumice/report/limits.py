"""What the accuracy of a run does not promise: its interval, its weakest classes, classes of few images."""

import math
from collections.abc import Sequence

from pumice.report.fields import Record, number, objects
from pumice.report.records import RunRecords
from pumice.report.units import percent

FEW = 20  # training images of a class
NAMED = 5  # classes


def limits(run: RunRecords) -> list[str]:
    """Sentences; none without scores."""
    images, top1 = number(run.scores, "count"), number(run.scores, "top1")
    if not images or top1 is None:
        return []
    low, high = wilson(top1, images)
    said = [
        f"Top-1 is from {images:,.0f} validation images: with 95 % confidence it is between {percent(low)} and "
        f"{percent(high)} on images like them. They also chose which weights are kept, so expect a little less.",
        f"It answers one of its {len(run.classes)} classes for every image, whatever is on it.",
    ]
    weak = [one for one in by_recall(objects(run.scores.get("per_class"))) if (number(one, "recall") or 0) < top1]
    if weak:
        named = [f"{w.get('name')} ({percent(number(w, 'recall'))} of {number(w, 'support'):g})" for w in weak[:NAMED]]
        said.append(f"It recognises least of: {', '.join(named)}.")
    trained = run.trained_on
    few = sorted((count, name) for name, count in trained.items() if count < FEW)
    if few:
        named = [f"{name} ({count:g})" for count, name in few[:NAMED]]
        rest = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        said.append(f"It had fewer than {FEW} images to learn from of: {', '.join(named)}{rest}.")
    if run.file and run.file.endswith(".so"):
        said.append("The file is code for the processor it was compiled on; elsewhere it opens only when trusted.")
    return said


def by_recall(recorded: Sequence[Record]) -> list[Record]:
    """The classes that have validation images, the worst first."""
    known = [one for one in recorded if number(one, "recall") is not None]
    return sorted(known, key=lambda one: (number(one, "recall") or 0.0, -(number(one, "support") or 0.0)))


def wilson(share: float, count: float) -> tuple[float, float]:
    """95 % interval of a share of so many independent cases (Wilson, JASA 1927)."""
    z = 1.959964
    middle = share + z * z / 2 / count
    spread = z * math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2)
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)
