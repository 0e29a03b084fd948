"""A file written and first opened in a process of its own: native code that dies there takes nothing with it.

LiteRT's runtime writes beyond its memory where it opens some int8 files (docs/log.md), and aborts.
"""

import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.formats import imported
from pumice.deploy.schemes.scheme import Scheme
from pumice.deploy.session import open_session
from pumice.errors import BadInput, CheckFailed

_SERVE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from pumice.deploy.schemes.apart import serve; serve()"
)
_ANSWER, _OUTPUTS = "answer.json", "outputs.npy"
_ERRORS: Mapping[str, type[Exception]] = {"BadInput": BadInput, "CheckFailed": CheckFailed, "OSError": OSError}


def write_and_run(
    scheme: Scheme,
    model: nn.Module,
    file: Path,
    images: NDArray[np.float32],
    some: NDArray[np.float32],
    how: Mapping[str, Any],
) -> NDArray[np.float32]:
    """Write a file and run it once, here.

    Args:
        scheme: its writer and runtime.
        model: float network.
        file: to write.
        images: (N, C, H, W), to calibrate with.
        some: (M, C, H, W), to run.
        how: further arguments of the writer.

    Returns:
        The file's outputs for `some`.

    Raises:
        BadInput: the toolkit refuses the network.
        CheckFailed: the file does not open in its runtime.
    """
    channels, height, width = some.shape[1:]
    size = (channels, height, width)
    imported(scheme.writer)(model, file, size, images, **how)
    try:
        with open_session(file, runtime=scheme.runtime, input_size=size) as session:
            return session.run(some)
    except BadInput as error:
        raise CheckFailed(f"the file that {scheme.name} made does not open in {scheme.runtime}: {error}") from error


def write_and_run_apart(scheme: Scheme, model: nn.Module, file: Path, *rest: Any) -> NDArray[np.float32]:
    """`write_and_run` in a process of its own, or here where another process cannot know the network's classes.

    Raises:
        BadInput: the toolkit refuses the network, or its process died.
        CheckFailed: the file does not open in its runtime, or kills its process.
    """
    try:
        if any(type(module).__module__ == "__main__" for module in model.modules()):
            raise pickle.PicklingError("another process has another __main__")
        asked = pickle.dumps((scheme, model, file, *rest))
    except (pickle.PicklingError, AttributeError, TypeError):
        return write_and_run(scheme, model, file, *rest)
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-c", _SERVE, json.dumps(sys.path), folder, str(torch.get_num_threads())]
        code = subprocess.run(command, input=asked, stdout=subprocess.DEVNULL, check=False).returncode
        answer = Path(folder) / _ANSWER
        if not answer.is_file():
            died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            if file.exists():
                raise CheckFailed(f"the file that {scheme.name} made kills the process that opens it ({died})")
            raise BadInput(f"the converter of {scheme.name} died on this network ({died}); try another scheme")
        said = json.loads(answer.read_text(encoding="utf-8"))
        if said:
            raise _ERRORS.get(said["kind"], RuntimeError)(said["message"])
        outputs: NDArray[np.float32] = np.load(Path(folder) / _OUTPUTS)
    return outputs


def serve() -> None:
    """Answer `write_and_run_apart`; what it asks comes through a pipe."""
    folder = Path(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    said: dict[str, str] = {}
    try:
        np.save(folder / _OUTPUTS, write_and_run(*pickle.load(sys.stdin.buffer)))
    except Exception as error:  # told to the process that asked, and raised there
        kind = next((name for name, known in _ERRORS.items() if isinstance(error, known)), type(error).__name__)
        said = {"kind": kind, "message": str(error) or repr(error)}
    (folder / _ANSWER).write_text(json.dumps(said), encoding="utf-8")
