"""Every file that `native.py` compares, made once and kept in a folder: a subfolder a network.

`plain` files are what a network becomes without our rewrites, its norms folded and no more: what users of the runtimes
have without Pumice.  A file that cannot be made leaves a .failed beside the others, which says why.
"""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from rewrites import settled
from torch import nn

from pumice.deploy.compare import relative_error
from pumice.deploy.formats import RUNTIMES, imported
from pumice.deploy.inductor import write_aoti
from pumice.deploy.native_writing import write_native
from pumice.deploy.ncnn import write_ncnn
from pumice.deploy.onnx import export_onnx
from pumice.deploy.openvino import export_openvino, read_network, save_network
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import Session, installed
from pumice.errors import BadInput, CheckFailed

SIZE = (3, 224, 224)
FILES = {
    "native": "native.so",
    "onnxruntime": "ours.onnx",
    "openvino": "ours.xml",
    "onnxruntime_plain": "plain.onnx",
    "openvino_plain": "plain.xml",
    "inductor": "inductor.pt2",
    "ncnn": "model.param",
}
"""Contender -> its file.  The part of a name before `_` is its runtime."""
PLAIN = ("onnxruntime_plain", "openvino_plain", "inductor", "ncnn")
"""Those that know nothing of our rewrites."""
OTHERS = tuple(name for name in FILES if name != "native")


def files(name: str, folder: Path, contenders: tuple[str, ...], tune_s: float) -> dict[str, Path | str]:
    """The file of each contender, or why there is none; native code is compiled anew, since it is what changes."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = settled(name)
    x = probe_inputs(1, SIZE, None, seed=1)
    with torch.inference_mode():
        own = model(torch.from_numpy(x)).numpy()
        exact = model.double()(torch.from_numpy(x).double()).numpy()
    np.savez(place / "probe.npz", x=x, exact=exact, own=own)
    model = model.float()
    found: dict[str, Path | str] = {}
    for contender in contenders:
        file = place / FILES[contender]
        failed = place / f"{contender}.failed"
        if contender == "native" or not (file.exists() or failed.exists()):
            _make(contender, model, file, failed, tune_s)
        found[contender] = failed.read_text().strip() if failed.exists() else file
    return found


def _make(contender: str, model: nn.Module, file: Path, failed: Path, tune_s: float) -> None:
    """Files get their places when they are whole, the one that is looked for last."""
    failed.unlink(missing_ok=True)
    with TemporaryDirectory(dir=file.parent, prefix=".", ignore_cleanup_errors=True) as folder:
        new = Path(folder) / file.name
        makers: dict[str, Callable[[], None]] = {
            "native": lambda: write_native(model, new, SIZE, tune_s=tune_s),
            "onnxruntime": lambda: export_onnx(model, new, SIZE),
            "onnxruntime_plain": lambda: export_onnx(model, new, SIZE, lowered_for="plain"),
            "openvino": lambda: export_openvino(model, new, SIZE),
            "openvino_plain": lambda: _openvino_plain(model, new),
            "inductor": lambda: write_aoti(model, new, SIZE),
            "ncnn": lambda: write_ncnn(model, new, SIZE),
        }
        try:
            makers[contender]()
        except (BadInput, CheckFailed) as error:
            failed.write_text(f"{error}\n")
            return
        for part in sorted(new.parent.iterdir(), key=lambda one: one == new):
            os.replace(part, file.parent / part.name)


def _openvino_plain(model: nn.Module, file: Path) -> None:
    with TemporaryDirectory() as folder:
        onnx = Path(folder) / "plain.onnx"
        export_onnx(model, onnx, SIZE, lowered_for="plain")
        save_network(read_network(onnx), file)


def opened(contender: str, file: Path) -> Session:
    """A session of one thread.

    Raises:
        BadInput: its runtime is not installed, or cannot open the file.
    """
    runtime = contender.split("_", maxsplit=1)[0]
    if not installed(runtime):
        raise BadInput(f"{runtime} is not installed")
    session: Session = imported(RUNTIMES[runtime].session)(file, threads=1, batch=1, input_size=SIZE)
    return session


def probe(folder: Path, name: str) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """An image for a network, what it answers in double precision, and how far torch's own float32 is from that."""
    with np.load(folder / name / "probe.npz") as kept:
        return kept["x"], kept["exact"], relative_error(kept["own"], kept["exact"])
