"""ncnn: `model.param` (layers, as text) and `model.bin` (weights), written by pnnx and run on the CPU in float32.

ncnn computes one image a pass: a larger batch is a loop.  What is wrong in a file it mostly finds out by crashing, so a
.param is read here first (`pumice.deploy.ncnn_param`).
"""

import json
import subprocess
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import add_metadata, parts_of, read_manifest, read_metadata
from pumice.deploy.ncnn_param import read_layers, set_input_size
from pumice.deploy.session import Session, fit_size
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pumice.deploy.onnx import Dynamic

BATCH = "pumice_batch"  # what a file of more than one image a pass says of itself


def write_ncnn(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: "Dynamic | None" = None,
) -> None:
    """Write `path` (.param) and its .bin in float32; pumice.json beside them says the batch where it is not 1.

    Args:
        model: frozen; it is not changed.
        path: of the .param.
        input_size: (C, H, W).
        manifest: gives the network's name in a sentence.
        batch: images a pass.
        dynamic: None; files of ncnn are of one size here.

    Raises:
        BadInput: the network has an operator that ncnn has no layer for, or pnnx cannot read it.
        OSError: a file cannot be written.
    """
    import pnnx
    import torch

    from pumice.deploy.averages import InSteps
    from pumice.deploy.ncnn_lowering import Lowered, for_pnnx
    from pumice.deploy.network import folded, name_of

    name = name_of(model, manifest)
    network = for_pnnx(folded(model, input_size))
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        program, param, weights = (Path(folder) / file for file in ("model.pt", "model.param", "model.bin"))
        try:
            with warnings.catch_warnings(), torch.no_grad(), Lowered(), InSteps():
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(network, torch.zeros(1, *input_size), check_trace=False)
                traced.save(str(program))
        except Exception as error:  # whatever the network raises
            raise BadInput(f"cannot trace {name} for ncnn: {str(error).strip().splitlines()[0][:200]}") from error
        channels, height, width = input_size
        options = ["fp16=0", "device=cpu", f"ncnnparam={param.name}", f"ncnnbin={weights.name}"]
        command = [pnnx.EXEC_PATH, program.name, f"inputshape=[1,{channels},{height},{width}]f32", *options]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        if not (param.is_file() and weights.is_file()):
            said = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()]
            raise BadInput(f"pnnx cannot read {name}: {said[-1].strip()[:200] if said else 'it stopped'}")
        _require_known(param, name, traced)
        path.write_text(set_input_size(param.read_text(encoding="utf-8"), input_size), encoding="utf-8")
        path.with_suffix(".bin").write_bytes(weights.read_bytes())
    if batch > 1:
        add_metadata(path, {BATCH: json.dumps(batch)})


def _require_known(param: Path, name: str, traced: "torch.jit.ScriptModule") -> None:
    """
    Raises:
        BadInput: a line of a .param of pnnx's names a layer that ncnn does not have.
    """
    import ncnn

    for layer in read_layers(param):
        if ncnn.layer_to_index(layer.type) < 0:
            operator = layer.type
            where = _place(traced, operator)
            raise BadInput(
                f"{name} cannot be written for ncnn, which has no layer for {operator}"
                f"{f' in {where}' if where else ''}; choose another format"
            )


def _place(traced: "torch.jit.ScriptModule", operator: str) -> str:
    """The first layer of the network that runs an operator (torch.foo, F.foo, Tensor.foo or aten::foo), else ""."""
    kind = "aten::" + operator.replace("::", ".").split(".")[-1]
    for path, module in traced.named_modules():
        graph: Any = getattr(module, "graph", None)
        if graph is not None and any(node.kind() == kind for node in graph.nodes()):
            return path
    return ""


@final
class NcnnSession(Session):
    """A pair of files in ncnn on the CPU: float32 in storage and arithmetic, `threads` of OpenMP, image by image."""

    runtime: ClassVar[str] = "ncnn"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        batch: int | None = 1,
        input_size: tuple[int, int, int] | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        import ncnn

        manifest = manifest or read_manifest(path)
        layers = read_layers(path)
        inputs = [layer for layer in layers if layer.type == "Input"]
        read = {blob for layer in layers for blob in layer.bottoms}
        outputs = [blob for layer in layers for blob in layer.tops if blob not in read]
        if len(inputs) != 1 or not outputs:
            raise BadInput(f"{path} does not read one image; only networks of one input open here")
        for layer in layers:
            if ncnn.layer_to_index(layer.type) < 0:
                raise BadInput(f"{path} has a layer {layer.type} ({layer.name}), which this ncnn does not know")
        said = read_metadata(path).get(BATCH, "1")
        size = [inputs[0].number(key) for key in (2, 1, 0)]  # C, H, W
        batch, fitted = fit_size(path, [int(said) if said.isdecimal() else 1, *size], batch, input_size, manifest)

        self._ncnn, self._net = ncnn, ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.lightmode = options.use_packing_layout = True
        options.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            if hasattr(options, f"use_{kind}"):
                setattr(options, f"use_{kind}", False)
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise BadInput(f"{path} has no {weights.name} beside it; copy the pair together")
        if self._net.load_param(str(path)) or self._net.load_model(str(weights)):
            raise BadInput(f"ncnn cannot load {path} with its {weights.name}; export it again")
        # A blob that is cut off or split and never read is an output to ncnn; pnnx calls the network's own "out0".
        self._input, self._output = inputs[0].tops[0], "out0" if "out0" in outputs else outputs[-1]
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=fitted,
            manifest=manifest,
            file_bytes=sum(part.stat().st_size for part in parts_of(path) if part.is_file()),
        )
        try:
            self._one(np.zeros(fitted, np.float32))
        except RuntimeError as error:
            raise BadInput(f"{path} does not run at {fitted}: {error}") from error

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One pass of each of `batch` images."""
        return np.stack([self._one(image) for image in np.ascontiguousarray(x)])

    def _one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(C, H, W) -> what the network says of it."""
        extractor = self._net.create_extractor()
        extractor.input(self._input, self._ncnn.Mat(image))
        failed, output = extractor.extract(self._output)
        if failed or output.empty():
            raise RuntimeError(f"ncnn stopped with {failed}")
        return np.array(output)

    def close(self) -> None:
        """Free the runtime's memory."""
        self._net = None
