"""What a target does with a request.  Runs there, or here on this machine's own files; imports no torch.

A request is JSON: {"job": "machine"}, or "benchmark" or "nodes" with "items" (the fields of `Item`) and the arguments
of `time_items` or `time_nodes`.  An answer has "result" and "machine" (the fields of `pumice.cost.machine.Machine`),
or one of: "refused" and "failed" (the sentences of BadInput and CheckFailed), "missing" (packages to install).
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.deploy.formats import RUNTIMES, format_of
from pumice.errors import BadInput, CheckFailed
from pumice.progress import LINES, track

if TYPE_CHECKING:
    from pumice.cost.timing import Timing
    from pumice.deploy.op_times import OpTime


@dataclass(frozen=True)
class Item:
    """One model file to open in one way.

    file: .onnx or .xml.  name: of its measurement.
    input_size: (C, H, W), the file's own by default.
    """

    file: str
    name: str
    runtime: str = "auto"
    threads: int = 1
    batch: int = 1
    input_size: tuple[int, int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Item":
        """Inverse of `to_json`."""
        size = value["input_size"]
        return cls(**{**value, "input_size": None if size is None else tuple(size)})


def time_items(
    items: Sequence[Item],
    *,
    time_limit_s: float | None = None,
    precision: float | None = None,
    together: int | None = None,
    single_stream: bool = False,
    seed: int = 0,
) -> "list[Timing]":
    """Open files and time them against each other.

    Args:
        items: what to open; a Timing each, in their order.
        time_limit_s: of the measuring, in all; 5 s an item, at most 60 a group, by default.
        precision: half-width of the interval of the medians to reach, as a share of the median; as `time_sessions`.
        together: so many are open and interleaved at a time, as memory allows; all by default.
        single_stream: also as a stream of queries, as `time_sessions`.
        seed: of the inputs and of the order in each round.

    Raises:
        BadInput: a file, runtime, size or number of threads that cannot be measured.
    """
    from pumice.cost.latency import PRECISION, time_sessions
    from pumice.cost.machine import check_threads
    from pumice.deploy.session import open_session

    for item in items:
        check_threads(item.threads)  # before a runtime makes them all
    count = together or max(len(items), 1)
    groups = [items[i : i + count] for i in range(0, len(items), count)]
    timings: list[Timing] = []
    for group in groups:
        with ExitStack() as opened:
            sessions = [
                opened.enter_context(
                    open_session(
                        item.file,
                        runtime=item.runtime,
                        threads=item.threads,
                        batch=item.batch,
                        input_size=item.input_size,
                    )
                )
                for item in track(group, "loading")
            ]
            share = None if time_limit_s is None else time_limit_s * len(group) / len(items)
            timings += time_sessions(
                sessions,
                [item.name for item in group],
                time_limit_s=share,
                precision=PRECISION if precision is None else precision,
                seed=seed,
                single_stream=single_stream,
            )
    return timings


def time_nodes(items: Sequence[Item], *, passes: int = 30, seed: int = 0) -> "list[list[OpTime]]":
    """The time of each operator of each file, in order of execution; input size and batch are the file's own.

    Args:
        items: what to open; "auto" is the runtime that a file was made for, else the first that reads it.
        passes: that are timed, of each file.
        seed: of the inputs.

    Raises:
        BadInput: a file, runtime or number of threads that cannot be profiled.
    """
    from pumice.cost.machine import check_threads
    from pumice.cost.pinning import pinned
    from pumice.deploy.op_times import op_times
    from pumice.deploy.session import resolve_runtime

    found = []
    for item in track(items, "profiling"):
        check_threads(item.threads)
        runtime = resolve_runtime(item.file, item.runtime)
        with pinned(item.threads):
            found.append(op_times(Path(item.file), runtime, threads=item.threads, passes=passes, seed=seed))
    return found


def _benchmark(items: list[Item], settings: dict[str, Any]) -> list[dict[str, Any]]:
    return [timing.to_json() for timing in time_items(items, **settings)]


def _nodes(items: list[Item], settings: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [[asdict(op) for op in ops] for ops in time_nodes(items, **settings)]


JOBS: dict[str, Callable[[list[Item], dict[str, Any]], Any]] = {
    "machine": lambda items, settings: None,
    "benchmark": _benchmark,
    "nodes": _nodes,
}


def serve(path: str) -> dict[str, Any]:
    """The answer to the request in a file, as JSON values; progress goes to standard error, a line at a time."""
    os.environ[LINES] = "1"
    request = json.loads(Path(path).read_text(encoding="utf-8"))
    job, debug = request.pop("job"), request.pop("debug", False)
    items = [Item.from_json(value) for value in request.pop("items", ())]
    if missing := absent(items):
        return {"missing": missing}
    from pumice.cost.machine import this_machine

    try:
        result = JOBS[job](items, request)
    except BadInput as error:
        return {"refused": str(error)}
    except CheckFailed as error:
        return {"failed": str(error)}
    answer: dict[str, Any] = {"result": result, "machine": this_machine().to_json()}
    if debug:
        answer["imported"] = sorted({name.partition(".")[0] for name in sys.modules})
    return answer


def absent(items: Sequence[Item]) -> list[str]:
    """The packages that these items need and this machine lacks."""
    wanted = {"numpy"} if items else set()
    for item in items:
        if item.runtime != "auto":
            wanted.add(RUNTIMES[item.runtime].package)
            continue
        able = [RUNTIMES[name].package for name in format_of(Path(item.file)).runtimes]
        if not any(map(find_spec, able)):
            wanted.add(able[0])
    return sorted(name for name in wanted if find_spec(name) is None)
