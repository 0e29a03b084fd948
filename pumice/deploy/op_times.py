"""How long each operator of a file takes, as the runtime's own profiler tells it.  Imports neither torch nor onnx.

Both profilers count whole microseconds.  ONNX Runtime reports every pass; OpenVINO keeps the mean of all passes since
the request was made.  Profiling adds about a microsecond an operator, which belongs to no operator.
"""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.onnxruntime import load_onnxruntime
from pumice.errors import BadInput

WARM_PASSES = 5
FEWEST_PASSES = 3
LIMIT_S = 2.0  # of each file's passes; a slow file makes fewer
DISTURBED = 1.1  # mean over shortest pass, above which OpenVINO's means say more about other work than about the file
TRIES = 3  # of which the least disturbed counts


@dataclass(frozen=True)
class OpTime:
    """One operator that a runtime ran, after its own fusions.

    name: of the node in the file whose result it makes (ONNX Runtime) or with which its work begins (OpenVINO); an
        operator that the runtime put in (a change of layout) has a name of its own.
    kind: the runtime's word for it.
    ms: of one pass.
    """

    name: str
    kind: str
    ms: float


def op_times(path: Path, runtime: str, *, threads: int = 1, passes: int = 30, seed: int = 0) -> list[OpTime]:
    """The operators of a file with fixed input, in order of execution.

    Args:
        path: .onnx, or .xml for openvino.
        runtime: "onnxruntime" or "openvino".
        threads: of the runtime.
        passes: that are timed, after a few that are not.
        seed: of the input, standard normal numbers, or pixels.

    Raises:
        BadInput: the runtime has no profiler that is read here, or cannot open the file.
    """
    if runtime not in PROFILED:
        raise BadInput(f"runtime {runtime} does not tell the time of single operators; choose {' or '.join(PROFILED)}")
    return PROFILED[runtime](path, threads, passes, np.random.default_rng(seed))


def _image(shape: list[Any], pixels: bool, random: np.random.Generator) -> NDArray[Any]:
    if not all(isinstance(n, int) for n in shape):
        raise BadInput(f"operators are timed at a fixed input size, not {shape}; export the file without dynamic=")
    if pixels:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def _onnxruntime(path: Path, threads: int, passes: int, random: np.random.Generator) -> list[OpTime]:
    onnxruntime = load_onnxruntime()
    with tempfile.TemporaryDirectory(prefix="pumice-") as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise BadInput(f"onnxruntime cannot open {path}: {str(error).splitlines()[0][:200]}") from error
        given = session.get_inputs()[0]
        feed = {given.name: _image(given.shape, given.type == "tensor(uint8)", random)}
        warm = _run(lambda: session.run(None, feed), WARM_PASSES)
        _run(lambda: session.run(None, feed), passes)
        events = json.loads(Path(session.end_profiling()).read_text())
    kinds: dict[str, str] = {}
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            kinds[name] = event["args"]["op_name"]
            samples[name].append(event["dur"] / 1e3)
    return [OpTime(name, kind, _lower_mean(samples[name][warm:])) for name, kind in kinds.items()]


def _run(one_pass: Callable[[], object], passes: int) -> int:
    """Run so many passes, or fewer where they take long; how many."""
    end = time.perf_counter() + LIMIT_S
    for done in range(1, passes + 1):
        one_pass()
        if done >= FEWEST_PASSES and time.perf_counter() > end:
            return done
    return passes


def _lower_mean(samples: list[float]) -> float:
    """The mean of the lower half: a median would show whole microseconds only, a mean what other work did."""
    kept = sorted(samples)[: (len(samples) + 1) // 2]
    return sum(kept) / len(kept)


def _openvino(path: Path, threads: int, passes: int, random: np.random.Generator) -> list[OpTime]:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "PERF_COUNT": True,
    }
    try:
        model = core.read_model(str(path))
        tried = []
        for _ in range(TRIES):
            request = core.compile_model(model, "CPU", settings).create_infer_request()
            given = request.model_inputs[0]
            image = _image([int(n) for n in given.shape], given.element_type == openvino.Type.u8, random)
            tried.append(_means(request, image, passes))
            if tried[-1][0] < DISTURBED:
                break
    except RuntimeError as error:
        raise BadInput(f"openvino cannot open {path}: {str(error).splitlines()[0][:200]}") from error
    return min(tried, key=lambda one: one[0])[1]


def _means(request: Any, image: NDArray[Any], passes: int) -> tuple[float, list[OpTime]]:
    """The mean of the passes' wall times over the shortest, and the operators' means over the same passes."""
    walls: list[float] = []

    def one_pass() -> None:
        start = time.perf_counter()
        request.infer([image], share_inputs=True)
        walls.append(time.perf_counter() - start)

    warm = _run(one_pass, WARM_PASSES)
    before = [entry.real_time.total_seconds() for entry in request.profiling_info]
    passes = _run(one_pass, passes)
    total = warm + passes
    found = []
    for first, entry in zip(before, request.profiling_info, strict=True):
        # Means over all passes so far: the warm ones come off again.
        ms = (entry.real_time.total_seconds() * total - first * warm) / passes * 1e3
        if entry.exec_type != "undef" and entry.node_type not in ("Parameter", "Const", "Result"):
            found.append(OpTime(entry.node_name, entry.node_type, max(0.0, ms)))
    timed = walls[warm:]
    return sum(timed) / len(timed) / min(timed), found


PROFILED = {"onnxruntime": _onnxruntime, "openvino": _openvino}
