"""A profile as one JSON value: counts, floors under this machine's ceilings, and times measured on it.

`pumice profile --json` prints it and the page is drawn from it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pumice.cost.ceilings import Ceilings
from pumice.cost.count import Profile
from pumice.cost.roofline import Floor, floors

if TYPE_CHECKING:
    from pumice.cost.layer_times import LayerTimes


def record(profile: Profile, ceilings: Ceilings | None = None, measured: "Sequence[LayerTimes]" = ()) -> dict[str, Any]:
    """`Profile.to_json`, with `bound` and `floor_ms` in every layer, and further

    floor_ms    of the whole net; None without ceilings, and in a layer that has no floor
    ceilings    as measured, None without
    measured    by runtime: net_ms and net (the whole net, as `pumice benchmark` gives it), over_floor (net_ms /
                floor_ms), sum_ms (layers and the rest), breakdown and other_ms (ms by name), and layers: ms, share of
                sum_ms and over_floor of each layer, None for one that the runtime does not run
    """
    value = profile.to_json()
    least = floors(profile.layers, ceilings) if ceilings else (None,) * len(profile.layers)
    for layer, floor in zip(value["layers"], least, strict=True):
        layer["bound"] = floor.bound if floor else None
        layer["floor_ms"] = floor.ms if floor else None
    total = sum(floor.ms for floor in least if floor) if ceilings else None
    value["floor_ms"] = total
    value["ceilings"] = ceilings.to_json() if ceilings else None
    value["measured"] = {times.runtime: _runtime(times, least, total) for times in measured}
    return value


def _runtime(times: "LayerTimes", least: Sequence[Floor | None], total: float | None) -> dict[str, Any]:
    return {
        "net_ms": times.net.p50_ms,
        "net": times.net.to_json(),
        "sum_ms": times.sum_ms,
        "over_floor": times.net.p50_ms / total if total else None,
        "breakdown": times.breakdown,
        "other_ms": times.other_ms,
        "layers": [
            None
            if ms is None
            else {
                "ms": ms,
                "share": ms / times.sum_ms if times.sum_ms else 0.0,
                "over_floor": ms / floor.ms if floor and floor.ms else None,
            }
            for ms, floor in zip(times.layer_ms, least, strict=True)
        ],
    }
