"""How long a cut network takes: measured in a runtime, as the file that would ship, or predicted by a lookup table."""

import tempfile
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from pumice.cost.latency import benchmark
from pumice.cost.predicted import predict_timing, read_table
from pumice.cost.timing import Timing
from pumice.deploy.onnx import export_to_measure
from pumice.errors import BadInput

Size = tuple[int, int, int]
SECONDS = 3.0  # a measurement


class Clock(ABC):
    """Where latencies come from."""

    @abstractmethod
    def timing(self, net: nn.Module, size: Size, name: str) -> Timing:
        """Of one image of (C, H, W); the record bears the name."""


class Measured(Clock):
    """On this machine.

    runtime: of `pumice.deploy.session`; anything but "eager" runs an ONNX file.
    """

    def __init__(self, runtime: str, threads: int) -> None:
        self.runtime, self.threads = runtime, threads

    def timing(self, net: nn.Module, size: Size, name: str) -> Timing:
        """
        Raises:
            BadInput: the network cannot be exported, or the runtime is not here.
        """
        settings: dict[str, Any] = {"runtime": self.runtime, "threads": self.threads, "time_limit_s": SECONDS}
        if self.runtime == "eager":
            found = benchmark(net, size, **settings)
        else:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "cut.onnx")
                export_to_measure(net, file, size, open_size=False)
                found = benchmark(file, size, **settings)
        assert isinstance(found, Timing)
        return replace(found, name=name)


class Predicted(Clock):
    """By a table of some device; the bound is the upper end of its interval.

    Raises:
        BadInput: there is no such table, or it is of another runtime or number of threads (None is its own).
    """

    def __init__(self, path: str, runtime: str | None, threads: int | None) -> None:
        self.lut = read_table(path, runtime, threads)

    def timing(self, net: nn.Module, size: Size, name: str) -> Timing:
        """
        Raises:
            BadInput: the network cannot be traced.
        """
        return predict_timing(self.lut, net, size, name)


def clock_for(lut: str | None, runtime: str | None, threads: int | None) -> Clock:
    """The clock of a latency target.

    Raises:
        BadInput: see `Predicted`; there is no such runtime.
    """
    if lut is not None:
        return Predicted(lut, runtime, threads)
    from pumice.deploy.session import RUNTIMES, installed

    name = runtime or "onnxruntime"
    if name not in RUNTIMES or not installed(name):
        here = ", ".join(one for one in RUNTIMES if installed(one))
        raise BadInput(f"runtime {name!r} is not on this machine; choose {here}")
    return Measured(name, threads or 1)
