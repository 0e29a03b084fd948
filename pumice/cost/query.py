"""Networks of the catalogue by what was measured of them on this machine.  Imports no torch."""

from collections.abc import Iterable, Mapping

from pumice.cost import machine
from pumice.cost.database import lookup_all, published_key
from pumice.cost.timing import Timing
from pumice.deploy.session import require
from pumice.models.catalogue import Entry, select


def measured(nets: Iterable[Entry], runtime: str | None = None, threads: int = 1) -> dict[str, Timing]:
    """Name -> the newest latency kept of it, one image a pass; one of a quiet machine where there is one.

    runtime: None takes the runtime that was fastest.
    """
    runtimes = [runtime] if runtime else [name for name in machine.PACKAGES if machine.runtime_version(name)]
    places = {published_key(net, runtime=name, threads=threads): net.name for name in runtimes for net in list(nets)}
    quiet = lookup_all(places)
    kept = {**lookup_all(places.keys() - quiet.keys(), allow_busy=True), **quiet}
    found: dict[str, Timing] = {}
    for key, timing in kept.items():
        name = places[key]
        if name not in found or timing.figure_ms < found[name].figure_ms:
            found[name] = timing
    return found


def within(timing: Timing | None, limit_ms: float) -> bool:
    """Whether a latency keeps a budget: its upper 95 % bound does."""
    return timing is not None and timing.bound_ms[0] <= limit_ms


def front(nets: Iterable[Entry], costs: Mapping[str, float]) -> list[Entry]:
    """Nets with a published top-1 that no other net reaches at the same cost or less.

    costs: of every net that takes part, by name.
    """
    rated = [
        (costs[net.name], net.published["top1"], net)
        for net in nets
        if net.name in costs and net.published and net.published["top1"] is not None
    ]
    return [e for m, t, e in rated if not any((n < m and u >= t) or (n == m and u > t) for n, u, _ in rated)]


def list_models(
    filter: str = "",
    *,
    max_madds: float | None = None,
    max_params: float | None = None,
    max_latency_ms: float | None = None,
    runtime: str | None = None,
    threads: int = 1,
    pretrained: bool = False,
) -> list[str]:
    """Names of networks within limits: `list_models("mobilenet*", max_madds=60e6)`.

    Args:
        filter: a shell pattern, or a word that the name contains.
        max_madds: multiply-adds at the published input.
        max_params: learnable tensors' elements.
        max_latency_ms: upper 95 % bound, of the networks that were measured on this machine (`pumice benchmark`, or
            `pumice list --max-latency`, which measures what is missing).
        runtime: with `max_latency_ms`, the one it was measured in; the fastest by default.
        threads: with `max_latency_ms`.
        pretrained: only nets with published weights.

    Raises:
        BadInput: the runtime is unknown or not installed.
    """
    nets = select(filter, max_madds=max_madds, max_params=max_params, pretrained=pretrained)
    if runtime is not None:
        require(runtime)
    if max_latency_ms is None:
        return [net.name for net in nets]
    kept = measured(nets, runtime, threads)
    return [net.name for net in nets if within(kept.get(net.name), max_latency_ms)]
