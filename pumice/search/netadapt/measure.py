"""A net measured beside the seed, as the files that would ship, in one series."""

import tempfile
from pathlib import Path

from torch import nn

from pumice.cost import machine
from pumice.cost.latency import benchmark
from pumice.cost.lut.table import Lut
from pumice.deploy.onnx import export_to_measure
from pumice.errors import BadInput
from pumice.search.netadapt.search import Beside, Size

SECONDS = 8.0  # of measuring the two
READS_ONNX = ("onnxruntime", "openvino")


def beside_in(runtime: str, threads: int, size: Size, seconds: float = SECONDS) -> Beside:
    """Measure in a runtime of this machine.

    Drift of the machine falls on both alike, so their ratio is steadier than either.

    Raises:
        BadInput: the runtime is not here.
    """
    from pumice.deploy.session import RUNTIMES, installed

    if runtime not in RUNTIMES or not installed(runtime):
        here = ", ".join(name for name in RUNTIMES if installed(name))
        raise BadInput(f"runtime {runtime!r} is not on this machine; choose {here}")

    def beside(seed: nn.Module, net: nn.Module) -> tuple[float, float, bool]:
        nets = [seed] if net is seed else [seed, net]
        with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
            given: list[Path | nn.Module | str] = []
            for i, one in enumerate(nets):
                if runtime not in READS_ONNX:
                    given.append(one)
                    continue
                given.append(Path(folder, f"{i}.onnx"))
                export_to_measure(one, Path(folder, f"{i}.onnx"), size, open_size=False)
            found = benchmark(given, size, runtime=runtime, threads=threads, time_limit_s=seconds)
        assert isinstance(found, list)
        busy = any(timing.busy for timing in found)
        # Both by one clock: a figure of wall time and one of CPU time cannot be compared.
        if len({timing.figure_clock for timing in found}) > 1:
            return found[-1].cpu_p10_ms or found[-1].cpu_p50_ms, found[0].cpu_p10_ms or found[0].cpu_p50_ms, busy
        return found[-1].figure_ms, found[0].figure_ms, busy

    return beside


def clock_of(table: Lut | None, runtime: str | None, threads: int | None, size: Size) -> Beside | None:
    """How nets are measured for a target of latency; None where the table is of another machine.

    Raises:
        BadInput: there is no table, and the runtime is not here.
    """
    if table is None:
        return beside_in(runtime or "onnxruntime", threads or 1, size)
    if machine.this_machine().key != table.machine_key:
        return None
    return beside_in(table.runtime, table.threads, size)
