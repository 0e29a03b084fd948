"""`trace`: run a network once on nothing and keep what it did.

The run is on torch's `meta` device, whose tensors have shapes and storages but no memory, so it costs neither
arithmetic nor room, and works for networks on any device.  A network whose forward needs numbers (it asks `.item()` of
an activation, say) is copied and run for real on one random image.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pumice.errors import BadInput
from pumice.graph.layers import layer_records
from pumice.graph.modules import Calls, Extra, tensors_in, unchanged
from pumice.graph.recorder import Recorder
from pumice.graph.records import Graph, Shape
from pumice.graph.stand_in import StandIns


def trace(model: nn.Module, input_size: Shape = (3, 224, 224), *, name: str = "", batch: int = 1) -> Graph:
    """The graph of `model` in evaluation mode on `batch` images of `input_size` = (C, H, W).

    The model is left exactly as it was, also when this raises: modes, hooks, tensors, attributes, random state.

    name: what messages call it; the model's own name by default.
    batch: images a pass; counts are of all of them together.

    Raises:
        UnknownOp: it calls an operator whose cost is not known.
        BadInput: it does not run on that input.
    """
    model = getattr(model, "_orig_mod", model)
    name = name or model_name(model)
    size = "x".join(map(str, input_size))
    if not input_size or any(not isinstance(n, int) or n < 1 for n in input_size):
        raise BadInput(f"input size {size or '()'} is impossible; give positive numbers C, H, W")
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise BadInput(f"{name} has lazy layers without shapes; run it once on an image before tracing it")
    try:
        with _quiet():
            try:
                return _trace_shapes(model, name, (batch, *input_size))
            except BadInput:
                raise
            except Exception:
                # Numbers may be what was missing; without any there is nothing more to try.
                if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
                    raise
            return _trace_real(model, name, (batch, *input_size))
    except BadInput as error:
        raise type(error)(f"{name} on a {size} input: {error}") from error
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(
            f"{name} does not run on a {size} input; give another input size ({lines[0][:200].rstrip('. ')})"
        ) from error


def model_name(model: nn.Module) -> str:
    """The name in `model.config`, else the class."""
    name = getattr(getattr(model, "config", None), "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def _trace_shapes(model: nn.Module, name: str, images: Shape) -> Graph:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    buffers = dict(model.named_buffers(remove_duplicate=False))
    stand_in = StandIns(detached=True).of
    with unchanged(model):
        for module in model.modules():
            # Plain attributes may be asked for their numbers, so they stay, as copies.
            plain = {key: value for key, value in module.__dict__.items() if isinstance(value, Tensor)}
            module.__dict__.update({key: value.detach().clone() for key, value in plain.items()})
            places: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for tensors in places:
                tensors.update({key: stand_in(tensor) for key, tensor in tensors.items() if tensor is not None})
        model.eval()
        image = torch.empty(images, dtype=_dtype(model), device="meta")
        graph = _record(
            model,
            name,
            image,
            {key: stand_in(tensor) for key, tensor in parameters.items()},
            {key: stand_in(tensor) for key, tensor in buffers.items()},
        )
    return replace(graph, indices=_indices(buffers))


def _trace_real(model: nn.Module, name: str, images: Shape) -> Graph:
    model = copy.deepcopy(model).eval()
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    image = torch.rand(images, generator=torch.Generator().manual_seed(0)).to(device, _dtype(model))
    buffers = dict(model.named_buffers(remove_duplicate=False))
    graph = _record(model, name, image, dict(model.named_parameters(remove_duplicate=False)), buffers)
    return replace(graph, indices=_indices(buffers))


def _indices(buffers: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    chosen = {k: t for k, t in buffers.items() if t.dim() == 1 and t.dtype == torch.int64 and not t.is_meta}
    return {key: tuple(tensor.tolist()) for key, tensor in chosen.items()}


def _record(
    model: nn.Module, name: str, image: Tensor, parameters: dict[str, Tensor], buffers: dict[str, Tensor]
) -> Graph:
    calls = Calls(model)
    recorder = Recorder(calls, image, parameters, buffers)
    with calls.watching(), torch.no_grad(), recorder:
        result = model(image)
    outputs = tuple(recorder.read(tensor) for tensor in tensors_in(result))
    sizes = {key: t.numel() for key, t in parameters.items()}
    return assemble(name, tuple(image.shape[1:]), recorder, outputs, calls.extras, sizes, calls.counts)


def assemble(
    name: str,
    input_size: Shape,
    recorder: Recorder,
    outputs: Shape,
    extras: Iterable[Extra],
    sizes: Mapping[str, int],
    calls: Mapping[str, int],
) -> Graph:
    """The graph of what a recorder saw.

    outputs: indices of values.  extras, sizes: as `layer_records` takes them.  calls: of every module.
    """
    nodes, values = recorder.nodes(), tuple(recorder.values)
    used = dict.fromkeys(
        values[i].name for node in nodes if node.kind != "view" for i in node.inputs if values[i].kind == "parameter"
    )
    return Graph(
        name=name,
        input_size=input_size,
        values=values,
        nodes=nodes,
        inputs=(recorder.entry,),
        outputs=outputs,
        layers=layer_records(nodes, values, extras, sizes),
        params=sum(sizes[key] for key in used),
        parameters=tuple(used),
        calls=dict(calls),
    )


def _dtype(model: nn.Module) -> torch.dtype:
    return next((tensor.dtype for tensor in model.parameters() if tensor.is_floating_point()), torch.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the random state, and run attention operator by operator rather than in one fused, opaque call."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
