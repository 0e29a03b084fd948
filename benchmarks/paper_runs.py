"""Measure the rows of a paper's table here, and keep what was measured as JSON lines, one file a table.

A group of rows is opened in every runtime at once and timed interleaved: first the median with its interval, as Pumice
reports it, then the mean of 100 runs, as these papers do, which one slow run in a hundred may move.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from int8_speed import quantise
from paper_tables import Row, Table
from torch import nn

from pumice.cost import machine
from pumice.cost.latency import time_sessions
from pumice.cost.pinning import pinned
from pumice.deploy.compare import TOLERANCE
from pumice.deploy.direct import write_network
from pumice.deploy.network_session import disagreement
from pumice.deploy.session import Session, open_session
from pumice.errors import BadInput
from pumice.files import write_text
from pumice.graph.trace import trace
from pumice.progress import track

Record = dict[str, Any]
GROUP = 8
RUNS, TURN = 100, 5
MEAN_LIMIT_S = 2.0
BATCH_LIMIT_S = 4.0
"""Of the 100 runs of a row, at one image and at the paper's GPU batch; a slower net makes fewer and says how many."""
OPENING_S = 1.5
"""Building, writing and opening a row at one batch takes about as long."""


@dataclass(frozen=True)
class Settings:
    """How rows are measured.

    out: folder of the JSON lines.  seconds: of the median of one row in one runtime, at most.
    first: only so many of the rows that can run.
    """

    out: Path
    runtimes: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 1
    seconds: float = 1.5
    first: int | None = None

    def of(self, table: Table) -> tuple[str, ...]:
        """The runtimes of a table; a GPU runs eager alone."""
        return ("eager",) if self.device != "cpu" else self.runtimes or table.runtimes

    def precision(self, table: Table) -> str:
        """Of what runs here; eager has no 8-bit kernels."""
        return "float32" if "eager" in self.of(table) else table.precision


def estimate_s(table: Table, rows: Sequence[Row], settings: Settings) -> float:
    """About how long measuring these rows takes."""
    runtimes = len(settings.of(table))
    batched = sum(row.gpu_batch > 1 for row in rows) * (settings.device == "cpu")
    each = settings.seconds + 0.6 * MEAN_LIMIT_S
    return len(rows) * (runtimes * each + OPENING_S) + batched * (runtimes * 0.75 * BATCH_LIMIT_S + OPENING_S)


def missing(table: Table, records: Sequence[Record], settings: Settings) -> list[Row]:
    """The rows that can run here and lack a record of some runtime with these settings on this machine."""
    have = {_key(record) for record in records}
    here = machine.machine_key()
    rows = []
    for row in [row for row in table.rows if row.model][: settings.first]:
        wanted = {
            (row.net, runtime, settings.precision(table), settings.device, settings.threads, here)
            for runtime in settings.of(table)
        }
        if not wanted <= have:
            rows.append(row)
    return rows


def read(table: Table, out: Path) -> list[Record]:
    """What was measured before, this machine or not; a line cut short is left out."""
    path = out / f"{table.name}.jsonl"
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def measure(table: Table, settings: Settings) -> list[Record]:
    """Measure what is missing, group by group, each kept at once; all records of the table."""
    records = read(table, settings.out)
    rows = missing(table, records, settings)
    groups = [rows[i : i + GROUP] for i in range(0, len(rows), GROUP)]
    for group in track(groups, table.name):
        fresh = _group(table, group, settings)
        replaced = {_key(record) for record in fresh}
        records = [record for record in records if _key(record) not in replaced] + fresh
        write_text(settings.out / f"{table.name}.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    return records


def mean_of_runs(sessions: Sequence[Session], limit_s: float, runs: int = RUNS) -> list[tuple[float, int]]:
    """(mean ms a pass, runs) of every session, in turns of a few runs so that drift falls on all alike."""
    if not sessions:
        return []
    images = [np.random.default_rng(0).standard_normal((s.batch, *s.input_size), dtype=np.float32) for s in sessions]
    spent, done = [0.0] * len(sessions), [0] * len(sessions)
    with pinned(max(s.threads for s in sessions)):
        for _ in range(runs // TURN):
            for i, (session, image) in enumerate(zip(sessions, images, strict=True)):
                if spent[i] >= limit_s:
                    continue
                session.run(image)  # brings its weights back into the caches
                start = time.perf_counter()
                for _ in range(TURN):
                    session.run(image)
                spent[i] += time.perf_counter() - start
                done[i] += TURN
    return [(1e3 * s / n, n) for s, n in zip(spent, done, strict=True)]


def _group(table: Table, rows: Sequence[Row], settings: Settings) -> list[Record]:
    records: list[Record] = []
    with ExitStack() as opened:
        sessions = []
        for row in rows:
            try:
                model = row.build()
            except BadInput as error:
                print(f"{row.net} is left out: {error}", file=sys.stderr)
                continue
            counted = trace(model, row.input_size)
            batch = 1 if settings.device == "cpu" else row.gpu_batch
            for session, error in _sessions(row, model, table, batch, settings):
                sessions.append(opened.enter_context(session))
                record = {"table": table.name, "net": row.net, "runtime": session.runtime}
                record |= {"precision": settings.precision(table), "machine_key": machine.machine_key()}
                record |= {"model": row.model, "options": dict(row.options), "input_size": list(row.input_size)}
                record |= {"madds": counted.madds, "params": counted.params, "file_bytes": session.file_bytes}
                records.append(record | {"error": error})
        if not sessions:
            return []
        limit_s = settings.seconds * len(sessions)
        timings = time_sessions(sessions, [record["net"] for record in records], time_limit_s=limit_s)
        means = mean_of_runs(sessions, MEAN_LIMIT_S)
    for record, timing, (mean_ms, runs) in zip(records, timings, means, strict=True):
        fields = timing.to_json()
        kept = ("device", "threads", "batch", "repeats", "p50_ms", "ci95", "p90_ms", "cpu_p50_ms", "cpu_ci95")
        record |= {key: fields[key] for key in (*kept, "busy", "machine", "runtime_version", "measured_at")}
        record |= {"figure_ms": timing.figure_ms, "figure_ci": list(timing.figure_ci)}
        record |= {"mean_ms": mean_ms, "runs": runs, "images_per_s": 1e3 * timing.batch / mean_ms}
        record |= {"gpu_batch": timing.batch, "batches_per_s": 1e3 / mean_ms, "batch_runs": runs}
    if settings.device == "cpu":
        _batches(table, rows, records, settings)
    return records


def _batches(table: Table, rows: Sequence[Row], records: list[Record], settings: Settings) -> None:
    """Batches a second at the paper's GPU batch, where that is not one image; added to the records."""
    by_key = {(record["net"], record["runtime"]): record for record in records}
    found, sessions = [], []
    with ExitStack() as opened:
        for row in rows:
            if row.gpu_batch > 1 and any(net == row.net for net, _ in by_key):
                for session, _ in _sessions(row, row.build(), table, row.gpu_batch, settings):
                    sessions.append(opened.enter_context(session))
                    found.append(by_key[row.net, session.runtime])
        for record, session, (mean_ms, runs) in zip(
            found, sessions, mean_of_runs(sessions, BATCH_LIMIT_S), strict=True
        ):
            record |= {"gpu_batch": session.batch, "batches_per_s": 1e3 / mean_ms, "batch_runs": runs}


def _sessions(
    row: Row, model: nn.Module, table: Table, batch: int, settings: Settings
) -> Iterator[tuple[Session, float | None]]:
    """The net opened in every runtime, with how far its answer is from the net's own (None at 8 bits).

    The file is gone as soon as it is open.
    """
    runtimes, precision = settings.of(table), settings.precision(table)
    common: dict[str, Any] = {"threads": settings.threads, "batch": batch, "input_size": row.input_size}
    with TemporaryDirectory(prefix="pumice-") as folder:
        file = Path(folder) / "model.onnx"
        if set(runtimes) != {"eager"}:
            write_network(model, file, row.input_size, batch=batch)
        for runtime in runtimes:
            if runtime == "eager":
                yield open_session(model, runtime=runtime, device=settings.device, **common), 0.0
            elif precision == "int8":
                yield open_session(quantise(file, runtime, row.input_size), runtime=runtime, **common), None
            else:
                session = open_session(file, runtime=runtime, **common)
                yield session, _difference(model, session)


def _difference(model: nn.Module, session: Session) -> float:
    """How far the session's answer to one input is from the network's: a fast wrong answer is no speed."""
    x = np.random.default_rng(1).standard_normal((session.batch, *session.input_size), dtype=np.float32)
    return disagreement(session, model, x)


def wrong(record: Record) -> bool:
    """Whether the runtime disagreed with the network, so that its time says nothing."""
    return (record["error"] or 0.0) > TOLERANCE


def _key(record: Record) -> tuple[Any, ...]:
    """What makes two records measurements of one thing."""
    names = ("net", "runtime", "precision", "device", "threads", "machine_key")
    return tuple(record.get(name) for name in names)
