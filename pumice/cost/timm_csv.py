"""Measurements in the columns of timm's benchmark results (results/benchmark-infer-*.csv of its repository).

infer_step_time is ms a pass.  timm prints a mean there; this is `Timing.figure_ms`, which one interruption does not
move.  param_count, infer_gmacs are in millions and in G multiply-adds.  infer_macts, the elements that convolutions
write, is not known here and stays empty, as timm leaves it where it was not counted; so do the sizes of nets that are
not in the catalogue.  Ours follow timm's columns, because a net has several rows here.
"""

import csv
import io
from collections.abc import Iterable

from pumice.cost.timing import Timing
from pumice.models.catalogue import Entry, entries

TIMM = ("model", "infer_img_size", "infer_samples_per_sec", "infer_step_time", "infer_batch_size", "param_count")
TIMM_MORE = ("infer_gmacs", "infer_macts")
OURS = ("runtime", "device", "threads", "busy", "clock", "machine")


def to_timm_csv(timings: Iterable[Timing]) -> str:
    """A line a measurement, the fastest first, under a line of column names."""
    known = {net.name: net for net in entries()}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*TIMM, *TIMM_MORE, *OURS))
    for t in sorted(timings, key=lambda t: -t.images_per_s):
        net = known.get(t.name)
        madds = None if net is None else _madds(net, t.input_size)
        table.writerow(
            (
                t.name,
                t.input_size[2],
                round(t.images_per_s, 2),
                round(t.figure_ms, 3),
                t.batch,
                None if net is None else round(net.params / 1e6, 2),
                None if madds is None else round(madds / 1e9, 4),
                None,
                t.runtime,
                t.device,
                t.threads,
                int(t.busy),
                t.figure_clock,
                t.machine,
            )
        )
    return text.getvalue()


def _madds(net: Entry, input_size: tuple[int, int, int]) -> int | None:
    """At that input, where the catalogue knows it."""
    if input_size == net.input_size:
        return net.madds
    _, height, width = input_size
    return net.sizes.get(str(height), {}).get("madds") if height == width else None
