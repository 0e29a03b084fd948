"""Measure networks of the catalogue that the database does not know: a short time each, a group of them interleaved.

The exported files stay in the cache folder, since exporting takes longer than measuring: about four bytes a parameter.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pumice.cost import machine
from pumice.cost.database import published_key, store
from pumice.cost.latency import time_sessions
from pumice.cost.timing import Timing
from pumice.deploy.session import require
from pumice.errors import BadInput, CheckFailed
from pumice.files import atomic, cache_folder
from pumice.models.catalogue import Entry
from pumice.progress import track

GROUP = 8
"""Nets that are open at once.  More would interleave better, and lose more when interrupted."""
A_NET_S = 1.5
"""Of measuring a net: some 36 samples of 5 ms and the untimed passes between them, and more of faster nets."""
MARGIN = 4.0
"""By how much a net may outdo a matrix product: 2.25 by Winograd's convolutions, the rest for a busy moment."""


@dataclass
class Swept:
    """Latency by name of a network, and why others have none."""

    timings: dict[str, Timing] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def sweep(nets: Sequence[Entry], *, runtime: str, threads: int = 1, a_net_s: float = A_NET_S) -> Swept:
    """Measure networks as published, one image a pass, and keep every group's figures as soon as they are there.

    Args:
        nets: any number; those that cannot be exported or run are passed over.
        runtime: an installed one.
        threads: of the runtime.
        a_net_s: seconds of measuring per network.

    Raises:
        BadInput: the runtime is missing, or there are fewer cores than threads.
        KeyboardInterrupt: the groups that were finished are kept.
    """
    require(runtime)
    machine.check_threads(threads)
    swept = Swept()
    # Nets of about the same size together: they take their turns at the same pace, and a group costs what its nets do.
    order = sorted(nets, key=lambda net: net.madds)
    with export_folder() as folder:
        for start in range(0, len(order), GROUP):
            group = order[start : start + GROUP]
            words = f"loading {start + 1} to {start + len(group)} of {len(order)}"
            _measure(group, words, runtime, threads, a_net_s, folder, swept)
    return swept


def _measure(
    group: Sequence[Entry],
    words: str,
    runtime: str,
    threads: int,
    a_net_s: float,
    folder: Path,
    swept: Swept,
) -> None:
    from pumice.deploy.session import Session, open_session

    with ExitStack() as opened:
        sessions: dict[str, Session] = {}
        for net in track(group, words):
            try:
                source = net.name if runtime == "eager" else exported(net, folder)
                session = open_session(source, runtime=runtime, threads=threads, input_size=net.input_size)
            except (BadInput, CheckFailed) as error:
                swept.failed[net.name] = str(error)
                continue
            sessions[net.name] = opened.enter_context(session)
        if not sessions:
            return
        timings = time_sessions(list(sessions.values()), list(sessions), time_limit_s=a_net_s * len(sessions))
    keys = {net.name: published_key(net, runtime=runtime, threads=threads) for net in group}
    for timing in timings:
        swept.timings[timing.name] = timing
        store(timing, keys[timing.name])


@contextmanager
def export_folder() -> Iterator[Path]:
    """Where exported files stay, or a folder for now where nothing may be kept."""
    folder = cache_folder() / "exports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = os.access(folder, os.W_OK)
    except OSError:
        kept = False
    if kept:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="pumice-") as scratch:
        yield Path(scratch)


def exported(net: Entry, folder: Path) -> Path:
    """The network as ONNX file in `folder`, written unless it is there.

    Its name says the network, and by eight digits what the file was made from: input, options, the versions of Pumice
    and torch.

    Raises:
        BadInput: it cannot be expressed in ONNX.
    """
    parts = [net.input_size, net.num_classes, net.options, *map(machine.runtime_version, ("native", "eager"))]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    file = folder / f"{net.name}-{digest}.onnx"
    if not file.exists():
        from pumice.deploy.direct import write_network
        from pumice.models.create import create_model

        with atomic(file) as scratch:
            write_network(create_model(net.name), scratch, net.input_size)
    return file


def hopeless(nets: Sequence[Entry], limit_ms: float) -> set[str]:
    """Names of nets that miss the limit by arithmetic alone, at MARGIN times the speed of a matrix product."""
    most = MARGIN * product_madds_per_ms() * limit_ms
    return {net.name for net in nets if net.madds > most}


def product_madds_per_ms(side: int = 512, tries: int = 5) -> float:
    """Multiply-adds a ms in a float32 matrix product of numpy, which uses all cores: the best of a few tries."""
    factor = np.ones((side, side), np.float32)
    took = []
    for _ in range(tries):
        start = time.perf_counter()
        factor @ factor
        took.append(time.perf_counter() - start)
    return side**3 / min(took) / 1e3
